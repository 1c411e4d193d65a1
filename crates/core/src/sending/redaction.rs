//! ○ Redaction of answers: servers that repeat what they were sent would put our secrets into attempts, dead letters
//! and logs.
//!
//! **Invariant:** no answer leaves a sender with a secret of the endpoint's in it.

mod spellings;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::model::settings::Auth;

/// Secrets of one endpoint that must not be kept of an answer.
#[derive(Debug, Clone)]
pub struct Redaction {
    secrets: Vec<SecretString>,
    secret_bytes_max: usize,
}

/// A word in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

impl Redaction {
    #[must_use]
    pub fn new(auth: &Auth) -> Self {
        let mut redaction = Redaction { secrets: Vec::new(), secret_bytes_max: 0 };
        match auth {
            Auth::None | Auth::MutualTls => {}
            Auth::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                redaction.hide(&BASE64_STANDARD.encode(pair));
                redaction.hide(password.expose_secret());
            }
            Auth::Bearer { token } => redaction.hide(token.expose_secret()),
            Auth::Headers(headers) => {
                headers.iter().for_each(|(_, value)| redaction.hide_header(value.expose_secret()))
            }
            // The access token comes later.
            Auth::OAuth2(oauth) => redaction.hide(oauth.client_secret.expose_secret()),
        }
        redaction
    }

    /// This as well, in whatever form an answer may repeat it.
    pub fn hide(&mut self, secret: &str) {
        for form in spellings::of(secret) {
            let is_known = self.secrets.iter().any(|known| known.expose_secret() == form);
            if !form.is_empty() && !is_known {
                self.secret_bytes_max = self.secret_bytes_max.max(form.len());
                self.secrets.push(SecretString::from(form));
            }
        }
    }

    /// The value of a header: what follows the name of a scheme is secret without that name as well.
    fn hide_header(&mut self, value: &str) {
        self.hide(value);
        if let Some((_, credentials)) = value.trim().split_once(' ') {
            self.hide(credentials.trim());
        }
    }

    /// Bytes of an answer to be read beyond those that are kept: a secret that is cut in two would not be found.
    #[must_use]
    pub fn margin_bytes(&self) -> usize {
        self.secret_bytes_max
    }

    /// The beginning of an answer without our secrets: of its first `bytes_max` bytes, and of whatever begins in them.
    #[must_use]
    pub fn applied_to(&self, text: &str, bytes_max: usize) -> String {
        let mut shown = String::with_capacity(text.len().min(bytes_max));
        let mut rest = text;
        while text.len() - rest.len() < bytes_max {
            // The longest: one may be the beginning of another.
            let secrets = self.secrets.iter().map(|secret| secret.expose_secret());
            let secret = secrets.filter(|secret| rest.starts_with(*secret)).max_by_key(|secret| secret.len());
            let Some(next) = rest.chars().next() else { break };
            let read_bytes = if let Some(secret) = secret {
                shown.push_str(HIDDEN);
                secret.len()
            } else {
                shown.push(next);
                next.len_utf8()
            };
            rest = &rest[read_bytes..];
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(redaction: &Redaction, answer: &str) -> String {
        redaction.applied_to(answer, 1_024)
    }

    fn token() -> SecretString {
        SecretString::from("hush/hush+\"1\"")
    }

    #[test]
    fn an_answer_that_repeats_our_secret_is_kept_without_it() {
        let bearer = Redaction::new(&Auth::Bearer { token: token() });
        assert_eq!(shown(&bearer, "you sent Bearer hush/hush+\"1\"!"), "you sent Bearer (hidden)!");
        let basic = Redaction::new(&Auth::Basic { username: "ann".to_owned(), password: token() });
        let encoded = BASE64_STANDARD.encode("ann:hush/hush+\"1\"");
        assert_eq!(shown(&basic, &format!("Basic {encoded} of ann")), "Basic (hidden) of ann");
        let headers = Auth::Headers(vec![("x-key".to_owned(), token()), ("x-empty".to_owned(), "".into())]);
        assert_eq!(shown(&Redaction::new(&headers), "x-key: hush/hush+\"1\""), "x-key: (hidden)");
        assert_eq!(shown(&Redaction::new(&Auth::None), "no"), "no");
    }

    #[test]
    fn it_is_found_as_json_and_as_a_form_as_well() {
        let bearer = Redaction::new(&Auth::Bearer { token: token() });
        for answer in [r#""hush/hush+\"1\"""#, r#""hush\/hush+\"1\"""#, "\"hush%2Fhush%2B%221%22\""] {
            assert_eq!(shown(&bearer, answer), "\"(hidden)\"", "{answer}");
        }
    }

    #[test]
    fn it_is_found_in_every_usual_spelling() {
        let secret = "hush<&>'quiet\"/é+1 z";
        let bearer = Redaction::new(&Auth::Bearer { token: secret.into() });
        for answer in [
            "hush&lt;&amp;&gt;&#39;quiet&quot;/é+1 z",
            "hush&lt;&amp;&gt;&#x27;quiet&#34;/é+1 z",
            "hush&lt;&amp;&gt;'quiet\"/é+1 z",
            "hush\\u003c\\u0026\\u003e'quiet\\\"/é+1 z",
            "hush\\u003C\\u0026\\u003E\\u0027quiet\\u0022\\/\\u00E9+1 z",
            "hush<&>'quiet\\\"\\/\\u00e9+1 z",
            "hush%3C%26%3E%27quiet%22%2F%C3%A9%2B1%20z",
            "hush%3c%26%3e%27quiet%22%2f%c3%a9%2b1%20z",
            "hush%3C%26%3E%27quiet%22%2F%C3%A9%2B1+z",
        ] {
            assert_eq!(shown(&bearer, &format!("[{answer}]")), "[(hidden)]", "{answer}");
        }
    }

    #[test]
    fn it_is_found_in_base64_wherever_it_begins() {
        let bearer = Redaction::new(&Auth::Bearer { token: "hush/hush+1234567890".into() });
        for around in ["", "B", "Be", "Bearer ", "authorization: Bearer "] {
            for engine in [&BASE64_STANDARD, &base64::prelude::BASE64_URL_SAFE] {
                let answer = engine.encode(format!("{around}hush/hush+1234567890\r\n"));
                let kept = shown(&bearer, &answer);
                assert!(
                    kept.contains(HIDDEN) && kept.len() <= around.len() * 2 + HIDDEN.len() + 10,
                    "{around:?}: {kept}"
                );
            }
        }
    }

    #[test]
    fn the_credentials_of_a_header_are_hidden_without_their_scheme_as_well() {
        let headers = Auth::Headers(vec![("authorization".to_owned(), "Token hush-hush".into())]);
        assert_eq!(shown(&Redaction::new(&headers), "no such token: hush-hush"), "no such token: (hidden)");
    }

    #[test]
    fn a_secret_that_begins_with_another_is_hidden_whole() {
        let mut redaction = Redaction::new(&Auth::Bearer { token: "abc".into() });
        redaction.hide("abcdef");
        assert_eq!(shown(&redaction, "abcdef abc"), "(hidden) (hidden)");
        assert!(redaction.margin_bytes() >= 6);
    }

    #[test]
    fn a_secret_at_the_cut_leaves_no_part_of_itself() {
        let redaction = Redaction::new(&Auth::Bearer { token: "0123456789".into() });
        let kept_bytes = 25 + redaction.margin_bytes();
        let answer = "0123456789".repeat(100);
        assert_eq!(redaction.applied_to(&answer[..kept_bytes], 25), "(hidden)(hidden)(hidden)");
        let at_the_cut = format!("{}0123456789", "x".repeat(24));
        assert_eq!(redaction.applied_to(&at_the_cut, 25), format!("{}(hidden)", "x".repeat(24)));
        assert_eq!(redaction.applied_to(&format!("x{at_the_cut}"), 25), "x".repeat(25));
    }
}
