//! ○ The effective configuration as TOML, in the order of the manual, secrets hidden.

use figment::value::{Dict, Value};

use super::{
    check::{is_secret, is_url_with_secrets},
    layers::find,
};

/// A word in the place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// Follows the manual's lines, so that what is printed reads as what was documented.
pub(super) fn to_toml(manual: &str, tree: &mut Dict) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut section = "";
    for line in manual.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            let between = if lines.is_empty() { "" } else { "\n" };
            lines.push(format!("{between}[{section}]"));
            own_keys(section, tree, &mut lines);
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let key = format!("{section}.{name}");
            if let Some(value) = find(tree, &key) {
                lines.push(format!("{name} = {}", shown(&key, value)));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// The keys of a section that the manual leaves to the operator.
fn own_keys(section: &str, tree: &mut Dict, lines: &mut Vec<String>) {
    if !matches!(section, "kafka.properties" | "event.topics") {
        return;
    }
    let Some(Value::Dict(_, own)) = find(tree, section) else {
        return;
    };
    for (name, value) in own {
        match value {
            Value::Dict(_, places) => {
                lines.push(format!("\n[{section}.{}]", quoted(name)));
                lines.extend(places.iter().map(|(place, value)| format!("{place} = {}", plain(value))));
            }
            value => lines.push(format!("{} = {}", quoted(name), shown(&format!("{section}.{name}"), value))),
        }
    }
}

fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(_, text) if is_secret(key) && !text.is_empty() => quoted(HIDDEN),
        Value::String(_, text) if is_url_with_secrets(key) && !text.is_empty() => quoted(&site(text)),
        value => plain(value),
    }
}

/// The site of a URL, without anything that may be secret: its path, its query, a user.
fn site(text: &str) -> String {
    let Ok(url) = url::Url::parse(text) else { return HIDDEN.to_owned() };
    let site = url.origin().ascii_serialization();
    let is_bare = text.trim_end_matches('/') == site;
    if is_bare { text.to_owned() } else { format!("{site}/{HIDDEN}") }
}

/// A value as TOML, and as messages quote it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(_, text) => quoted(text),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) => float.to_string(),
            (None, None) => String::new(),
        },
        Value::Array(_, values) => format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
        _ => "a section".to_owned(),
    }
}

/// A text as TOML's basic string, whose escapes are JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
