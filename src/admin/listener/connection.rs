//! ● One connection with its deadlines: actix bounds the first head of a connection alone, and no write.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;

use super::{
    AddressPlace,
    pace::{Deadlines, Pace},
};
use crate::{clock, telemetry::names};

/// A connection that was accepted.
pub struct Connection {
    io: Io,
    pace: SharedPace,
    head_timer: Timer,
    write_timer: Timer,
    _place: Option<AddressPlace>,
}

/// The state of a connection's deadlines; its requests say when they begin and end.
pub type SharedPace = Rc<RefCell<Pace>>;

/// The bytes of a connection.
pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    #[must_use]
    pub fn new(io: Io, deadlines: Deadlines, place: Option<AddressPlace>) -> Self {
        let pace = Rc::new(RefCell::new(Pace::new(deadlines, clock::now())));
        Connection { io, pace, head_timer: Timer::default(), write_timer: Timer::default(), _place: place }
    }

    #[must_use]
    pub fn pace(&self) -> SharedPace {
        Rc::clone(&self.pace)
    }

    fn io(&mut self) -> Pin<&mut (dyn Duplex + Unpin)> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream),
            Io::Tls(stream) => Pin::new(&mut **stream),
        }
    }

    /// Bounds a write or a flush in time.
    fn bounded<T>(&mut self, sent: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            return sent;
        }
        let until = self.pace.borrow_mut().write_blocks(clock::now());
        if self.write_timer.is_over(until, cx) {
            return Poll::Ready(Err(timed_out("write")));
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.io().poll_read(cx, buf);
        if read.is_ready() {
            return read;
        }
        let until = self.pace.borrow().next_head_by();
        match until {
            Some(until) if self.head_timer.is_over(until, cx) => Poll::Ready(Err(timed_out("head"))),
            _ => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.io().poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = written {
            self.pace.borrow_mut().wrote(bytes, clock::now());
        }
        self.bounded(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.io().poll_flush(cx);
        if flushed.is_ready() {
            self.pace.borrow_mut().flushed();
        }
        self.bounded(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.io().poll_shutdown(cx);
        self.bounded(ended, cx)
    }
}

trait Duplex: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Duplex for T {}

/// Wakes a task at a time that may change.
#[derive(Default)]
pub struct Timer(Option<(Instant, Pin<Box<Sleep>>)>);

impl Timer {
    /// Whether that time has come; if not, the task is woken then.
    pub fn is_over(&mut self, until: Instant, cx: &mut Context<'_>) -> bool {
        let (at, sleep) = self.0.get_or_insert_with(|| (until, Box::pin(tokio::time::sleep_until(until.into()))));
        if *at != until {
            *at = until;
            sleep.as_mut().reset(until.into());
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// A deadline has passed: counted, and an error that ends the connection or its body.
pub fn timed_out(phase: &'static str) -> io::Error {
    metrics::counter!(names::API_TIMEOUTS, "phase" => phase).increment(1);
    io::Error::new(io::ErrorKind::TimedOut, phase)
}
