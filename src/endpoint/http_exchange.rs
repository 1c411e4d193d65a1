//! ● One request and its whole answer, within limits. What went wrong comes back in [`Answer`]'s words.

use std::{error::Error as _, io, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, Request, Response, StatusCode, Uri, Version,
    header::{self, HeaderName},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};

use super::{
    client::CoreClient,
    connection::EndpointConnection,
    connections::{Destination, Security},
    connector::WantedConnection,
    egress::Refusal,
    http_connection::HttpConnection,
    http2::{Http2Connections, SharedExchange},
    tls::in_words,
    waits::Waits,
};
use crate::{
    clock,
    model::{outcome::Answer, tls_identity::TlsIdentity, url::EndpointUrl},
};

/// A complete answer; of its body what was to be kept.
pub struct HttpReply {
    pub status: u16,
    pub retry_after: Option<String>,
    /// The target of a redirect, which nobody follows.
    pub location: Option<String>,
    pub body: Vec<u8>,
}

impl HttpReply {
    /// Reply made of its head; the body is still to come.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        HttpReply {
            status: status.as_u16(),
            retry_after: text(header::RETRY_AFTER),
            location: text(header::LOCATION).filter(|_| status.is_redirection()),
            body: Vec::new(),
        }
    }
}

/// Number of a body's bytes that are kept, by the status.
pub type KeepBytes<'a> = dyn Fn(u16) -> usize + 'a;

/// The reason why there is no complete answer.
#[derive(Clone, Debug)]
pub enum ExchangeFailure {
    Answer(Answer),
    /// Nothing was sent.
    Refused(Refusal),
}

impl From<Answer> for ExchangeFailure {
    fn from(answer: Answer) -> Self {
        ExchangeFailure::Answer(answer)
    }
}

/// The way of requests to a URL: the same for each of them.
#[derive(Clone)]
pub struct Way {
    destination: Rc<Destination>,
    identity: Option<Arc<TlsIdentity>>,
    /// Path and query, as they stand in a request.
    pub uri: Uri,
    pub host: String,
    /// Its shared connections, where HTTP/2 may be spoken.
    http2: Option<Rc<Http2Connections>>,
}

impl Way {
    /// `None` when no request line can hold the URL.
    #[must_use]
    pub fn to(url: &EndpointUrl, identity: Option<&Arc<TlsIdentity>>) -> Option<Self> {
        let url = url.url();
        let is_tls = url.scheme() == "https";
        let identity = identity.filter(|_| is_tls).cloned();
        let security = match &identity {
            Some(identity) => Security::TlsIdentity(*identity.fingerprint()),
            None if is_tls => Security::Tls,
            None => Security::Plain,
        };
        let host = url.host_str()?;
        let destination = Destination { host: host.into(), port: url.port_or_known_default()?, security, sharer: None };
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let uri = url[url::Position::BeforePath..url::Position::AfterQuery].parse().ok()?;
        Some(Way { destination: Rc::new(destination), identity, uri, host, http2: None })
    }

    /// The same, by HTTP/2 where it is offered; on connections that this endpoint's requests share.
    #[must_use]
    pub fn with_http2(self, endpoint: &Arc<str>) -> Self {
        let is_tls = self.destination.security != Security::Plain;
        let uri: Option<Uri> = format!("https://{}{}", self.host, self.uri).parse().ok().filter(|_| is_tls);
        let http2 = uri.map(|uri| Rc::new(Http2Connections::new(&self.destination, endpoint, uri)));
        Way { http2, ..self }
    }
}

/// Sends a request out of a customer's share, and waits for its answer. `keep_bytes` of the body are kept, by the status.
///
/// # Errors
/// When there is no complete answer. The caller sets the deadline.
pub async fn exchange(
    client: &CoreClient,
    customer: &Arc<str>,
    way: &Way,
    waits: &Waits,
    request: Request<Bytes>,
    keep_bytes: &KeepBytes<'_>,
) -> Result<HttpReply, ExchangeFailure> {
    let identity = way.identity.as_deref();
    let is_tls = way.destination.security != Security::Plain;
    let wanted = WantedConnection { customer, destination: &way.destination, identity, is_tls, waits };
    let connection = match &way.http2 {
        None => client.connection(&wanted).await?,
        Some(http2) => match http2.exchange(client, &wanted, &request, keep_bytes).await? {
            SharedExchange::Ended(reply) => return Ok(reply),
            SharedExchange::OverHttp1(connection) => connection,
        },
    };
    exchange_http1(client, way, connection, request, keep_bytes).await
}

/// Reads the body as well, so that the connection can be used again; beyond `answer_bytes_max` it is closed instead.
async fn exchange_http1(
    client: &CoreClient,
    way: &Way,
    connection: EndpointConnection,
    request: Request<Bytes>,
    keep_bytes: &KeepBytes<'_>,
) -> Result<HttpReply, ExchangeFailure> {
    let mut request = request.map(Full::new);
    *request.uri_mut() = way.uri.clone();
    let mut connection = HttpConnection::begin(connection).await.map_err(|error| answer_of(&error, false))?;
    let read_before = connection.read_bytes();
    let response = connection.send(request).await;
    let has_begun = connection.read_bytes() > read_before;
    let mut response = response.map_err(|error| answer_of(&error, has_begun))?;
    let mut reply = HttpReply::of(response.status(), response.headers());
    let limits = BodyLimits { bytes_max: client.answer_bytes_max(), keep_bytes: keep_bytes(reply.status) };
    let (body, is_whole) = read_body(&mut connection, &mut response, limits).await?;
    drop(response);
    if is_whole && let Some(connection) = connection.end() {
        client.connections().keep(&way.destination, connection, clock::now());
    }
    reply.body = body;
    Ok(reply)
}

#[derive(Clone, Copy)]
struct BodyLimits {
    bytes_max: usize,
    keep_bytes: usize,
}

/// Reads the part of the body that is kept, and says whether it came to its end.
async fn read_body(
    connection: &mut HttpConnection,
    response: &mut Response<Incoming>,
    limits: BodyLimits,
) -> Result<(Vec<u8>, bool), Answer> {
    if !says_no_end(response) {
        return read_to_end(connection, response, limits).await;
    }
    // Its end would be that of the connection, which the server means to keep: nothing may be coming at all.
    if limits.keep_bytes == 0 {
        return Ok((Vec::new(), false));
    }
    let read = tokio::time::timeout(ENDLESS_BODY, read_to_end(connection, response, limits)).await;
    Ok((read.unwrap_or_else(|_| Ok((Vec::new(), false)))?.0, false))
}

async fn read_to_end(
    connection: &mut HttpConnection,
    response: &mut Response<Incoming>,
    limits: BodyLimits,
) -> Result<(Vec<u8>, bool), Answer> {
    let mut kept = Vec::new();
    let mut read = 0_usize;
    while let Some(frame) = connection.drive(response.body_mut().frame()).await {
        let frame = match frame {
            Ok(frame) => frame,
            // The status is known, so the answer stands; only a truncated 2xx is not one.
            Err(error) if response.status().is_success() => return Err(Answer::Broken(words(&error).into())),
            Err(_) => return Ok((kept, false)),
        };
        let Ok(chunk) = frame.into_data() else { continue };
        kept.extend_from_slice(&chunk[..chunk.len().min(limits.keep_bytes - kept.len())]);
        read += chunk.len();
        if read > limits.bytes_max {
            return Ok((kept, false));
        }
    }
    Ok((kept, true))
}

/// An answer of HTTP/1.1 that says neither how long its body is nor that the connection ends with it.
fn says_no_end(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    response.version() == Version::HTTP_11
        && !response.body().is_end_stream()
        && [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().all(|name| !headers.contains_key(name))
        && !headers.get_all(header::CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// `has_begun`: something of an answer came.
fn answer_of(error: &hyper::Error, has_begun: bool) -> Answer {
    // A server may refuse our certificate after the handshake: it is still TLS that failed.
    if let Some(tls) = tls_error(error) {
        return Answer::TlsFailed(in_words(tls).into());
    }
    if error.is_parse() {
        return Answer::Malformed(words(error).into());
    }
    if !has_begun && (error.is_incomplete_message() || error.is_canceled() || error.is_closed()) {
        return Answer::Disconnected;
    }
    Answer::Broken(words(error).into())
}

/// rustls hands its own errors on inside an `io::Error`, and the library that one inside its own.
fn tls_error(error: &hyper::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.get_ref()?.downcast_ref();
        }
        source = error.source();
    }
    None
}

fn words(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// For what such an answer says of itself.
const ENDLESS_BODY: Duration = Duration::from_secs(1);
