//! ● One HTTP/1.1 connection to an endpoint.
//!
//! Whoever exchanges something on it drives it; nobody does while it is kept. Interim answers (1xx) are passed over, folded
//! header lines are unfolded, and an answer may have some hundred headers: what a browser takes is taken.

use std::{
    cell::Cell,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::connections::Place;

/// A connection, until it is dropped: then it is closed.
pub struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    ends_at: Instant,
    /// Bytes that came on it.
    read_bytes: Rc<Cell<u64>>,
    _place: Place,
}

/// The connection's own work; nothing once that has ended: what waits for it hears so when it is dropped.
struct Driver(Option<http1::Connection<TokioIo<Counted>, Full<Bytes>>>);

/// How bytes travel.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl HttpConnection {
    /// Speaks HTTP on a stream.
    ///
    /// # Errors
    /// Never, as the library is today.
    pub async fn new(stream: Stream, place: Place, ends_at: Instant) -> hyper::Result<Self> {
        let read_bytes = Rc::<Cell<u64>>::default();
        let counted = Counted { stream, read_bytes: Rc::clone(&read_bytes) };
        let (sender, connection) = http1::Builder::new()
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(counted))
            .await?;
        place.is_open_now();
        Ok(HttpConnection { sender, driver: Driver(Some(connection)), ends_at, read_bytes, _place: place })
    }

    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.ends_at
    }

    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
    }

    /// Nothing has come on a kept connection, not even its end.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        self.driver.poll(&mut Context::from_waker(noop_waker_ref()));
        self.driver.0.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let answer = self.sender.send_request(request);
        self.driver.drive(answer).await
    }

    /// Waits for something that comes on this connection.
    pub async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.driver.drive(work).await
    }
}

impl Driver {
    /// Errors are told to whoever waits for an answer.
    fn poll(&mut self, task: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(task).is_ready()
        {
            self.0 = None;
        }
    }

    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|task| {
            self.poll(task);
            work.as_mut().poll(task)
        })
        .await
    }
}

struct Counted {
    stream: Stream,
    read_bytes: Rc<Cell<u64>>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(task, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(task, buffer),
        };
        self.read_bytes.set(self.read_bytes.get() + (buffer.filled().len() - before) as u64);
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(task, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(task, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(task, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(task, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(task),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(task),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(task),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(task),
        }
    }
}

/// The other side is told that this was the end, if that takes no waiting.
impl Drop for Stream {
    fn drop(&mut self) {
        if let Stream::Tls(stream) = self {
            let _ = Pin::new(stream).poll_shutdown(&mut Context::from_waker(noop_waker_ref()));
        }
    }
}

/// Common servers and gateways send at most about a hundred.
const HEADERS_MAX: usize = 256;
/// A longer head is no answer.
const BUFFER_BYTES_MAX: usize = 131_072;
