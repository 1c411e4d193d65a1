//! ○ Authentication of Postrider at an endpoint, as it is written. A value that gets through here can be sent as it is: no header
//! of ours or of the connection's, nothing that could split a request. Messages never quote a secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    body::Said,
    shape::NO_CONTROL_CHARACTERS,
    text::{self, HeaderName, HeaderText, Password, Pem, Token, Url, Username},
};
use postrider_core::model::oauth::ClientStyle;

/// The way in which Postrider shows the endpoint who it is. Never shown again.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "Auth", deny_unknown_fields)]
pub enum AuthBody {
    /// Nothing but the signature.
    #[schemars(title = "None")]
    None,
    /// HTTP basic authentication.
    #[schemars(title = "Basic")]
    Basic {
        /// The name, without a colon; it may be empty.
        #[schemars(title = "User", with = "Username")]
        username: String,
        /// The password; it may be empty.
        #[schemars(title = "Password", with = "Password", extend("writeOnly" = true))]
        password: String,
    },
    /// A token in the header `Authorization`.
    #[schemars(title = "Bearer")]
    Bearer {
        /// The token: printable ASCII without spaces.
        #[schemars(title = "Token", with = "Token", extend("writeOnly" = true))]
        token: String,
    },
    /// Headers of your own.
    #[schemars(title = "Headers")]
    Headers {
        /// Values by the names of their headers; not those that the connection or Postrider sets itself.
        #[schemars(
            title = "Headers",
            with = "BTreeMap<String, HeaderText>",
            extend("minProperties" = 1, "maxProperties" = 16, "propertyNames" = text::shape::<HeaderName>())
        )]
        headers: BTreeMap<String, String>,
    },
    /// A token that a server of yours gives for the client's credentials.
    #[schemars(title = "OAuth 2")]
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// The address of the token server: http or https, to a public address unless the operator allows more.
        #[schemars(title = "Token URL", with = "Url")]
        token_url: String,
        /// The client's id.
        #[schemars(title = "Client ID", length(min = 1, max = 256), regex(pattern = NO_CONTROL_CHARACTERS))]
        client_id: String,
        /// The client's secret.
        #[schemars(title = "Client secret", length(min = 1, max = 1_024), regex(pattern = NO_CONTROL_CHARACTERS), extend("writeOnly" = true))]
        client_secret: String,
        /// The scope that is asked for.
        #[schemars(title = "Scope", length(min = 1, max = 1_024), regex(pattern = NO_CONTROL_CHARACTERS))]
        scope: Option<String>,
        /// The audience that is asked for; some token servers want it.
        #[schemars(title = "Audience", length(min = 1, max = 1_024), regex(pattern = NO_CONTROL_CHARACTERS))]
        audience: Option<String>,
        /// The place of id and secret in the request for a token: the header `Authorization`, or the form.
        #[serde(default)]
        #[schemars(title = "Credentials")]
        style: ClientStyle,
    },
    /// A client certificate; the endpoint's URL must be https.
    #[schemars(title = "Mutual TLS")]
    MutualTls {
        /// The certificate, and those between it and its authority; PEM.
        #[schemars(title = "Certificate chain", with = "Pem", extend("writeOnly" = true))]
        certificate: String,
        /// The certificate's private key; PEM.
        #[schemars(title = "Private key", with = "Pem", extend("writeOnly" = true))]
        key: String,
    },
}

/// Names of headers in lower case, each once.
pub(super) fn complete(said: &mut Said) {
    let Some(headers) = said.part("auth").and_then(|auth| auth.get_mut("headers")?.as_object_mut()) else { return };
    let (mut lower, mut twice) = (serde_json::Map::new(), Vec::new());
    for (name, value) in std::mem::take(headers) {
        if lower.insert(name.to_ascii_lowercase(), value).is_some() {
            twice.push(name);
        }
    }
    *headers = lower;
    for name in twice {
        said.wrong(&format!("auth.headers.{name}"), "is given twice");
    }
}

/// A header's name: a token of RFC 9110, and not one that we or the connection set.
///
/// # Errors
/// Says what to write instead.
pub fn check_header_name(name: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(token) {
        return Err(format!("must have 1 to {NAME_BYTES_MAX} letters, digits or hyphens"));
    }
    let name = name.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err("is a header that the connection or this service sets itself".to_owned());
    }
    Ok(())
}

/// A text that goes into a header as it is.
///
/// # Errors
/// Says what to write instead.
pub fn check_header_text(value: &str) -> Result<(), String> {
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

/// A bearer token.
///
/// # Errors
/// Says what to write instead.
pub fn check_token(value: &str) -> Result<(), String> {
    check_header_text(value)?;
    if value.contains(' ') { Err("must not contain spaces".to_owned()) } else { Ok(()) }
}

/// A name of basic authentication. It is sent in base64: any text is one.
///
/// # Errors
/// Says what to write instead.
pub fn check_username(value: &str) -> Result<(), String> {
    check_password(value)?;
    if value.contains(':') { Err("must not contain a colon".to_owned()) } else { Ok(()) }
}

/// A password of basic authentication.
///
/// # Errors
/// Says what to write instead.
pub fn check_password(value: &str) -> Result<(), String> {
    text::check(value, 0..=VALUE_BYTES_MAX)?;
    if value.len() > VALUE_BYTES_MAX { Err(format!("must be at most {VALUE_BYTES_MAX} bytes")) } else { Ok(()) }
}

pub const NAME_BYTES_MAX: usize = 64;
pub const VALUE_BYTES_MAX: usize = 16_384;

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
    use crate::{endpoint_body::EndpointBody, errors::FieldError};

    fn check(auth: Value) -> Result<AuthBody, Vec<String>> {
        let body = json!({"url": "https://example.com/", "auth": auth});
        let mut said = Said::of::<EndpointBody>(body.as_object().expect("object"));
        complete(&mut said);
        let body: Result<EndpointBody, _> = said.into_body();
        let named = |FieldError { field, message, .. }| format!("{field} {message}");
        body.map(|body| body.auth.expect("auth")).map_err(|errors| errors.listed.into_iter().map(named).collect())
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
            let expected = AuthBody::Basic { username: username.to_owned(), password: password.to_owned() };
            assert!(basic.is_ok_and(|basic| basic == expected), "{username:?}");
        }
        let wide = "ä".repeat(10_000);
        for (username, password) in [("u", &*wide), (&*wide, "p")] {
            let basic = check(json!({"type": "basic", "username": username, "password": password}));
            assert!(basic.is_err(), "its header would have 20,000 bytes and more");
        }
        assert!(check(json!({"type": "basic", "username": "u:v", "password": "p"})).is_err());
        assert!(check(json!({"type": "basic", "username": "u"})).is_err(), "a password that is not said is a mistake");
        assert!(check(json!({"type": "bearer", "token": "t".repeat(6_000)})).is_ok());
    }

    #[test]
    fn names_that_differ_in_case_only_are_one_header() {
        let errors = check(json!({"type": "headers", "headers": {"X-Key": "1", "x-key": "2"}})).err();
        assert_eq!(errors, Some(vec!["auth.headers.x-key is given twice".to_owned()]));
        let one = check(json!({"type": "headers", "headers": {"X-Key": "1"}}));
        assert!(one.is_ok_and(|one| one == AuthBody::Headers { headers: [("x-key".into(), "1".into())].into() }));
    }

    #[test]
    fn fields_of_another_kind_are_named() {
        let errors = check(json!({"type": "bearer", "token": "t", "password": "p"})).err().expect("refused");
        assert_eq!(errors, ["auth.password is not known here"]);
    }
}
