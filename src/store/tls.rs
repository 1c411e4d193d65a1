//! ● Protection of the wire to Postgres, in libpq's words: `sslmode` and `sslrootcert` of the URL.
//!
//! `disable` | `prefer` (default) and `require`: encrypted, the server's certificate is not checked, as libpq does |
//! `verify-ca` and `verify-full`: the certificate and its name are checked against the system's roots or `sslrootcert`.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;

/// TLS options of a connection string, taken out of it: the client library knows only half of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    pub mode: SslMode,
    /// Check the certificate and its name.
    pub verify: bool,
    /// A PEM file in place of the system's roots.
    pub root_cert: Option<String>,
}

impl TlsOptions {
    /// Splits a `postgres://` URL into what the client library understands and what it does not.
    ///
    /// # Errors
    /// When `sslmode` is not one of libpq's words.
    pub fn split_from(url: &str) -> Result<(String, TlsOptions), StoreError> {
        let mut tls = TlsOptions { mode: SslMode::Prefer, verify: false, root_cert: None };
        let Some((base, query)) = url.split_once('?').filter(|_| url.contains("://")) else {
            return Ok((url.to_owned(), tls));
        };
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => tls.set_mode(mode)?,
                Some(("sslrootcert", path)) => {
                    // `system` is libpq's word for the system's roots.
                    let (_, path) = url::form_urlencoded::parse(pair.as_bytes())
                        .next()
                        .unwrap_or_else(|| ("sslrootcert".into(), path.to_owned().into()));
                    tls.root_cert = (path != "system").then(|| path.into_owned());
                    tls.verify |= tls.root_cert.is_none() || tls.mode == SslMode::Require;
                }
                _ => rest.push(pair),
            }
        }
        // As in libpq, `require` with a root certificate checks against it.
        tls.verify |= tls.mode == SslMode::Require && tls.root_cert.is_some();
        let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        Ok((rest, tls))
    }

    fn set_mode(&mut self, mode: &str) -> Result<(), StoreError> {
        (self.mode, self.verify) = match mode {
            "disable" => (SslMode::Disable, false),
            "allow" | "prefer" => (SslMode::Prefer, self.verify),
            "require" => (SslMode::Require, self.verify),
            "verify-ca" | "verify-full" => (SslMode::Require, true),
            other => {
                return Err(StoreError::Settings(format!(
                    "sslmode `{other}` is unknown; use disable, prefer, require or verify-full"
                )));
            }
        };
        Ok(())
    }

    /// The connector for these options.
    ///
    /// # Errors
    /// When the root certificates cannot be read.
    pub fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Settings(error.to_string()))?;
        let config = if self.verify {
            builder.with_root_certificates(self.roots()?).with_no_client_auth()
        } else {
            let unchecked = Arc::new(UncheckedName { provider });
            builder.dangerous().with_custom_certificate_verifier(unchecked).with_no_client_auth()
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        match &self.root_cert {
            Some(path) => {
                let unreadable = |cause: String| StoreError::Settings(format!("sslrootcert {path}: {cause}"));
                let certificates =
                    CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| unreadable(error.to_string()))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                    roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
                }
            }
            None => {
                // One bad certificate among the system's hundred must not stop us.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(StoreError::Settings("no root certificate was found; give one with sslrootcert".to_owned()));
        }
        Ok(roots)
    }
}

/// `sslmode=require` as libpq means it: encrypted against listeners, whoever the server is.
#[derive(Debug)]
struct UncheckedName {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for UncheckedName {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, rest: &str, mode: SslMode, verify: bool, root_cert: Option<&str>) {
        let tls = TlsOptions { mode, verify, root_cert: root_cert.map(ToOwned::to_owned) };
        assert_eq!(TlsOptions::split_from(url), Ok((rest.to_owned(), tls)));
    }

    #[test]
    fn sslmode_means_what_libpq_means_by_it() {
        check("postgres://h/d", "postgres://h/d", SslMode::Prefer, false, None);
        check("postgres://h/d?sslmode=disable", "postgres://h/d", SslMode::Disable, false, None);
        check("postgres://h/d?sslmode=require&a=b", "postgres://h/d?a=b", SslMode::Require, false, None);
        check("postgres://h/d?sslmode=verify-full", "postgres://h/d", SslMode::Require, true, None);
    }

    #[test]
    fn a_root_certificate_makes_require_check_the_server_whatever_the_order() {
        for url in [
            "postgres://h/d?sslmode=require&sslrootcert=%2Fca.pem",
            "postgres://h/d?sslrootcert=/ca.pem&sslmode=require",
        ] {
            check(url, "postgres://h/d", SslMode::Require, true, Some("/ca.pem"));
        }
    }

    #[test]
    fn an_unknown_sslmode_is_refused_with_the_known_ones() {
        let error = TlsOptions::split_from("postgres://h/d?sslmode=yes").expect_err("unknown");
        assert!(error.to_string().contains("verify-full"), "{error}");
    }
}
