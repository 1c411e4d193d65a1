//! ○ Authentication at an endpoint. A value that gets through here can be sent as it is: no header of ours or of the
//! connection's, nothing that could split a request.

use super::{
    endpoint_tls,
    fields::{Fields, Object},
};
use crate::{
    api::endpoint::AuthView,
    endpoint::egress::Egress,
    model::{oauth::ClientStyle, url::EndpointUrl},
    store::secrets::{StoredAuth, StoredOAuth2},
};

/// Reads `auth`. Messages never quote a secret.
pub fn read(fields: &mut Fields<'_>, egress: &Egress) -> Option<StoredAuth> {
    let kinds = [
        ("none", Kind::None),
        ("basic", Kind::Basic),
        ("bearer", Kind::Bearer),
        ("headers", Kind::Headers),
        ("oauth2", Kind::OAuth2),
        ("mutual_tls", Kind::MutualTls),
    ];
    fields.require("type");
    match fields.word("type", &kinds)? {
        Kind::None => Some(StoredAuth::None),
        Kind::Basic => {
            fields.require("username");
            fields.require("password");
            // Sent in base64: any text is one.
            let (username, password) = (any_text(fields, "username"), any_text(fields, "password"));
            if username.as_ref().is_some_and(|name| name.contains(':')) {
                fields.wrong("username", "must not contain a colon");
                return None;
            }
            Some(StoredAuth::Basic { username: username?, password: password? })
        }
        Kind::Bearer => {
            fields.require("token");
            let token = secret(fields, "token")?;
            if token.contains(' ') {
                fields.wrong("token", "must not contain spaces");
                return None;
            }
            Some(StoredAuth::Bearer { token })
        }
        Kind::Headers => {
            fields.require("headers");
            let object = fields.value("headers")?.clone();
            let Some(object) = object.as_object().filter(|object| (1..=HEADERS_MAX).contains(&object.len())) else {
                fields.wrong("headers", format_args!("must be an object of 1 to {HEADERS_MAX} names and values"));
                return None;
            };
            headers(fields, object)
        }
        Kind::OAuth2 => oauth2(fields, egress).map(StoredAuth::OAuth2),
        Kind::MutualTls => endpoint_tls::mutual_tls(fields),
    }
}

/// The part of an authentication that may be shown.
#[must_use]
pub fn view(auth: &StoredAuth) -> AuthView {
    match auth {
        StoredAuth::None => AuthView::None,
        StoredAuth::Basic { username, .. } => AuthView::Basic { username: username.clone() },
        StoredAuth::Bearer { .. } => AuthView::Bearer,
        StoredAuth::Headers { headers } => {
            AuthView::Headers { names: headers.iter().map(|(name, _)| name.clone()).collect() }
        }
        StoredAuth::OAuth2(oauth) => AuthView::OAuth2 {
            token_url: oauth.token_url.clone(),
            client_id: oauth.client_id.clone(),
            scope: oauth.scope.clone(),
            audience: oauth.audience.clone(),
            style: oauth.style,
        },
        StoredAuth::MutualTls { certificate, .. } => endpoint_tls::view(certificate),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    None,
    Basic,
    Bearer,
    Headers,
    OAuth2,
    MutualTls,
}

fn oauth2(fields: &mut Fields<'_>, egress: &Egress) -> Option<StoredOAuth2> {
    fields.require("client_id");
    fields.require("client_secret");
    let token_url = url(fields, "token_url", egress);
    let client_id = fields.text("client_id", 256);
    let client_secret = fields.text("client_secret", 1_024);
    let scope = fields.text("scope", 1_024);
    let audience = fields.text("audience", 1_024);
    let style = fields.word("style", &[("basic", ClientStyle::Basic), ("body", ClientStyle::Body)]);
    Some(StoredOAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        audience,
        style: style.unwrap_or(ClientStyle::Basic),
    })
}

/// A URL that we may send to.
pub(super) fn url(fields: &mut Fields<'_>, name: &'static str, egress: &Egress) -> Option<String> {
    // Not `text`: the URL's own rules say more about what is wrong.
    fields.require(name);
    let Some(text) = fields.value(name)?.as_str().map(ToOwned::to_owned) else {
        fields.wrong(name, "must be a text");
        return None;
    };
    let checked = EndpointUrl::parse(&text).map_err(|error| error.to_string()).and_then(|url| {
        let allowed = egress.check_url(&url).map_err(|refusal| refusal.to_string());
        allowed.map(|()| url.as_str().to_owned())
    });
    checked.map_err(|message| fields.wrong(name, message)).ok()
}

fn headers(fields: &mut Fields<'_>, object: &Object) -> Option<StoredAuth> {
    let mut headers: Vec<(String, String)> = Vec::with_capacity(object.len());
    let mut right = true;
    for (name, value) in object {
        let name_lower = name.to_ascii_lowercase();
        let checked =
            check_name(&name_lower).and_then(|()| check_value(value.as_str().unwrap_or_default())).and_then(|()| {
                match headers.iter().any(|(other, _)| *other == name_lower) {
                    true => Err("is given twice".to_owned()),
                    false => Ok(()),
                }
            });
        if let Err(message) = checked {
            let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
            fields.wrong(&format!("headers.{shown}"), message);
            right = false;
        }
        headers.push((name_lower, value.as_str().unwrap_or_default().to_owned()));
    }
    right.then_some(StoredAuth::Headers { headers })
}

/// A header's name in lower case: a token of RFC 9110, and not one that we or the connection set.
fn check_name(name: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(token) {
        return Err(format!("must be a header's name: 1 to {NAME_BYTES_MAX} letters, digits or hyphens"));
    }
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err("is a header that the connection or this service sets itself".to_owned());
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(format!("must be a text of 1 to {VALUE_BYTES_MAX} characters"));
    }
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("must be printable ASCII".to_owned());
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err("must not begin or end with a space".to_owned());
    }
    Ok(())
}

/// A secret that goes into a header as it is.
fn secret(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let value = fields.value(name)?.as_str().unwrap_or_default().to_owned();
    match check_value(&value) {
        Ok(()) => Some(value),
        Err(message) => {
            fields.wrong(name, message);
            None
        }
    }
}

/// A secret of any characters but control characters; it may be empty.
fn any_text(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let value = fields.value(name)?.as_str().map(ToOwned::to_owned);
    match value {
        Some(value) if value.len() <= VALUE_BYTES_MAX && !value.chars().any(char::is_control) => Some(value),
        _ => {
            fields.wrong(
                name,
                format_args!("must be a text of at most {VALUE_BYTES_MAX} bytes without control characters"),
            );
            None
        }
    }
}

const HEADERS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 16_384;

const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const RESERVED_PREFIXES: &[&str] = &["webhook-", "proxy-", "sec-", "postrider-"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::fields;

    fn check(auth: Value) -> Result<StoredAuth, Vec<String>> {
        let body = json!({"auth": auth});
        let parsed = fields::parse(body.as_object().expect("object"), |fields| {
            fields.nested("auth", |fields| read(fields, &crate::app::default_egress()))
        });
        parsed.map_err(|problem| {
            problem.errors.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect()
        })
    }

    #[test]
    fn headers_of_the_connection_or_our_own_are_refused() {
        for name in ["Host", "CONTENT-LENGTH", "Transfer-Encoding", "connection", "webhook-id", "Webhook-Signature"] {
            let errors = check(json!({"type": "headers", "headers": {name: "x"}})).err().expect(name);
            assert!(errors[0].contains("sets itself"), "{errors:?}");
        }
    }

    #[test]
    fn what_could_split_a_request_is_refused_and_not_quoted() {
        let long = "x".repeat(65_536);
        for value in ["a\r\nb: c", "a\nb", "a\0b", "ä", "", " hush", long.as_str()] {
            assert!(check(json!({"type": "headers", "headers": {"x-key": value}})).is_err(), "{value:.20}");
            assert!(check(json!({"type": "bearer", "token": value})).is_err(), "{value:.20}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\0b", "a\u{7f}b", "a\u{85}b", long.as_str()] {
            let basic = check(json!({"type": "basic", "username": "u", "password": value}));
            let errors = basic.err().expect("refused");
            assert!(!errors[0].contains(value), "{errors:?}");
            assert!(check(json!({"type": "basic", "username": value, "password": "p"})).is_err());
        }
        for name in ["x key", "x\r\ny", "", "ä", long.as_str(), "x:y"] {
            assert!(check(json!({"type": "headers", "headers": {name: "v"}})).is_err(), "{name:.20}");
        }
    }

    #[test]
    fn a_name_and_a_password_are_any_text_and_a_token_may_be_long() {
        for (username, password) in
            [("u", ""), ("", "p"), ("", ""), ("müller", "pässwörd€ "), ("u", &"x".repeat(16_384))]
        {
            let basic = check(json!({"type": "basic", "username": username, "password": password}));
            let expected = StoredAuth::Basic { username: username.to_owned(), password: password.to_owned() };
            assert!(basic.is_ok_and(|basic| basic == expected), "{username:?}");
        }
        assert!(check(json!({"type": "basic", "username": "u:v", "password": "p"})).is_err());
        assert!(check(json!({"type": "basic", "username": "u"})).is_err(), "a password that is not said is a mistake");
        assert!(check(json!({"type": "bearer", "token": "t".repeat(6_000)})).is_ok());
    }

    #[test]
    fn names_that_differ_in_case_only_are_one_header() {
        assert!(check(json!({"type": "headers", "headers": {"X-Key": "1", "x-key": "2"}})).is_err());
    }

    #[test]
    fn fields_of_another_kind_are_named() {
        let errors = check(json!({"type": "bearer", "token": "t", "password": "p"})).err().expect("refused");
        assert_eq!(errors, ["auth.password is not known here"]);
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let auth = check(json!({"type": "headers", "headers": {"X-Key": "hush"}})).expect("valid");
        let shown = serde_json::to_string(&view(&auth)).expect("json");
        assert_eq!(shown, r#"{"type":"headers","names":["x-key"]}"#);
    }
}
