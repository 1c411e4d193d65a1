//! ● HTTP/2 towards an endpoint that offers it: its requests share a few connections.
//!
//! The connections are an endpoint's own, so that no endpoint waits for the streams or the windows of another one at the
//! same host. One is opened at a time, and more than one only when the server's limit of streams is reached; whoever
//! comes in the meantime waits for it in a line, and shares its failure. A host that does not choose HTTP/2, or an endpoint
//! whose HTTP/2 misbehaves, is spoken to by HTTP/1.1 for a while ([`Protocols`](super::protocols::Protocols)).

mod connection; // one of them
mod line; // who waits for a place on them
mod stream; // one exchange on it
mod stream_errors; // ○ the library's errors in our words
mod watched_connection; // how much comes on it, and why TLS ended it

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Uri};

pub use self::connection::Http2Connection;
use self::{
    connection::Http2Host,
    line::{Line, Place},
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
    /// Requests that wait until a stream has ended, a connection is there, or a limit is another one.
    line: Rc<Line>,
}

/// The state of the connection that is being opened.
#[derive(Default)]
struct Opening {
    is_under_way: Cell<bool>,
    /// Number of those that have ended.
    ended: Cell<u64>,
    /// The reason why the last of them failed, and when.
    failed: RefCell<Option<(ExchangeFailure, Instant)>>,
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
            line: Rc::default(),
        }
    }

    /// Sends a request and waits for its answer. What the server surely did not process goes again, up to twice.
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
        for pause in PAUSES {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let mut stream = match self.lease(client, wanted).await? {
                Lease::Stream(stream) => stream,
                Lease::Http1(connection) => return Ok(SharedExchange::OverHttp1(connection)),
            };
            match stream.exchange(request, &self.uri, client.answer_bytes_max(), keep_bytes).await {
                Ok(reply) => return Ok(SharedExchange::Ended(reply)),
                Err(StreamFailure::Answer(answer)) => return Err(answer.into()),
                Err(StreamFailure::NotProcessed) => {}
            }
        }
        Err(Answer::Disconnected.into())
    }

    /// In turn: what changes is looked at by the first in line, who wakes the next as it leaves.
    async fn lease(&self, client: &CoreClient, wanted: &WantedConnection<'_>) -> Result<Lease, ExchangeFailure> {
        let ended_before = self.opening.ended.get();
        let mut place: Option<Place<'_>> = None;
        loop {
            let now = clock::now();
            let known = self.known(client, wanted, now);
            if known == KnownProtocol::Http1 {
                drop(place);
                return client.connection(wanted).await.map(Lease::Http1);
            }
            let is_next = place.as_ref().map_or_else(|| self.line.is_empty(), Place::is_first);
            if is_next && let Some(stream) = self.stream(client, now) {
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
            if is_next && self.may_open(now) {
                drop(place.take());
                let opened = self.open(client, wanted, known).await;
                if opened.is_ok() || self.used(clock::now()).is_empty() {
                    return opened;
                }
                // One more would have been quicker; those that are there go on taking requests.
                place = Some(self.line.join_first());
                continue;
            }
            match &place {
                Some(place) => self.wait(place, wanted).await,
                None => {
                    place = Some(self.line.join());
                    self.look_up(client, wanted).await;
                }
            }
        }
    }

    /// Until something has changed. A server that is long in taking a connection takes this request's time as well; one that
    /// allows few streams does not, as those who have them end in time.
    async fn wait(&self, place: &Place<'_>, wanted: &WantedConnection<'_>) {
        let now = clock::now();
        if self.opening.is_under_way.get() && self.used(now).is_empty() {
            return place.changed().await;
        }
        wanted.waits.begin_for_stream(now);
        place.changed().await;
        wanted.waits.end_for_stream(clock::now());
    }

    /// The protocol that is known of the host, and of the endpoint there.
    fn known(&self, client: &CoreClient, wanted: &WantedConnection<'_>, now: Instant) -> KnownProtocol {
        let mut protocols = client.connector().protocols.borrow_mut();
        protocols.of(wanted.destination, now).max(protocols.of(&self.kept_as, now))
    }

    /// Waits for the host's name with whoever opens the connection: so that time waited for our share of look-ups is known as
    /// such to everybody who waits. How it ends they hear of whoever opens.
    async fn look_up(&self, client: &CoreClient, wanted: &WantedConnection<'_>) {
        if self.opening.is_under_way.get() {
            let (host, port) = (&*wanted.destination.host, wanted.destination.port);
            let looked_up = client.connector().resolver.addresses(wanted.customer, host, port, wanted.waits).await;
            drop(looked_up);
        }
    }

    /// A stream on a connection that is open and has room.
    fn stream(&self, client: &CoreClient, now: Instant) -> Option<Http2Stream> {
        let used = self.used(now);
        let connection = match used.iter().find(|connection| connection.room() > 0) {
            Some(connection) => Rc::clone(connection),
            None if used.len() < CONNECTIONS_MAX => {
                let kept = client.connections().take_http2(&self.kept_as, now)?;
                kept.serve(&self.line);
                self.used.borrow_mut().push(Rc::downgrade(&kept));
                kept
            }
            None => return None,
        };
        connection.stream(client.connections(), &self.kept_as, now)
    }

    /// Connections with streams that take more of them, in time. The others end with their last stream.
    fn used(&self, now: Instant) -> Vec<Rc<Http2Connection>> {
        let with_streams = self.with_streams();
        with_streams.into_iter().filter(|connection| connection.is_usable(now)).collect()
    }

    fn with_streams(&self) -> Vec<Rc<Http2Connection>> {
        let mut with_streams = Vec::new();
        self.used.borrow_mut().retain(|connection| {
            let connection = connection.upgrade().filter(|connection| connection.has_streams());
            with_streams.extend(connection.clone());
            connection.is_some()
        });
        with_streams
    }

    /// One after the other, and only when all that are open are as full as the server allows; where some are, not again soon
    /// after one was refused.
    fn may_open(&self, now: Instant) -> bool {
        let used = self.used(now);
        !self.opening.is_under_way.get()
            && (used.is_empty() || self.failed_lately(now).is_none())
            && used.len() < CONNECTIONS_MAX
            && self.used.borrow().len() < WITH_STREAMS_MAX
            && used.iter().all(|connection| connection.is_settled() && connection.room() == 0)
    }

    /// The failure of a connection that somebody else opened in the meantime, where there is no other.
    fn failure_since(&self, ended_before: u64, now: Instant) -> Option<ExchangeFailure> {
        let has_ended = self.opening.ended.get() > ended_before;
        let failed = self.failed_lately(now).filter(|_| has_ended)?;
        self.used(now).is_empty().then_some(failed)
    }

    /// The failure of the last connection that was opened, as long as it says something of the next.
    fn failed_lately(&self, now: Instant) -> Option<ExchangeFailure> {
        let failed = self.opening.failed.borrow();
        let (failure, _) = failed.as_ref().filter(|(_, at)| now.saturating_duration_since(*at) < FAILURE_HOLDS)?;
        Some(failure.clone())
    }

    async fn open(
        &self,
        client: &CoreClient,
        wanted: &WantedConnection<'_>,
        known: KnownProtocol,
    ) -> Result<Lease, ExchangeFailure> {
        let _turn = Turn::take(self);
        let connector = client.connector();
        let began_at = clock::now();
        if known == KnownProtocol::Http1Before {
            self.is_asked(client, wanted, began_at);
        }
        let connected = connector.connect(wanted, Offer::Http2).await;
        *self.opening.failed.borrow_mut() = connected.as_ref().err().map(|error| (error.clone(), clock::now()));
        self.opening.ended.set(self.opening.ended.get() + 1);
        let connection = connected?;
        if !connection.speaks_http2() {
            connector.protocols.borrow_mut().is_http1(Rc::clone(wanted.destination), clock::now());
            return Ok(Lease::Http1(connection));
        }
        self.is_http2(client, wanted, began_at);
        let host = Http2Host::new(Rc::clone(&self.kept_as), Rc::clone(&connector.protocols));
        let connection = Http2Connection::begin(connection, host, &self.line).await;
        let connection = connection.map_err(|_| Answer::Disconnected)?;
        let stream = connection.stream(client.connections(), &self.kept_as, clock::now());
        let stream = stream.ok_or(Answer::Disconnected)?;
        self.used.borrow_mut().push(Rc::downgrade(&connection));
        Ok(Lease::Stream(stream))
    }

    /// This request asks again, the others go on with HTTP/1.1.
    fn is_asked(&self, client: &CoreClient, wanted: &WantedConnection<'_>, now: Instant) {
        let mut protocols = client.connector().protocols.borrow_mut();
        for key in [wanted.destination, &self.kept_as] {
            if protocols.of(key, now) == KnownProtocol::Http1Before {
                protocols.is_asked(Rc::clone(key), now);
            }
        }
    }

    fn is_http2(&self, client: &CoreClient, wanted: &WantedConnection<'_>, since: Instant) {
        let mut protocols = client.connector().protocols.borrow_mut();
        protocols.is_http2(wanted.destination, since);
        protocols.is_http2(&self.kept_as, since);
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
        self.0.line.wake_all();
    }
}

/// Connections of an endpoint that are used at once.
const CONNECTIONS_MAX: usize = 4;
/// And with those that take no more streams, and come to the ends of the ones that they have.
const WITH_STREAMS_MAX: usize = 2 * CONNECTIONS_MAX;
/// A further connection that was refused is not asked for again within this time, while others take requests.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// Pauses before the tries: a server that again and again takes no request has had enough of them.
const PAUSES: [Option<Duration>; 3] = [None, None, Some(Duration::from_millis(100))];

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fault_tests;

#[cfg(test)]
mod flood_tests;

#[cfg(test)]
mod sharing_tests;

#[cfg(test)]
mod broken_tests;
