//! ○ Certificates and keys in an endpoint's body. What gets through here makes a TLS identity.

use super::fields::Fields;
use crate::{
    api::endpoint::{AuthView, TlsSettings},
    model::tls_identity::{IdentityError, certified_key, parse_authorities, parse_certificates, parse_key},
    store::secrets::StoredAuth,
};

/// Reads `auth` of the kind `mutual_tls`. Messages never quote the key.
pub fn mutual_tls(fields: &mut Fields<'_>) -> Option<StoredAuth> {
    fields.require("certificate");
    fields.require("key");
    let certificate = pem(fields, "certificate", |text| parse_certificates(text).map(drop));
    let key = pem(fields, "key", |text| parse_key(text).map(drop));
    let (certificate, key) = (certificate?, key?);
    match certified_key(&certificate, &key) {
        Ok(_) => Some(StoredAuth::MutualTls { certificate, key }),
        Err(error) => {
            let field = if error == IdentityError::OtherKey { "key" } else { "certificate" };
            fields.wrong(field, error);
            None
        }
    }
}

/// Reads `tls`.
pub fn read(fields: &mut Fields<'_>) -> TlsSettings {
    TlsSettings { ca: pem(fields, "ca", |text| parse_authorities(text).map(drop)) }
}

/// The part of a client certificate that may be shown: enough to tell which one it is.
#[must_use]
pub fn view(certificate: &str) -> AuthView {
    let own = parse_certificates(certificate).ok().and_then(|chain| chain.into_iter().next());
    let digest = own.map(|own| ring::digest::digest(&ring::digest::SHA256, &own));
    let bytes = digest.as_ref().map(AsRef::as_ref).unwrap_or_default();
    AuthView::MutualTls { certificate_sha256: bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}

/// A certificate is shown in TLS only.
#[must_use]
pub fn lacks_tls(url: &str, auth: &AuthView) -> bool {
    matches!(auth, AuthView::MutualTls { .. }) && !url.starts_with("https://")
}

/// The problem of a URL that [`lacks_tls`].
pub const NEEDS_TLS: &str = "must begin with https:// when auth is mutual_tls";

fn pem(
    fields: &mut Fields<'_>,
    name: &'static str,
    check: impl FnOnce(&str) -> Result<(), IdentityError>,
) -> Option<String> {
    let text = fields.value(name)?.as_str().unwrap_or_default().to_owned();
    let checked = if text.len() > PEM_BYTES_MAX {
        Err(format!("must have at most {PEM_BYTES_MAX} characters"))
    } else if text.bytes().any(|byte| byte == 0 || !byte.is_ascii()) {
        Err("must be PEM, which is ASCII".to_owned())
    } else {
        check(&text).map_err(|error| error.to_string())
    };
    checked.map_err(|message| fields.wrong(name, message)).ok().map(|()| text)
}

const PEM_BYTES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::{endpoint_auth, fields};

    fn made() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["client".to_owned()]).expect("a name").self_signed(&key);
        (certificate.expect("a certificate").pem(), key.serialize_pem())
    }

    fn check(auth: Value) -> Result<StoredAuth, Vec<String>> {
        let body = json!({"auth": auth});
        let egress = crate::app::default_egress();
        let parsed = fields::parse(body.as_object().expect("object"), |fields| {
            fields.nested("auth", |fields| endpoint_auth::read(fields, &egress))
        });
        parsed.map_err(|problem| {
            problem.errors.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect()
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
