//! ● The collector's HTTP client. It blocks, and so it may be used by the SDK's own threads alone.

use std::{fmt, sync::Arc};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use secrecy::{ExposeSecret as _, SecretString};
use ureq::{
    Agent,
    http::{HeaderName, HeaderValue},
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::OtlpOptions;

/// Address of the collector, and the headers of requests to it. Its `Debug` shows neither.
pub(super) struct Collector {
    agent: Agent,
    headers: Vec<(HeaderName, SecretString)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("otlp.headers has a name or a value that no request can have")]
    Header,
}

impl Collector {
    pub(super) fn new(options: &OtlpOptions) -> Result<Self, ClientError> {
        let mut headers = Vec::new();
        for (name, value) in options.header_pairs() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ClientError::Header)?;
            HeaderValue::from_str(value).map_err(|_| ClientError::Header)?;
            headers.push((name, SecretString::from(value)));
        }
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(roots())
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(options.timeout))
            .max_redirects(0)
            .http_status_as_error(false) // the exporter knows what to make of one
            .user_agent(concat!("postrider/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Collector { agent, headers })
    }

    fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(value.expose_secret())?;
            value.set_sensitive(true);
            parts.headers.insert(name, value);
        }
        let answer = self.agent.run(Request::from_parts(parts, &*body))?;
        let (parts, body) = answer.into_parts();
        let body = body.into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.exchange(request)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

/// The machine's, or Mozilla's where the machine has none.
fn roots() -> RootCerts {
    let native = rustls_native_certs::load_native_certs().certs;
    if native.is_empty() {
        return RootCerts::WebPki;
    }
    RootCerts::from(native.iter().map(|certificate| Certificate::from_der(certificate).to_owned()))
}

/// A collector has little to say.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
