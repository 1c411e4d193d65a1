//! ● HTTP/2 towards an endpoint that offers it: its requests share a few connections.
//!
//! The connections are an endpoint's own, so that no endpoint waits for the streams or the windows of another one at the
//! same host. One is opened at a time, and more than one only when the server's limit of streams is reached; whoever
//! comes in the meantime waits for it, and shares its failure. A host that does not choose HTTP/2, or whose HTTP/2
//! misbehaves, is spoken to by HTTP/1.1 for a while ([`Protocols`](super::protocols::Protocols)).

mod connection; // one of them
mod stream_errors; // ○ what an error says of a request
mod stream; // one exchange on it
mod tls_note; // why TLS ended a connection

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    time::Instant,
};

use http::{Request, Uri};
use tokio::sync::Notify;

pub use self::connection::Http2Connection;
use self::{
    connection::Http2Host,
    stream::{Http2Stream, StreamFailure},
};
use super::{
    client::CoreClient,
    connection::EndpointConnection,
    connections::Destination,
    connector::WantedConnection,
    http_exchange::{ExchangeFailure, HttpReply, KeepBytes},
    protocols::KnownProtocol,
    tls::Offer,
};
use crate::{clock, model::outcome::Answer};

/// The connections of one endpoint to its host.
pub struct Http2Connections {
    /// Key of those that nobody uses.
    kept_as: Rc<Destination>,
    /// Scheme, authority, path and query.
    uri: Uri,
    /// In use: each is held by its streams. One without is kept with all that nobody uses.
    used: RefCell<Vec<Weak<Http2Connection>>>,
    opening: Opening,
    /// A stream has ended, a connection is there, or a limit is another one.
    changed: Rc<Notify>,
}

/// The state of the connection that is being opened.
#[derive(Default)]
struct Opening {
    is_under_way: Cell<bool>,
    /// Number of those that have ended.
    ended: Cell<u64>,
    /// The reason why the last of them failed.
    failed: RefCell<Option<ExchangeFailure>>,
}

/// A way for one request.
enum Lease {
    Stream(Http2Stream),
    Http1(EndpointConnection),
}

/// The end of an exchange that was asked of HTTP/2.
pub enum SharedExchange {
    Ended(HttpReply),
    /// HTTP/1.1 is spoken there.
    OverHttp1(EndpointConnection),
}

impl Http2Connections {
    #[must_use]
    pub fn new(destination: &Destination, endpoint: &Arc<str>, uri: Uri) -> Self {
        let kept_as = Destination { sharer: Some(Arc::clone(endpoint)), ..destination.clone() };
        Http2Connections {
            kept_as: Rc::new(kept_as),
            uri,
            used: RefCell::default(),
            opening: Opening::default(),
            changed: Rc::default(),
        }
    }

    /// Sends a request and waits for its answer. What the server surely did not process goes again at once.
    ///
    /// # Errors
    /// When there is no complete answer. The caller sets the deadline.
    pub async fn exchange(
        &self,
        client: &CoreClient,
        wanted: &WantedConnection<'_>,
        request: &Request<bytes::Bytes>,
        keep_bytes: &KeepBytes<'_>,
    ) -> Result<SharedExchange, ExchangeFailure> {
        let mut refused = Answer::Disconnected;
        for _ in 0..TRIES_MAX {
            let mut stream = match self.lease(client, wanted).await? {
                Lease::Stream(stream) => stream,
                Lease::Http1(connection) => return Ok(SharedExchange::OverHttp1(connection)),
            };
            match stream.exchange(request, &self.uri, client.answer_bytes_max(), keep_bytes).await {
                Ok(reply) => return Ok(SharedExchange::Ended(reply)),
                Err(StreamFailure::Answer(answer)) => return Err(answer.into()),
                Err(StreamFailure::NotProcessed(answer)) => refused = answer,
            }
        }
        Err(refused.into())
    }

    async fn lease(&self, client: &CoreClient, wanted: &WantedConnection<'_>) -> Result<Lease, ExchangeFailure> {
        let ended_before = self.opening.ended.get();
        loop {
            let now = clock::now();
            let known = client.connector().protocols.borrow_mut().of(wanted.destination, now);
            if known == KnownProtocol::Http1 {
                return client.connection(wanted).await.map(Lease::Http1);
            }
            if let Some(stream) = self.stream(client, now) {
                return Ok(Lease::Stream(stream));
            }
            if known == KnownProtocol::Http1Before
                && let Some(kept) = client.connections().take(wanted.destination, now)
            {
                return Ok(Lease::Http1(kept));
            }
            if let Some(failure) = self.failure_since(ended_before, now) {
                return Err(failure);
            }
            let changed = self.changed.notified();
            if self.may_open(now) {
                return self.open(client, wanted, known).await;
            }
            changed.await;
        }
    }

    /// A stream on a connection that is open and has room.
    fn stream(&self, client: &CoreClient, now: Instant) -> Option<Http2Stream> {
        let used = self.used(now);
        let connection = match used.iter().find(|connection| connection.room() > 0) {
            Some(connection) => Rc::clone(connection),
            None if used.len() < CONNECTIONS_MAX => {
                let kept = client.connections().take_http2(&self.kept_as, now)?;
                kept.serve(&self.changed);
                self.used.borrow_mut().push(Rc::downgrade(&kept));
                kept
            }
            None => return None,
        };
        connection.stream(client.connections(), &self.kept_as, now)
    }

    /// Connections with streams that take more of them, in time. The others end with their last stream.
    fn used(&self, now: Instant) -> Vec<Rc<Http2Connection>> {
        let mut used = Vec::new();
        self.used.borrow_mut().retain(|connection| {
            let connection =
                connection.upgrade().filter(|connection| connection.has_streams() && connection.is_usable(now));
            used.extend(connection.clone());
            connection.is_some()
        });
        used
    }

    /// One after the other, and only when all that are open are as full as the server allows.
    fn may_open(&self, now: Instant) -> bool {
        let used = self.used(now);
        !self.opening.is_under_way.get()
            && used.len() < CONNECTIONS_MAX
            && used.iter().all(|connection| connection.is_settled())
    }

    /// The failure of a connection that somebody else opened in the meantime, where there is no other.
    fn failure_since(&self, ended_before: u64, now: Instant) -> Option<ExchangeFailure> {
        let has_ended = self.opening.ended.get() > ended_before;
        let failed = self.opening.failed.borrow().clone().filter(|_| has_ended)?;
        self.used(now).is_empty().then_some(failed)
    }

    async fn open(
        &self,
        client: &CoreClient,
        wanted: &WantedConnection<'_>,
        known: KnownProtocol,
    ) -> Result<Lease, ExchangeFailure> {
        let _turn = Turn::take(self);
        let connector = client.connector();
        if known == KnownProtocol::Http1Before {
            connector.protocols.borrow_mut().is_asked(Rc::clone(wanted.destination), clock::now());
        }
        let connected = connector.connect(wanted, Offer::Http2).await;
        *self.opening.failed.borrow_mut() = connected.as_ref().err().cloned();
        self.opening.ended.set(self.opening.ended.get() + 1);
        let connection = connected?;
        if !connection.speaks_http2() {
            connector.protocols.borrow_mut().is_http1(Rc::clone(wanted.destination), clock::now());
            return Ok(Lease::Http1(connection));
        }
        connector.protocols.borrow_mut().is_http2(wanted.destination);
        let host = Http2Host::new(Rc::clone(wanted.destination), Rc::clone(&connector.protocols));
        let connection = Http2Connection::begin(connection, host, &self.changed).await;
        let connection = connection.map_err(|_| Answer::Disconnected)?;
        let stream = connection.stream(client.connections(), &self.kept_as, clock::now());
        let stream = stream.ok_or(Answer::Disconnected)?;
        self.used.borrow_mut().push(Rc::downgrade(&connection));
        Ok(Lease::Stream(stream))
    }
}

/// The turn to open a connection; however it ends, those who wait look again.
struct Turn<'a>(&'a Http2Connections);

impl<'a> Turn<'a> {
    fn take(of: &'a Http2Connections) -> Self {
        of.opening.is_under_way.set(true);
        Turn(of)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.opening.is_under_way.set(false);
        self.0.changed.notify_waiters();
    }
}

/// Connections of an endpoint that are used at once.
const CONNECTIONS_MAX: usize = 4;
/// A server that again and again takes no request has had enough of them.
const TRIES_MAX: usize = 3;

#[cfg(test)]
mod tests;
