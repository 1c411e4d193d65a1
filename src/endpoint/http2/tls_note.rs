//! ● A connection that remembers why TLS ended it: HTTP/2's own errors keep only a text of it.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::endpoint::{connection::EndpointConnection, tls::in_words};

/// The reason, in words; nothing while there is none.
#[derive(Clone, Default)]
pub(super) struct TlsNote(Rc<RefCell<Option<Box<str>>>>);

impl TlsNote {
    pub(super) fn text(&self) -> Option<Box<str>> {
        self.0.borrow().clone()
    }
}

pub(super) struct NotedConnection {
    pub(super) connection: EndpointConnection,
    pub(super) note: TlsNote,
}

impl AsyncRead for NotedConnection {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.connection).poll_read(task, buffer);
        if let Poll::Ready(Err(error)) = &read
            && let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            *self.note.0.borrow_mut() = Some(in_words(tls).into());
        }
        read
    }
}

impl AsyncWrite for NotedConnection {
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
