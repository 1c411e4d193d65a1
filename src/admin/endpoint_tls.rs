//! ○ Certificates and keys in an endpoint's body. What gets through here makes a TLS identity. Messages never quote a key.

use crate::{
    api::{body::Said, endpoint::AuthView},
    model::{
        hex,
        tls_identity::{IdentityError, certified_key, parse_authorities, parse_certificates, parse_key},
    },
};

/// Notes certificates, keys and authorities that are none, or do not belong together.
pub(super) fn check(said: &mut Said) {
    pem(said, "/tls/ca", "tls.ca", |text| parse_authorities(text).map(drop));
    let certificate = pem(said, "/auth/certificate", "auth.certificate", |text| parse_certificates(text).map(drop));
    let key = pem(said, "/auth/key", "auth.key", |text| parse_key(text).map(drop));
    let (Some(certificate), Some(key)) = (certificate, key) else { return };
    if let Err(error) = certified_key(&certificate, &key) {
        let field = if error == IdentityError::OtherKey { "auth.key" } else { "auth.certificate" };
        said.wrong(field, error);
    }
}

/// The part of a client certificate that may be shown: enough to tell which one it is.
#[must_use]
pub(super) fn view(certificate: &str) -> AuthView {
    let own = parse_certificates(certificate).ok().and_then(|chain| chain.into_iter().next());
    let digest = own.map(|own| ring::digest::digest(&ring::digest::SHA256, &own));
    let bytes = digest.as_ref().map(AsRef::as_ref).unwrap_or_default();
    AuthView::MutualTls { certificate_sha256: hex::encode(bytes) }
}

/// A certificate is shown in TLS only.
#[must_use]
pub(super) fn lacks_tls(url: &str, auth: &AuthView) -> bool {
    matches!(auth, AuthView::MutualTls { .. }) && !url.starts_with("https://")
}

/// The problem of a URL that [`lacks_tls`].
pub(super) const NEEDS_TLS: &str = "must begin with https:// when auth is mutual_tls";

/// A text of this kind, if it is there and right.
fn pem(
    said: &mut Said,
    pointer: &str,
    field: &str,
    check: impl FnOnce(&str) -> Result<(), IdentityError>,
) -> Option<String> {
    let text = said.at(pointer)?.as_str()?.to_owned();
    check(&text).map_err(|error| said.wrong(field, error)).ok().map(|()| text)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use serde_json::{Value, json};

    use super::{super::endpoint_auth, *};
    use crate::{api::endpoint_body::EndpointBody, store::secrets::StoredAuth};

    fn made() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["client".to_owned()]).expect("a name").self_signed(&key);
        (certificate.expect("a certificate").pem(), key.serialize_pem())
    }

    fn check(auth: Value) -> Result<StoredAuth, Vec<String>> {
        let body = json!({"url": "https://example.com/", "auth": auth});
        let mut said = Said::of::<EndpointBody>(body.as_object().expect("object"));
        super::check(&mut said);
        let body = said.into_body::<EndpointBody>();
        body.map(|body| endpoint_auth::stored(body.auth.expect("auth"))).map_err(|errors| {
            errors.listed.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect()
        })
    }

    #[test]
    fn a_certificate_and_its_key_are_taken_and_only_the_certificate_is_shown() {
        let (certificate, key) = made();
        let auth = check(json!({"type": "mutual_tls", "certificate": certificate, "key": key})).expect("valid");
        let shown = serde_json::to_string(&endpoint_auth::view(&auth)).expect("json");
        assert!(shown.starts_with(r#"{"type":"mutual_tls","certificate_sha256":""#), "{shown}");
        assert_eq!(shown.len(), r#"{"type":"mutual_tls","certificate_sha256":""}"#.len() + 64, "{shown}");
    }

    #[test]
    fn what_does_not_fit_is_named_and_not_quoted() {
        let ((certificate, _), (_, other_key)) = (made(), made());
        let wrong = |certificate: &str, key: &str| {
            check(json!({"type": "mutual_tls", "certificate": certificate, "key": key})).err().expect("refused")
        };
        assert_eq!(wrong(&certificate, &other_key), ["auth.key does not belong to the first certificate"]);
        let errors = wrong("geheim", "geheim");
        assert!(errors.len() == 2 && errors.iter().all(|error| !error.contains("geheim")), "{errors:?}");
        assert_eq!(wrong(&"x".repeat(65_537), &other_key), ["auth.certificate must have at most 65536 characters"]);
        assert_eq!(wrong("a\0b", &other_key), ["auth.certificate must be PEM, which is ASCII"]);
    }
}
