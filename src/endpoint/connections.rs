//! ● The connections of a core: so many may be open, those that nobody uses included.
//!
//! The HTTP client keeps connections for later and looks at them only when their host is used again, so with many hosts
//! they would take every file handle of the process, and Kafka, Postgres and the API would get none. Here each holds a
//! place. Where there is none left, those that were used longest ago are closed, whether the client looks at them or not.
//!
//! **Invariant:** a connection is closed for another only while no exchange uses it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt, io,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::telemetry::handles::ConnectionMetrics;

tokio::task_local! {
    /// The exchange that is polled now.
    static EXCHANGE: Rc<()>;
}

/// Runs an exchange: whatever connection it touches is in use until it ends.
pub async fn in_use<T>(exchange: impl Future<Output = T>) -> T {
    EXCHANGE.scope(Rc::new(()), exchange).await
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
    open: RefCell<HashMap<u64, Rc<Inner>>>,
    /// Tells connections apart, and which of two was used later.
    next: Cell<u64>,
    metrics: ConnectionMetrics,
}

/// No connection can be opened, and none of those that are open can be spared.
#[derive(Debug, thiserror::Error)]
#[error("every connection that this process may have is in use")]
pub struct NoPlace;

/// The process, or the whole machine, has no file handle left.
#[must_use]
pub fn lacks_handles(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// The right to open a connection.
pub struct Place {
    shared: Rc<Shared>,
}

impl Connections {
    #[must_use]
    pub fn new(connections_max: usize) -> Self {
        Connections {
            shared: Rc::new(Shared {
                connections_max: connections_max.max(1),
                taken: Cell::new(0),
                open: RefCell::default(),
                next: Cell::new(0),
                metrics: ConnectionMetrics::new(),
            }),
        }
    }

    /// A place for one more, if need be at the cost of connections that nobody uses.
    ///
    /// # Errors
    /// When all are in use.
    pub fn place(&self) -> Result<Place, NoPlace> {
        let shared = &self.shared;
        if shared.taken.get() >= shared.connections_max {
            self.close_unused(shared.connections_max.div_ceil(CLOSED_SHARE));
        }
        if shared.taken.get() >= shared.connections_max {
            return Err(NoPlace);
        }
        shared.taken.set(shared.taken.get() + 1);
        Ok(Place { shared: Rc::clone(shared) })
    }

    /// Closes up to so many connections that nobody uses, those used longest ago first; returns how many.
    pub fn close_unused(&self, connections_max: usize) -> usize {
        let mut unused: Vec<(u64, u64)> = {
            let open = self.shared.open.borrow();
            open.iter().filter(|(_, inner)| !inner.is_used()).map(|(id, inner)| (inner.used.get(), *id)).collect()
        };
        if unused.len() > connections_max {
            unused.select_nth_unstable(connections_max);
            unused.truncate(connections_max);
        }
        for (_, id) in &unused {
            let closed = self.shared.open.borrow_mut().remove(id);
            drop(closed.and_then(|inner| inner.stream.take()));
        }
        self.shared.metrics.closed_for_room.increment(unused.len() as u64);
        unused.len()
    }

    /// Connections that are open or being opened.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.taken.get()
    }

    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.shared.connections_max
    }
}

impl Place {
    /// The connection that was opened.
    #[must_use]
    pub fn taken_by(self, stream: TcpStream) -> Held {
        let shared = Rc::clone(&self.shared);
        let id = shared.tick();
        shared.metrics.open.increment(1.0);
        let inner = Rc::new(Inner {
            stream: RefCell::new(Some(Open { stream, _place: self })),
            exchange: RefCell::default(),
            used: Cell::new(id),
        });
        shared.open.borrow_mut().insert(id, Rc::clone(&inner));
        let held = Held { id, inner, shared };
        held.touch();
        held
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.taken.set(self.shared.taken.get() - 1);
    }
}

impl Shared {
    fn tick(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }
}

struct Inner {
    /// `None` once it was closed for another.
    stream: RefCell<Option<Open>>,
    /// Who used it last; gone once that has ended.
    exchange: RefCell<Weak<()>>,
    used: Cell<u64>,
}

struct Open {
    stream: TcpStream,
    _place: Place,
}

impl Drop for Open {
    fn drop(&mut self) {
        self._place.shared.metrics.open.decrement(1.0);
    }
}

impl Inner {
    fn is_used(&self) -> bool {
        self.exchange.borrow().strong_count() > 0
    }
}

/// A connection as the HTTP client holds it. One that was closed for another reads as ended.
pub struct Held {
    id: u64,
    inner: Rc<Inner>,
    shared: Rc<Shared>,
}

impl Held {
    /// The exchange that is polled now uses it.
    fn touch(&self) {
        let _ = EXCHANGE.try_with(|exchange| {
            let mut user = self.inner.exchange.borrow_mut();
            if !std::ptr::eq(user.as_ptr(), Rc::as_ptr(exchange)) {
                *user = Rc::downgrade(exchange);
                self.inner.used.set(self.shared.tick());
            }
        });
    }

    fn with<T>(&self, closed: T, work: impl FnOnce(Pin<&mut TcpStream>) -> T) -> T {
        self.touch();
        match &mut *self.inner.stream.borrow_mut() {
            Some(open) => work(Pin::new(&mut open.stream)),
            None => closed,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.open.borrow_mut().remove(&self.id);
    }
}

impl AsyncRead for Held {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Held {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(Poll::Ready(Err(closed())), |stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(Poll::Ready(Err(closed())), |stream| stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true // as TcpStream
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_shutdown(cx))
    }
}

impl ActixStream for Held {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(Poll::Ready(Ok(Ready::READABLE)), |stream| ActixStream::poll_read_ready(&*stream, cx))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(Poll::Ready(Err(closed())), |stream| ActixStream::poll_write_ready(&*stream, cx))
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "closed to make room for another")
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Looking for the ones used longest ago means looking at all: when there is no place, this share of all is freed at once.
const CLOSED_SHARE: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A connection and its other end.
    async fn connect(connections: &Connections) -> (Held, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
        let place = connections.place().expect("a place");
        (place.taken_by(here.expect("connected")), there.expect("accepted").0)
    }

    impl Held {
        fn is_open(&self) -> bool {
            self.inner.stream.borrow().is_some()
        }
    }

    #[actix_rt::test]
    async fn a_place_is_free_again_when_its_connection_is_dropped() {
        let connections = Connections::new(1);
        let (held, _there) = connect(&connections).await;
        assert_eq!(connections.open(), 1);
        drop(held);
        assert_eq!(connections.open(), 0);
        drop(connections.place().expect("a place"));
        assert_eq!(connections.open(), 0, "a connection that did not come about gives its place back");
    }

    #[actix_rt::test]
    async fn without_a_place_the_connection_used_longest_ago_is_closed() {
        let connections = Connections::new(3);
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(connect(&connections).await);
        }
        // The first is used once more, so the second is the oldest.
        in_use(async { ends[0].0.write_all(b"x").await.expect("open") }).await;
        let (fourth, _there) = connect(&connections).await;
        assert_eq!(connections.open(), 3);
        assert_eq!(ends.iter().map(|(held, _)| held.is_open()).collect::<Vec<_>>(), [true, false, true]);
        assert!(fourth.is_open());
        let (closed, there) = &mut ends[1];
        assert_eq!(there.read(&mut [0; 1]).await.expect("the end"), 0, "its other end sees it at once");
        assert_eq!(closed.read(&mut [0; 1]).await.expect("the end"), 0);
        assert!(closed.write_all(b"x").await.is_err());
    }

    #[actix_rt::test]
    async fn a_connection_is_never_closed_while_an_exchange_uses_it() {
        let connections = Connections::new(1);
        let (mut held, mut there) = connect(&connections).await;
        let using = in_use(async {
            held.write_all(b"x").await.expect("open");
            assert!(connections.place().is_err(), "the only one is in use");
            assert_eq!(connections.close_unused(usize::MAX), 0);
            held
        });
        let held = using.await;
        assert_eq!(there.read_u8().await.expect("open"), b'x');
        assert!(connections.place().is_ok(), "the exchange is over");
        assert!(!held.is_open());
        drop(held);
        assert_eq!(connections.open(), 0, "a connection gives its place back once");
    }
}
