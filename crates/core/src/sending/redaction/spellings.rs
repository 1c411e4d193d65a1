//! ○ The usual ways in which a server writes a text that it was sent: as it is, in JSON, HTML, URLs and base64.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{
    Engine as _,
    engine::GeneralPurpose,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use url::form_urlencoded;

/// All of them, each once.
pub(super) fn of(text: &str) -> BTreeSet<String> {
    let in_json = serde_json::Value::from(text).to_string();
    let in_json = in_json[1..in_json.len() - 1].to_owned(); // without its quotes
    let in_form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let in_path = in_form.replace('+', "%20");
    let mut all = BTreeSet::from([text.to_owned(), in_json.replace('/', "\\/"), in_json]);
    all.extend([lower_hex(&in_form), in_form, lower_hex(&in_path), in_path]);
    all.extend(in_html(text));
    all.extend(in_escaped_json(text));
    all.extend([&BASE64_STANDARD, &BASE64_URL_SAFE].into_iter().flat_map(|engine| in_base64(engine, text)));
    all
}

/// As `%2f` where it was `%2F`.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        let _ = write!(lower, "%{}{rest}", hex.to_ascii_lowercase());
    }
    lower
}

/// With the names of signs: quotes by name or number, or left as they are.
fn in_html(text: &str) -> [String; 5] {
    let tags = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = |double: &str, single: &str| tags.replace('"', double).replace('\'', single);
    [quoted("&quot;", "&#39;"), quoted("&#34;", "&#39;"), quoted("&quot;", "&#x27;"), quoted("&#34;", "&#x27;"), tags]
}

/// With signs as numbers, as encoders write them that keep JSON safe within HTML or ASCII: the signs of tags, quotes, and
/// whatever is not ASCII; hexadecimal digits small or large, the slash escaped or not.
fn in_escaped_json(text: &str) -> Vec<String> {
    let tags = ['<', '>', '&'];
    let quotes = ['<', '>', '&', '"', '\''];
    let mut all = Vec::new();
    for signs in [&[][..], &tags[..], &quotes[..]] {
        for (ascii_only, slash) in [(false, "/"), (false, "\\/"), (true, "/"), (true, "\\/")] {
            let small: String = text.chars().map(|c| escaped(c, signs, ascii_only, slash)).collect();
            all.push(large_hex(&small));
            all.push(small);
        }
    }
    all
}

fn escaped(c: char, signs: &[char], ascii_only: bool, slash: &str) -> String {
    if signs.contains(&c) || (ascii_only && !c.is_ascii()) {
        let mut units = [0; 2];
        return c.encode_utf16(&mut units).iter().fold(String::new(), |mut text, unit| {
            let _ = write!(text, "\\u{unit:04x}");
            text
        });
    }
    match c {
        '/' => slash.to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c => c.to_string(),
    }
}

/// As `\u00E9` where it was `\u00e9`.
fn large_hex(escaped: &str) -> String {
    let mut parts = escaped.split("\\u");
    let mut large = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        let _ = write!(large, "\\u{}{rest}", hex.to_ascii_uppercase());
    }
    large
}

/// Spellings of it in the base64 of any text that holds it: three bytes are four characters, so it has three forms, of
/// which the characters at the ends, that hold a part of what is around, are left out. None of a short one: it would be
/// found where it is not.
fn in_base64(engine: &GeneralPurpose, text: &str) -> Vec<String> {
    let form = |shift: usize| {
        let shifted = [&[0; 2][..shift], text.as_bytes()].concat();
        let encoded = engine.encode(&shifted);
        let from = (shift * 8).div_ceil(6);
        let to = shifted.len() * 8 / 6;
        encoded.get(from..to).filter(|core| core.len() >= BASE64_CHARS_MIN).map(ToOwned::to_owned)
    };
    (0..3).filter_map(form).collect()
}

/// Characters of a text of six bytes.
const BASE64_CHARS_MIN: usize = 8;
