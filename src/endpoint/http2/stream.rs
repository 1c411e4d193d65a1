//! ● One exchange of HTTP/2, on a stream of a connection that others use as well.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http::{
    HeaderMap, Request, StatusCode, Uri, Version,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    connection::{ANSWER_WINDOW, Http2Connection},
    stream_errors::{in_words, stream_error},
};
use crate::{
    clock,
    endpoint::{
        connections::{Connections, Destination},
        http_exchange::{HttpReply, KeepBytes},
        stream_errors::RequestEnd,
    },
    model::outcome::Answer,
};

/// A place for one exchange on a connection, until it is dropped.
pub(super) struct Http2Stream {
    sender: SendRequest<Bytes>,
    connection: Rc<Http2Connection>,
    kept_in: Connections,
    kept_as: Rc<Destination>,
    /// It was not given up.
    has_ended: bool,
}

/// The reason why there is no answer.
pub(super) enum StreamFailure {
    Answer(Answer),
    /// Surely nothing was done with the request.
    NotProcessed,
}

/// A body on its way. One that is not sent before the exchange has ended is taken back: nobody waits for the window that it
/// waits for.
struct Upload {
    stream: SendStream<Bytes>,
    held: Arc<()>,
}

/// A body's bytes, and the sign that somebody still holds them.
struct HeldBody {
    bytes: Bytes,
    _held: Arc<()>,
}

impl Upload {
    /// The library holds the body until the windows allow it. An error of it is told by the answer.
    fn begin(mut stream: SendStream<Bytes>, bytes: Bytes) -> Self {
        let held = Arc::new(());
        if !bytes.is_empty() {
            let _ = stream.send_data(Bytes::from_owner(HeldBody { bytes, _held: Arc::clone(&held) }), true);
        }
        Upload { stream, held }
    }
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Without a reset the library would keep the rest, and count the stream, for as long as there is the connection.
impl Drop for Upload {
    fn drop(&mut self) {
        if Arc::strong_count(&self.held) > 1 {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

impl Http2Stream {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        connection: Rc<Http2Connection>,
        kept_in: Connections,
        kept_as: Rc<Destination>,
    ) -> Self {
        Http2Stream { sender, connection, kept_in, kept_as, has_ended: false }
    }

    /// Sends a request and reads its answer, up to `bytes_max`.
    pub(super) async fn exchange(
        &mut self,
        request: &Request<Bytes>,
        uri: &Uri,
        bytes_max: usize,
        keep_bytes: &KeepBytes<'_>,
    ) -> Result<HttpReply, StreamFailure> {
        let result = self.send_and_read(request, uri, bytes_max, keep_bytes).await;
        self.has_ended = true;
        result
    }

    async fn send_and_read(
        &mut self,
        request: &Request<Bytes>,
        uri: &Uri,
        bytes_max: usize,
        keep_bytes: &KeepBytes<'_>,
    ) -> Result<HttpReply, StreamFailure> {
        let body = request.body();
        self.connection.watch.begin_request(body.len());
        let sent = self.sender.send_request(head_of(request, uri), body.is_empty());
        let (answer, sending) = sent.map_err(|error| self.not_begun(&error))?;
        let _upload = Upload::begin(sending, body.clone());
        let (head, body) = answer.await.map_err(|error| self.failure(&error))?.into_parts();
        let mut reply = HttpReply::of(head.status, &head.headers);
        reply.body = self.read(body, head.status, bytes_max, keep_bytes(reply.status)).await?;
        Ok(reply)
    }

    /// Reads a body; beyond `bytes_max` the stream is reset instead, as it is dropped.
    async fn read(
        &self,
        mut body: RecvStream,
        status: StatusCode,
        bytes_max: usize,
        keep_bytes: usize,
    ) -> Result<Vec<u8>, StreamFailure> {
        let (mut kept, mut read) = (Vec::new(), 0_usize);
        while let Some(chunk) = body.data().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.connection.failed(&error);
                    // The status is known, so the answer stands; only a truncated 2xx is not one.
                    if status.is_success() {
                        return Err(StreamFailure::Answer(Answer::Broken(in_words(&error).into())));
                    }
                    break;
                }
            };
            kept.extend_from_slice(&chunk[..chunk.len().min(keep_bytes - kept.len())]);
            read += chunk.len();
            self.connection.watch.give_back(chunk.len());
            if read > bytes_max {
                self.connection.watch.give_back(ANSWER_WINDOW as usize);
                break;
            }
            let _of_ended_stream = body.flow_control().release_capacity(chunk.len());
        }
        Ok(kept)
    }

    /// The connection took no more, or the request cannot be sent at all.
    fn not_begun(&self, error: &h2::Error) -> StreamFailure {
        match stream_error(error).before_the_request() {
            RequestEnd::NotProcessed => StreamFailure::NotProcessed,
            _ => StreamFailure::Answer(Answer::Broken(in_words(error).into())),
        }
    }

    fn failure(&self, error: &h2::Error) -> StreamFailure {
        // A server may refuse our certificate after the handshake: it is still TLS that failed.
        if let Some(tls) = self.connection.tls_failure() {
            return StreamFailure::Answer(Answer::TlsFailed(tls));
        }
        let text = || in_words(error).into();
        match self.connection.failed(error).of_request {
            RequestEnd::NotProcessed => StreamFailure::NotProcessed,
            RequestEnd::Lost => StreamFailure::Answer(Answer::Disconnected),
            RequestEnd::BrokenOff => StreamFailure::Answer(Answer::Broken(text())),
            RequestEnd::Malformed => StreamFailure::Answer(Answer::Malformed(text())),
        }
    }
}

/// A request that was given up takes its connection with it, as one of HTTP/1.1 does: the next ones go elsewhere, and those
/// that are under way come to their ends.
impl Drop for Http2Stream {
    fn drop(&mut self) {
        let connection = &self.connection;
        if !self.has_ended {
            connection.is_given_up();
        }
        let now = clock::now();
        if connection.stream_ended() && connection.is_usable(now) {
            self.kept_in.keep_http2(&self.kept_as, Rc::clone(connection), now);
        }
    }
}

/// The request's head, without what is the connection's in HTTP/1.1.
fn head_of(request: &Request<Bytes>, uri: &Uri) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = uri.clone();
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers_of(request);
    head
}

fn headers_of(request: &Request<Bytes>) -> HeaderMap {
    let mut headers = request.headers().clone();
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(request.body().len()));
    headers
}

/// RFC 9113, section 8.2.2; the host is the authority.
const OF_A_CONNECTION: [HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
