//! ● One HTTP/2 connection to an endpoint: driven by a task of its own, and closed with the last who holds it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use h2::{
    Ping, PingPong,
    client::{self, Connection, SendRequest},
};
use tokio::{
    task::AbortHandle,
    time::{Sleep, sleep},
};

use super::{
    line::Line,
    stream::Http2Stream,
    stream_errors::{in_words, stream_error},
    watched_connection::{Watch, WatchedConnection},
};
use crate::{
    clock,
    endpoint::{
        connection::EndpointConnection,
        connections::{Connections, Destination},
        protocols::{HTTP1_FOR, Protocols},
        silence::{NextStep, Silence},
        stream_errors::ErrorMeaning,
    },
    telemetry::names,
};

/// A connection that requests of one endpoint share.
pub struct Http2Connection {
    /// Cloned for each stream; nothing when no more may begin.
    sender: RefCell<Option<SendRequest<Bytes>>>,
    /// Nothing once it has ended.
    driver: RefCell<Option<Driver>>,
    task: AbortHandle,
    host: Http2Host,
    ends_at: Instant,
    /// Bytes that came on the connection; the first are the server's settings.
    read_bytes: Rc<Cell<u64>>,
    streams: Cell<usize>,
    /// True once the server's misbehaviour or silence on this connection was recorded.
    is_noted: Cell<bool>,
    silence: RefCell<Silence>,
    pub(super) watch: Rc<Watch>,
    /// Told of a place for a stream.
    line: RefCell<Rc<Line>>,
}

struct Driver {
    connection: Connection<WatchedConnection, Bytes>,
    pings: PingPong,
}

/// The endpoint of a connection, and where it is noted that its HTTP/2 misbehaves: nobody else has to do without HTTP/2 for it.
pub(super) struct Http2Host {
    kept_as: Rc<Destination>,
    protocols: Rc<RefCell<Protocols<Rc<Destination>>>>,
}

impl Http2Host {
    pub(super) fn new(kept_as: Rc<Destination>, protocols: Rc<RefCell<Protocols<Rc<Destination>>>>) -> Self {
        Http2Host { kept_as, protocols }
    }

    fn falls_back(&self, reason: &str) {
        self.protocols.borrow_mut().is_http1(Rc::clone(&self.kept_as), clock::now());
        self.tell(reason);
    }

    fn ended_silently(&self) {
        let falls_back = self.protocols.borrow_mut().ended_silently(Rc::clone(&self.kept_as), clock::now());
        if falls_back {
            self.tell("it says nothing");
        }
    }

    fn has_spoken(&self) {
        self.protocols.borrow_mut().has_spoken(&self.kept_as);
    }

    fn tell(&self, reason: &str) {
        metrics::counter!(names::HTTP2_FALLBACKS).increment(1);
        let (host, minutes) = (&self.kept_as.host, HTTP1_FOR.as_secs() / 60);
        let endpoint = self.kept_as.sharer.as_deref().unwrap_or_default();
        tracing::info!(endpoint, %reason, "HTTP/2 of {host} misbehaves; HTTP/1.1 is spoken with it for {minutes} minutes");
    }
}

impl Http2Connection {
    /// Speaks HTTP/2 on a connection. `line` hears of room for streams.
    pub(super) async fn begin(
        connection: EndpointConnection,
        host: Http2Host,
        line: &Rc<Line>,
    ) -> Result<Rc<Self>, h2::Error> {
        let (ends_at, read_bytes, watch) = (connection.ends_at(), connection.read_bytes(), Rc::new(Watch::new()));
        let connection = WatchedConnection { connection, watch: Rc::clone(&watch) };
        let (sender, mut connection) = builder().handshake(connection).await?;
        let pings = connection.ping_pong().expect("invariant: nobody else has taken it");
        Ok(Rc::new_cyclic(|itself| Http2Connection {
            sender: RefCell::new(Some(sender)),
            driver: RefCell::new(Some(Driver { connection, pings })),
            task: actix_rt::spawn(drive(Weak::clone(itself))).abort_handle(),
            host,
            ends_at,
            read_bytes,
            streams: Cell::new(0),
            is_noted: Cell::new(false),
            silence: RefCell::new(Silence::since(clock::now())),
            watch,
            line: RefCell::new(Rc::clone(line)),
        }))
    }

    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.ends_at
    }

    /// True if another stream may begin, should there be room for it.
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        now < self.ends_at && self.ready_sender().is_some()
    }

    /// The server has told its limits.
    pub(super) fn is_settled(&self) -> bool {
        self.read_bytes.get() > 0
    }

    /// Number of streams that may begin now. Before the server has told how many it takes, one.
    pub(super) fn room(&self) -> usize {
        let limit = match &*self.driver.borrow() {
            None => 0,
            Some(_) if !self.is_settled() => 1,
            Some(driver) => driver.connection.max_concurrent_send_streams(),
        };
        limit.saturating_sub(self.streams.get())
    }

    /// From now on these wait for its room.
    pub(super) fn serve(&self, line: &Rc<Line>) {
        *self.line.borrow_mut() = Rc::clone(line);
    }

    /// A stream, until it is dropped. `None` when the connection takes no more.
    pub(super) fn stream(
        self: &Rc<Self>,
        kept_in: &Connections,
        kept_as: &Rc<Destination>,
        now: Instant,
    ) -> Option<Http2Stream> {
        let sender = self.ready_sender()?;
        if self.streams.replace(self.streams.get() + 1) == 0 {
            self.silence.borrow_mut().begin_again(now);
        }
        Some(Http2Stream::new(sender, Rc::clone(self), kept_in.clone(), Rc::clone(kept_as)))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.get() > 0
    }

    /// A stream has ended; says whether it was the last one.
    pub(super) fn stream_ended(&self) -> bool {
        self.streams.set(self.streams.get() - 1);
        self.watch.end_request();
        let was_last = self.streams.get() == 0;
        if was_last && self.room() == 0 && self.driver.borrow().is_some() {
            self.misbehaves("it takes no streams");
        }
        self.line.borrow().wake_first();
        was_last
    }

    /// A request got no answer in time: no more of them begin here.
    pub(super) fn is_given_up(&self) {
        self.watch.give_back(ANSWER_WINDOW as usize);
        self.note_silence();
        self.retire();
    }

    /// No more streams begin on it; whoever waits for one looks elsewhere.
    fn retire(&self) {
        let sender = self.sender.borrow_mut().take();
        if sender.is_some() {
            self.line.borrow().wake_first();
        }
    }

    fn is_retired(&self) -> bool {
        self.sender.borrow().is_none()
    }

    /// The reason why TLS ended it, where that is so.
    pub(super) fn tls_failure(&self) -> Option<Box<str>> {
        self.watch.tls_failure()
    }

    /// Takes note of an error; says what it means for the request.
    pub(super) fn failed(&self, error: &h2::Error) -> ErrorMeaning {
        let meaning = stream_error(error).meaning();
        if meaning.misbehaves {
            self.misbehaves(&in_words(error));
        }
        meaning
    }

    fn misbehaves(&self, reason: &str) {
        if !self.is_noted.replace(true) {
            self.host.falls_back(reason);
        }
        self.retire();
    }

    /// Nothing ever came on it, and it was not TLS that ended it.
    fn note_silence(&self) {
        if !self.is_settled() && self.tls_failure().is_none() && !self.is_noted.replace(true) {
            self.host.ended_silently();
        }
    }

    /// After a GOAWAY, an error or the end there is none.
    fn ready_sender(&self) -> Option<SendRequest<Bytes>> {
        let mut sender = self.sender.borrow().clone()?;
        let ready = sender.poll_ready(&mut Context::from_waker(noop_waker_ref()));
        matches!(ready, Poll::Ready(Ok(()))).then_some(sender)
    }

    /// Until it has ended.
    fn poll(&self, mut timer: Pin<&mut Sleep>, task: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.poll_connection(task).is_ready() {
                return Poll::Ready(());
            }
            if self.streams.get() == 0 || self.is_retired() {
                return Poll::Pending; // a stream that begins wakes the connection
            }
            let next = self.silence.borrow_mut().next_step(clock::now());
            match next {
                NextStep::Wait(until) => {
                    let until = until.into();
                    // It is set seldom: later than it should be is found out when it rings.
                    if timer.is_elapsed() || timer.deadline() > until {
                        timer.as_mut().reset(until);
                    }
                    ready!(timer.as_mut().poll(task));
                }
                NextStep::Ping => self.ping(),
                // Its requests have their own deadlines.
                NextStep::Retire => self.retire(),
            }
        }
    }

    fn poll_connection(&self, task: &mut Context<'_>) -> Poll<()> {
        let read_before = self.read_bytes.get();
        let mut slot = self.driver.borrow_mut();
        let Some(driver) = &mut *slot else { return Poll::Ready(()) };
        self.watch.begin_turn();
        let limit_before = driver.connection.max_concurrent_send_streams();
        let polled = Pin::new(&mut driver.connection).poll(task);
        let _answered = driver.pings.poll_pong(task);
        let has_other_limit = driver.connection.max_concurrent_send_streams() != limit_before;
        drop(slot);
        self.has_read(read_before);
        if has_other_limit || read_before == 0 && self.is_settled() {
            self.line.borrow().wake_first();
        }
        if self.watch.is_flooded() {
            self.misbehaves("it sends much that nobody asked for");
        }
        match polled {
            Poll::Pending if !self.is_useless() => return Poll::Pending,
            Poll::Ready(Err(error)) => {
                self.failed(&error);
            }
            _ => {}
        }
        self.end();
        Poll::Ready(())
    }

    fn has_read(&self, bytes_before: u64) {
        let read = self.read_bytes.get() - bytes_before;
        if read == 0 {
            return;
        }
        self.silence.borrow_mut().begin_again(clock::now());
        if bytes_before == 0 {
            self.host.has_spoken();
        }
    }

    /// Nobody uses it, and it takes no streams.
    fn is_useless(&self) -> bool {
        !self.has_streams() && self.room() == 0
    }

    fn ping(&self) {
        if let Some(driver) = &mut *self.driver.borrow_mut() {
            let _under_way = driver.pings.send_ping(Ping::opaque());
        }
    }

    /// Its socket is closed, and whoever waits for an answer on it hears so.
    fn end(&self) {
        self.note_silence();
        self.retire();
        let driver = self.driver.borrow_mut().take();
        drop(driver);
        self.line.borrow().wake_first();
    }
}

/// The other side is told that this was the end, if that takes no waiting.
impl Drop for Http2Connection {
    fn drop(&mut self) {
        self.task.abort();
        self.retire();
        if let Some(driver) = self.driver.get_mut() {
            let _ = Pin::new(&mut driver.connection).poll(&mut Context::from_waker(noop_waker_ref()));
        }
    }
}

async fn drive(connection: Weak<Http2Connection>) {
    let mut timer = pin!(sleep(Duration::ZERO));
    poll_fn(|task| match connection.upgrade() {
        Some(connection) => connection.poll(timer.as_mut(), task),
        None => Poll::Ready(()),
    })
    .await;
}

fn builder() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(ANSWER_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX);
    builder
}

/// Answers are short; more of one than this is not held in memory.
pub(super) const ANSWER_WINDOW: u32 = 65_535;
/// The most that a connection's answers hold in memory.
const CONNECTION_WINDOW: u32 = 1 << 18;
/// A longer head is no answer.
const HEAD_BYTES_MAX: u32 = 131_072;
/// Requests of ours that were given up, and of which something may still come.
const RESET_STREAMS_MAX: usize = 256;
