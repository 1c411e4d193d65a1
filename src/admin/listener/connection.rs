//! ● One connection with its deadlines: actix bounds the first head of a connection alone, and no write.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
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
    deadlines::{ConnectionDeadlines, Deadlines},
    intake::ReadBudget,
};
use crate::{clock, telemetry::names};

/// A connection that was accepted.
pub(super) struct ApiConnection {
    io: Io,
    course: SharedCourse,
    head_timer: Timer,
    write_timer: Timer,
    _place: Option<AddressPlace>,
}

/// A connection's deadlines, and how much of it is read; its requests say when they begin and end.
pub(super) struct Course {
    pace: ConnectionDeadlines,
    intake: ReadBudget,
    /// Wants to read, and may not.
    held_back: Option<Waker>,
}

pub(super) type SharedCourse = Rc<RefCell<Course>>;

impl Course {
    #[must_use]
    pub(super) fn deadlines(&self) -> Deadlines {
        self.pace.deadlines()
    }

    /// A body may have said how long it is.
    pub(super) fn request_begins(&mut self, has_body: bool, promised: Option<usize>) {
        self.pace.request_begins();
        self.intake.request_begins(has_body, promised);
    }

    pub(super) fn body_is_awaited(&mut self) {
        self.intake.body_is_awaited();
        self.read_on();
    }

    pub(super) fn body_is_whole(&mut self) {
        self.intake.body_is_whole();
        self.read_on();
    }

    pub(super) fn request_ends(&mut self) {
        self.pace.request_ends(clock::now());
        self.intake.request_ends();
        self.read_on();
    }

    fn read_on(&mut self) {
        if let Some(reader) = self.held_back.take() {
            reader.wake();
        }
    }
}

/// The bytes of a connection.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl ApiConnection {
    #[must_use]
    pub(super) fn new(io: Io, deadlines: Deadlines, place: Option<AddressPlace>) -> Self {
        let pace = ConnectionDeadlines::new(deadlines, clock::now());
        let course = Rc::new(RefCell::new(Course { pace, intake: ReadBudget::default(), held_back: None }));
        ApiConnection { io, course, head_timer: Timer::default(), write_timer: Timer::default(), _place: place }
    }

    #[must_use]
    pub(super) fn course(&self) -> SharedCourse {
        Rc::clone(&self.course)
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
        let until = self.course.borrow_mut().pace.write_blocks(clock::now());
        if self.write_timer.is_over(until, cx) {
            return Poll::Ready(Err(timed_out("write")));
        }
        Poll::Pending
    }

    /// Nothing is read until somebody wants it. What comes after an answer ends as if the client had ended it.
    fn held_back(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let until = {
            let mut course = self.course.borrow_mut();
            if course.intake.reads_on() {
                // Once the server below has looked at what there is.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            course.held_back = Some(cx.waker().clone());
            course.pace.rest_by()
        };
        match until {
            Some(until) if self.head_timer.is_over(until, cx) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

impl AsyncRead for ApiConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.course.borrow().intake.may_read() {
            return self.held_back(cx);
        }
        let before = buf.filled().len();
        let read = self.io().poll_read(cx, buf);
        if read.is_ready() {
            self.course.borrow_mut().intake.has_read(buf.filled().len() - before);
            return read;
        }
        let until = self.course.borrow().pace.next_head_by();
        match until {
            Some(until) if self.head_timer.is_over(until, cx) => Poll::Ready(Err(timed_out("head"))),
            _ => Poll::Pending,
        }
    }
}

impl AsyncWrite for ApiConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.io().poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = written {
            self.course.borrow_mut().pace.wrote(bytes, clock::now());
        }
        self.bounded(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.io().poll_flush(cx);
        if flushed.is_ready() {
            self.course.borrow_mut().pace.flushed();
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
pub(super) struct Timer(Option<(Instant, Pin<Box<Sleep>>)>);

impl Timer {
    /// True if that time has come; if not, the task is woken then.
    pub(super) fn is_over(&mut self, until: Instant, cx: &mut Context<'_>) -> bool {
        let (at, sleep) = self.0.get_or_insert_with(|| (until, Box::pin(tokio::time::sleep_until(until.into()))));
        if *at != until {
            *at = until;
            sleep.as_mut().reset(until.into());
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// A deadline has passed: counted, and an error that ends the connection or its body.
pub(super) fn timed_out(phase: &'static str) -> io::Error {
    metrics::counter!(names::API_TIMEOUTS, "phase" => phase).increment(1);
    io::Error::new(io::ErrorKind::TimedOut, phase)
}
