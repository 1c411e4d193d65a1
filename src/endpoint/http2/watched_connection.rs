//! ● A connection under watch: of what comes on it only so much is read, and it is remembered why TLS ended it, of which HTTP/2's
//! own errors keep only a text.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    clock,
    endpoint::{allowance::Allowance, connection::EndpointConnection, tls::in_words},
};

/// Knowledge of the connection outside the library that reads it.
pub(super) struct Watch {
    allowance: RefCell<Allowance>,
    /// More came than was allowed.
    is_flooded: Cell<bool>,
    /// Bytes that may be read until the others of the core have their turn.
    turn_bytes: Cell<usize>,
    tls_failure: RefCell<Option<Box<str>>>,
}

pub(super) struct WatchedConnection {
    pub(super) connection: EndpointConnection,
    pub(super) watch: Rc<Watch>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch {
            allowance: RefCell::new(Allowance::new(clock::now())),
            is_flooded: Cell::new(false),
            turn_bytes: Cell::new(TURN_BYTES),
            tls_failure: RefCell::default(),
        }
    }

    pub(super) fn begin_turn(&self) {
        self.turn_bytes.set(TURN_BYTES);
    }

    pub(super) fn begin_request(&self, body_bytes: usize) {
        self.allowance.borrow_mut().begin_request(body_bytes as u64);
    }

    pub(super) fn end_request(&self) {
        self.allowance.borrow_mut().end_request();
    }

    /// Bytes that an answer was allowed by its window.
    pub(super) fn give_back(&self, bytes: usize) {
        self.allowance.borrow_mut().give_back(bytes as u64);
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded.get()
    }

    /// The reason why TLS ended the connection, in words; nothing while there is none.
    pub(super) fn tls_failure(&self) -> Option<Box<str>> {
        self.tls_failure.borrow().clone()
    }

    fn note(&self, error: &io::Error) {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            *self.tls_failure.borrow_mut() = Some(in_words(tls).into());
        }
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        self.turn_bytes.set(self.turn_bytes.get().saturating_sub(bytes));
        if !self.allowance.borrow_mut().take(bytes as u64, clock::now()) {
            self.is_flooded.set(true);
            return Err(io::Error::other("more came than was asked for"));
        }
        Ok(())
    }
}

impl AsyncRead for WatchedConnection {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.watch.turn_bytes.get() == 0 {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(task, buffer);
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(self.watch.take(buffer.filled().len() - before)),
            Poll::Ready(Err(error)) => {
                self.watch.note(&error);
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for WatchedConnection {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(task, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(task)
    }
}

/// Frames are small, and each is work: so many bytes of them at once delay nobody.
const TURN_BYTES: usize = 64 << 10;
