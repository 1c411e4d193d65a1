//! ● One request and its whole answer, within limits. What went wrong comes back in [`Answer`]'s words.

use std::io;

use awc::{
    SendClientRequest,
    error::{ConnectError, SendRequestError},
    http::{Uri, header},
};
use futures_util::StreamExt as _;

use super::{
    client::CoreClient,
    connections::{self, NoPlace, lacks_handles},
    egress::Refusal,
    identity::TlsIdentity,
    outcome::Answer,
    settings::EndpointUrl,
};

/// A complete answer; of its body what was to be kept.
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Why there is no complete answer.
#[derive(Clone)]
pub enum Failure {
    Answer(Answer),
    /// Nothing was sent.
    Refused(Refusal),
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Failure::Answer(answer)
    }
}

/// Waits for the answer and reads its body, so that the connection can be used again; beyond
/// `answer_bytes_max` the connection is dropped instead. `keep_bytes` of the body are kept, by the answer's status.
///
/// # Errors
/// When there is no complete answer. The caller sets the deadline.
pub async fn exchange(
    client: &CoreClient,
    identity: Option<&TlsIdentity>,
    sent: SendClientRequest,
    keep_bytes: impl FnOnce(u16) -> usize,
) -> Result<Reply, Failure> {
    connections::in_use(exchange_now(client, identity, sent, keep_bytes)).await
}

async fn exchange_now(
    client: &CoreClient,
    identity: Option<&TlsIdentity>,
    sent: SendClientRequest,
    keep_bytes: impl FnOnce(u16) -> usize,
) -> Result<Reply, Failure> {
    let mut response = sent.await.map_err(|error| failure_of(&error))?;
    let status = response.status().as_u16();
    if (100..200).contains(&status) {
        // awc has put the connection back already, and the real answer is still to come on it: the next
        // request would take that for its own. No connection of this client may be used again.
        client.rebuild(identity);
    }
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body = read_body(&mut response, status, client.answer_bytes_max(), keep_bytes(status)).await?;
    Ok(Reply { status, retry_after, body })
}

/// A URL as the client library reads it, which must not see another host in it than was checked.
pub fn uri_of(url: &EndpointUrl) -> Option<Uri> {
    let (text, url) = (url.as_str(), url.url());
    text.parse::<Uri>().ok().filter(|uri| uri.host() == url.host_str() && uri.port_u16() == url.port())
}

pub fn host_header(url: &EndpointUrl) -> String {
    let host = url.url().host_str().unwrap_or_default();
    match url.url().port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

async fn read_body(
    response: &mut awc::ClientResponse,
    status: u16,
    bytes_max: usize,
    keep_bytes: usize,
) -> Result<Vec<u8>, Answer> {
    let mut kept = Vec::new();
    let mut read = 0_usize;
    while let Some(chunk) = response.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            // The status is known, so the answer stands; only a truncated 2xx is not one.
            Err(error) if (200..300).contains(&status) => return Err(Answer::Broken(error.to_string().into())),
            Err(_) => break,
        };
        kept.extend_from_slice(&chunk[..chunk.len().min(keep_bytes - kept.len())]);
        read += chunk.len();
        if read > bytes_max {
            break;
        }
    }
    Ok(kept)
}

fn failure_of(error: &SendRequestError) -> Failure {
    if let SendRequestError::Connect(ConnectError::Resolver(error)) = error
        && let Some(refusal) = error.downcast_ref::<Refusal>()
    {
        return Failure::Refused(refusal.clone());
    }
    Failure::Answer(answer_of(error))
}

fn answer_of(error: &SendRequestError) -> Answer {
    // A server may refuse our certificate after the handshake: it is still TLS that failed.
    if let Some(tls) = tls_error(error) {
        return Answer::TlsFailed(tls.to_string().into());
    }
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => Answer::Disconnected,
        SendRequestError::Connect(ConnectError::Timeout) => Answer::ConnectFailed("connecting timed out".into()),
        SendRequestError::Connect(ConnectError::Resolver(error)) if error.is::<NoPlace>() => {
            Answer::LocalFault(error.to_string().into())
        }
        SendRequestError::Connect(ConnectError::Resolver(error)) => match error.downcast_ref::<io::Error>() {
            // The system's resolver needs a handle too.
            Some(error) if is_local(error) => Answer::LocalFault(error.to_string().into()),
            _ => Answer::ResolveFailed(error.to_string().into()),
        },
        SendRequestError::Connect(ConnectError::NoRecords | ConnectError::Unresolved) => {
            Answer::ResolveFailed("the name has no address".into())
        }
        SendRequestError::Connect(ConnectError::Io(error)) if is_local(error) => {
            Answer::LocalFault(error.to_string().into())
        }
        SendRequestError::Connect(ConnectError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Answer::Refused(error.to_string().into())
        }
        // Opening a connection knows no end; the handshake after it does.
        SendRequestError::Connect(ConnectError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Answer::TlsFailed(error.to_string().into())
        }
        SendRequestError::Connect(error) => Answer::ConnectFailed(error.to_string().into()),
        SendRequestError::Send(error) => Answer::Broken(error.to_string().into()),
        SendRequestError::Response(error) if is_io(error) => Answer::Broken(error.to_string().into()),
        SendRequestError::Timeout => Answer::TimedOut,
        error => Answer::Malformed(error.to_string().into()),
    }
}

/// rustls hands its own errors on inside an `io::Error`.
fn tls_error(error: &SendRequestError) -> Option<&rustls::Error> {
    let io = match error {
        SendRequestError::Connect(ConnectError::Io(io)) | SendRequestError::Send(io) => io,
        SendRequestError::Response(error) => std::error::Error::source(error)?.downcast_ref::<io::Error>()?,
        _ => return None,
    };
    io.get_ref()?.downcast_ref()
}

/// The connection broke while the answer's head was read.
fn is_io(error: &dyn std::error::Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

/// Errors of this machine rather than of the endpoint: no handles, no buffers, no local port, no route at all.
fn is_local(error: &io::Error) -> bool {
    const EADDRNOTAVAIL: i32 = 99;
    const ENETDOWN: i32 = 100;
    const ENETUNREACH: i32 = 101;
    const ENOBUFS: i32 = 105;
    lacks_handles(error) || matches!(error.raw_os_error(), Some(EADDRNOTAVAIL | ENETDOWN | ENETUNREACH | ENOBUFS))
}
