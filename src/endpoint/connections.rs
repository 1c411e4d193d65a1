//! ● The connections of a core: so many may be open, those that nobody uses included.
//!
//! Each holds a place, so that connections to endpoints never take the file handles of Kafka, Postgres and the API. Where
//! there is no place left, those that were used longest ago are closed. One whose exchange is given up is closed with it.
//!
//! **Invariant:** a connection is closed for another only while no exchange uses it.

mod spare; // places for attempts beside the first one

use std::{
    cell::{Cell, RefCell},
    io,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use self::spare::SparePlaces;
pub use self::spare::{SparePlace, without_spare};
use super::{connection::EndpointConnection, http2::Http2Connection, idle::Idle};
use crate::{clock, model::tls_identity::Fingerprint, telemetry::handles::ConnectionMetrics};

/// Destination and identity of a connection: requests with the same may share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub host: Box<str>,
    pub port: u16,
    pub security: Security,
    /// The endpoint whose requests share the connection at the same time (HTTP/2), so that no other waits for
    /// them.
    pub sharer: Option<Arc<str>>,
}

/// Protection of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    Plain,
    Tls,
    /// With a certificate or authorities of its own.
    TlsIdentity(Fingerprint),
}

/// One core's connections. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    shared: Rc<Shared>,
}

struct Shared {
    connections_max: usize,
    /// Places that are taken: of connections, and of those that are being opened.
    taken: Cell<usize>,
    /// Places that are left for attempts beside the first one of a connection.
    spare: SparePlaces,
    idle: RefCell<Idle<Rc<Destination>, KeptConnection>>,
    /// Somebody closes what nobody uses any more.
    is_swept: Cell<bool>,
    metrics: ConnectionMetrics,
}

/// A connection that nobody uses now.
enum KeptConnection {
    Http1(EndpointConnection),
    Http2(Rc<Http2Connection>),
}

/// No connection can be opened, and none of those that are open can be spared.
#[derive(Debug, thiserror::Error)]
#[error("every connection that this process may have is in use")]
pub struct NoConnectionPermit;

/// The process, or the whole machine, has no file handle left.
#[must_use]
pub fn lacks_handles(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Errors of this machine rather than of the endpoint: no handles, no buffers, no local port, no route at all.
#[must_use]
pub fn is_local(error: &io::Error) -> bool {
    const EADDRNOTAVAIL: i32 = 99;
    const ENETDOWN: i32 = 100;
    const ENETUNREACH: i32 = 101;
    const ENOBUFS: i32 = 105;
    lacks_handles(error) || matches!(error.raw_os_error(), Some(EADDRNOTAVAIL | ENETDOWN | ENETUNREACH | ENOBUFS))
}

/// The right to have a connection.
pub struct ConnectionPermit {
    shared: Rc<Shared>,
    is_open: Cell<bool>,
    is_http2: Cell<bool>,
}

impl Connections {
    /// One that nobody uses for `keep_alive` is closed.
    #[must_use]
    pub fn new(connections_max: usize, keep_alive: Duration) -> Self {
        Self::with_spare(connections_max, 0, keep_alive)
    }

    /// Makes `spare_max` of the places for attempts beside the first one of a connection, and not for requests.
    #[must_use]
    pub fn with_spare(connections_max: usize, spare_max: usize, keep_alive: Duration) -> Self {
        Connections {
            shared: Rc::new(Shared {
                connections_max: connections_max.max(1),
                taken: Cell::new(0),
                spare: SparePlaces::new(spare_max),
                idle: RefCell::new(Idle::new(keep_alive)),
                is_swept: Cell::new(false),
                metrics: ConnectionMetrics::new(),
            }),
        }
    }

    /// A place for an attempt of this customer's beside the first one of a connection, if there is one to spare.
    #[must_use]
    pub fn spare_place(&self, customer: &Arc<str>) -> Option<SparePlace> {
        SparePlace::take(&self.shared, customer)
    }

    /// A place for one more, if need be at the cost of a connection that nobody uses: of those none is kept in the places that
    /// are spare.
    ///
    /// # Errors
    /// When all are in use.
    pub fn place(&self) -> Result<ConnectionPermit, NoConnectionPermit> {
        let shared = &self.shared;
        let unused_max = without_spare(shared.connections_max);
        // One that has ended by itself holds no place any more, and frees none.
        while shared.taken.get() >= unused_max && self.close_unused(1) > 0 {}
        if shared.taken.get() >= shared.connections_max {
            return Err(NoConnectionPermit);
        }
        Ok(ConnectionPermit::taken(shared))
    }

    /// Closes up to so many connections that nobody uses, those used longest ago first; returns how many.
    pub fn close_unused(&self, connections_max: usize) -> usize {
        let evict = || self.shared.idle.borrow_mut().evict();
        let closed = std::iter::from_fn(evict).take(connections_max).count();
        self.shared.metrics.closed_for_room.increment(closed as u64);
        closed
    }

    /// A connection that was kept and is still alive, as far as this side knows.
    #[must_use]
    pub fn take(&self, destination: &Rc<Destination>, now: Instant) -> Option<EndpointConnection> {
        loop {
            if let KeptConnection::Http1(mut connection) = self.take_kept(destination, now)?
                && connection.is_alive()
            {
                return Some(connection);
            }
        }
    }

    /// The same, of HTTP/2.
    #[must_use]
    pub fn take_http2(&self, destination: &Rc<Destination>, now: Instant) -> Option<Rc<Http2Connection>> {
        loop {
            if let KeptConnection::Http2(connection) = self.take_kept(destination, now)?
                && connection.is_usable(now)
            {
                return Some(connection);
            }
        }
    }

    fn take_kept(&self, destination: &Rc<Destination>, now: Instant) -> Option<KeptConnection> {
        let mut closed = Vec::new();
        let taken = self.shared.idle.borrow_mut().take(destination, now, &mut closed);
        drop(closed);
        taken.map(|(connection, _)| connection)
    }

    /// Keeps a connection whose exchange has ended for the next one.
    pub fn keep(&self, destination: &Rc<Destination>, connection: EndpointConnection, now: Instant) {
        let ends_at = connection.ends_at();
        self.keep_until(ends_at, destination, KeptConnection::Http1(connection), now);
    }

    /// Keeps a connection of which all exchanges have ended.
    pub fn keep_http2(&self, destination: &Rc<Destination>, connection: Rc<Http2Connection>, now: Instant) {
        let ends_at = connection.ends_at();
        self.keep_until(ends_at, destination, KeptConnection::Http2(connection), now);
    }

    fn keep_until(&self, ends_at: Instant, destination: &Rc<Destination>, connection: KeptConnection, now: Instant) {
        let refused = self.shared.idle.borrow_mut().keep(destination, connection, ends_at, now);
        drop(refused);
        if !self.shared.is_swept.replace(true) {
            actix_rt::spawn(sweep(Rc::downgrade(&self.shared)));
        }
    }

    /// Connections that are open or being opened.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.taken.get()
    }

    /// Number of idle connections.
    #[must_use]
    pub fn unused(&self) -> usize {
        self.shared.idle.borrow().len()
    }
}

/// Closes what nobody uses any more, until there is nothing left.
async fn sweep(shared: Weak<Shared>) {
    loop {
        let Some(due) = shared.upgrade().and_then(|shared| {
            let due = shared.idle.borrow().next_expiry();
            shared.is_swept.set(due.is_some());
            due
        }) else {
            return;
        };
        tokio::time::sleep_until((due + TOGETHER).into()).await;
        let Some(shared) = shared.upgrade() else { return };
        let expired = shared.idle.borrow_mut().expire(clock::now());
        drop(expired);
    }
}

impl ConnectionPermit {
    fn taken(shared: &Rc<Shared>) -> Self {
        shared.taken.set(shared.taken.get() + 1);
        ConnectionPermit { shared: Rc::clone(shared), is_open: Cell::new(false), is_http2: Cell::new(false) }
    }

    /// Its connection is open.
    pub fn is_open_now(&self, is_http2: bool) {
        if !self.is_open.replace(true) {
            self.shared.metrics.open.increment(1.0);
            if is_http2 {
                self.is_http2.set(true);
                self.shared.metrics.http2.increment(1.0);
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.shared.taken.set(self.shared.taken.get() - 1);
        if self.is_open.get() {
            self.shared.metrics.open.decrement(1.0);
        }
        if self.is_http2.get() {
            self.shared.metrics.http2.decrement(1.0);
        }
    }
}

/// Connections that grow too old within this time are closed together.
const TOGETHER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
