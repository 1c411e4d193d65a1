//! ○ OAuth2 client credentials (RFC 6749, section 4.4): what the token server is asked, and what its answer means.
//!
//! Nothing of an answer is repeated in an error but its `error` code: a token server may quote our own secret.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use crate::model::oauth::{ClientStyle, OAuth2};

/// The request to the token server, `application/x-www-form-urlencoded`.
pub struct TokenRequest {
    pub authorization: Option<SecretString>,
    pub form: String,
}

/// The token that it gave.
#[derive(Debug)]
pub struct Token {
    /// `Bearer …`, printable ASCII.
    pub authorization: SecretString,
    /// For this long it is used; the server takes it for a little longer.
    pub use_for: Duration,
}

#[must_use]
pub fn token_request(oauth: &OAuth2) -> TokenRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    let optional = [("scope", &oauth.scope), ("audience", &oauth.audience)];
    for (name, value) in optional {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    let secret = oauth.client_secret.expose_secret();
    let authorization = match oauth.style {
        // Both are form-encoded first (section 2.3.1), so that a colon in the id does not end it.
        ClientStyle::Basic => {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&oauth.client_id), encoded(secret));
            Some(SecretString::from(format!("Basic {}", BASE64_STANDARD.encode(pair))))
        }
        ClientStyle::Body => {
            form.append_pair("client_id", &oauth.client_id).append_pair("client_secret", secret);
            None
        }
    };
    TokenRequest { authorization, form: form.finish() }
}

/// Reads the token server's answer.
///
/// # Errors
/// Says what is wrong with it, in words that may be shown to a customer.
pub fn token_of(status: u16, body: &[u8]) -> Result<Token, String> {
    if status != 200 {
        let code = serde_json::from_slice::<Refused>(body).ok().map(|refused| refused.error);
        let code = code.filter(|code| is_error_code(code)).map(|code| format!(" ({code})"));
        return Err(format!("the token server answered {status}{}", code.unwrap_or_default()));
    }
    // The parser's own message could quote the token.
    let given: Given = serde_json::from_slice(body).map_err(|_| "the token server's answer holds no access_token")?;
    if !given.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("the token server gave a token that is no bearer token".to_owned());
    }
    let token = given.access_token;
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token server gave a token that no header can hold".to_owned());
    }
    let lifetime = match given.expires_in {
        None => LIFETIME_DEFAULT,
        Some(Seconds::Number(seconds)) if seconds.is_finite() => Duration::from_secs(seconds.clamp(0.0, 1e9) as u64),
        Some(Seconds::Text(text)) => text.trim().parse().map_or(LIFETIME_DEFAULT, Duration::from_secs),
        Some(Seconds::Number(_)) => LIFETIME_DEFAULT,
    };
    Ok(Token { authorization: SecretString::from(format!("Bearer {token}")), use_for: use_for(lifetime) })
}

/// A token is left before it expires: it must not do so on its way, and clocks differ.
fn use_for(lifetime: Duration) -> Duration {
    let margin = (lifetime / 10).min(MARGIN_MAX);
    (lifetime - margin).clamp(USE_FOR_MIN, USE_FOR_MAX)
}

fn is_error_code(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
}

/// A number by the RFC; some servers send a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

const TOKEN_BYTES_MAX: usize = 8_192;
/// Lifetime of a token whose answer does not say.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// A token that is said to have expired already still serves the requests that wait for it.
const USE_FOR_MIN: Duration = Duration::from_secs(1);
const USE_FOR_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::url::EndpointUrl;

    fn oauth(style: ClientStyle) -> OAuth2 {
        OAuth2 {
            token_url: EndpointUrl::parse("https://id.example/token").expect("a URL"),
            client_id: "me:&".to_owned(),
            client_secret: "s p=%".to_owned().into(),
            scope: Some("read write".to_owned()),
            audience: None,
            style,
        }
    }

    #[test]
    fn the_client_is_named_in_the_header_or_in_the_form_and_cannot_break_either() {
        let request = token_request(&oauth(ClientStyle::Basic));
        let authorization = request.authorization.expect("a header");
        let pair = authorization.expose_secret().strip_prefix("Basic ").expect("basic");
        assert_eq!(BASE64_STANDARD.decode(pair).expect("base64"), b"me%3A%26:s+p%3D%25");
        assert_eq!(request.form, "grant_type=client_credentials&scope=read+write");
        let with_audience = OAuth2 { audience: Some("https://api/".to_owned()), ..oauth(ClientStyle::Body) };
        let request = token_request(&with_audience);
        assert!(request.authorization.is_none());
        let form = "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi%2F\
                    &client_id=me%3A%26&client_secret=s+p%3D%25";
        assert_eq!(request.form, form);
    }

    #[track_caller]
    fn check_lifetime(expires_in: &str, use_for_s: u64) {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{expires_in}}}"#);
        let token = token_of(200, body.as_bytes()).expect(expires_in);
        assert_eq!(token.use_for, Duration::from_secs(use_for_s), "{expires_in}");
        assert_eq!(token.authorization.expose_secret(), "Bearer t");
    }

    #[test]
    fn a_token_is_left_shortly_before_it_expires() {
        check_lifetime(r#","expires_in":3600"#, 3540);
        check_lifetime(r#","expires_in":100"#, 90);
        check_lifetime(r#","expires_in":"100""#, 90);
        check_lifetime(r#","expires_in":100.9"#, 90);
        check_lifetime(r#","expires_in":0"#, 1);
        check_lifetime(r#","expires_in":-5"#, 1);
        check_lifetime(r#","expires_in":1e300"#, 86_400);
        check_lifetime(r#","expires_in":"soon""#, 270);
        check_lifetime("", 270);
    }

    #[track_caller]
    fn refused(status: u16, body: &str, expected: &str) {
        assert_eq!(token_of(status, body.as_bytes()).expect_err(body), expected);
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_word_of_what_it_was() {
        refused(
            401,
            r#"{"error":"invalid_client","error_description":"secret s3cr3t"}"#,
            "the token server answered 401 (invalid_client)",
        );
        refused(400, r#"{"error":"S3cr3t!"}"#, "the token server answered 400");
        refused(302, "", "the token server answered 302");
        refused(201, r#"{"access_token":"t"}"#, "the token server answered 201");
        refused(200, "s3cr3t", "the token server's answer holds no access_token");
        refused(200, r#"{"access_token":7}"#, "the token server's answer holds no access_token");
        refused(
            200,
            r#"{"access_token":"t","token_type":"mac"}"#,
            "the token server gave a token that is no bearer token",
        );
        for token in ["", "a b", "a\\r\\nx-evil: 1", "ü", &"x".repeat(9_000)] {
            let body = format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#);
            refused(200, &body, "the token server gave a token that no header can hold");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", oauth(ClientStyle::Basic), token_of(200, br#"{"access_token":"t0k3n"}"#));
        assert!(!shown.contains("s p=%") && !shown.contains("t0k3n"), "{shown}");
    }
}
