//! ● One exchange of HTTP/1.1 on a connection to an endpoint.
//!
//! Whoever exchanges something drives it; between two exchanges there is only the connection. Interim answers (1xx) are
//! passed over, folded header lines are unfolded, and an answer may have some hundred headers: what a browser takes is
//! taken.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    rc::Rc,
    task::Context,
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

use super::connection::EndpointConnection;

/// A connection with HTTP's state, which is large: some 30 kB, most of it the library's buffers and queue.
pub struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// Bytes that came on the connection.
    read_bytes: Rc<Cell<u64>>,
}

/// The connection's own work; nothing once that has ended: what waits for it hears so when it is dropped.
struct Driver(Option<http1::Connection<TokioIo<EndpointConnection>, Full<Bytes>>>);

impl HttpConnection {
    /// Speaks HTTP on a connection.
    ///
    /// # Errors
    /// Never, as the library is today.
    pub async fn begin(connection: EndpointConnection) -> hyper::Result<Self> {
        let read_bytes = connection.read_bytes();
        let (sender, connection) = http1::Builder::new()
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(connection))
            .await?;
        Ok(HttpConnection { sender, driver: Driver(Some(connection)), read_bytes })
    }

    /// The connection, when its exchange is over and another one may follow: not when either side said that this was the
    /// last, or when more has come than the answer.
    #[must_use]
    pub fn end(mut self) -> Option<EndpointConnection> {
        self.driver.poll(&mut Context::from_waker(noop_waker_ref()));
        if !self.sender.is_ready() {
            return None;
        }
        let parts = self.driver.0?.into_parts();
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }

    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
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

/// Common servers and gateways send at most about a hundred.
const HEADERS_MAX: usize = 256;
/// A longer head is no answer.
const BUFFER_BYTES_MAX: usize = 131_072;
