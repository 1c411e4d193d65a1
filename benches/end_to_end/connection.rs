//! ● One connection to the benchmark's customers: just enough of HTTP/1.1 to answer awc, with no more system calls
//! than a request needs.

use std::{
    future::{Future, poll_fn},
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until},
};

use crate::{tally::Tally, throttle::Throttle};

/// How a customer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Quick,
    Slow,
    /// As somebody who is so far away, or thinks for so long.
    Far(Duration),
    Never,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Customer {
    pub manner: Manner,
    /// True where latencies are counted.
    pub timed: bool,
}

pub struct Connection<S> {
    stream: S,
    customer: Customer,
    tally: Arc<Mutex<Tally>>,
    throttle: Arc<Mutex<Throttle>>,
    /// Until the answer to the first request of the buffer is due, where it is not due at once.
    due: Option<Pin<Box<Sleep>>>,
    /// `buffer[..filled]` has been read and not yet answered.
    buffer: Vec<u8>,
    filled: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S, customer: Customer, tally: Arc<Mutex<Tally>>, throttle: Arc<Mutex<Throttle>>) -> Self {
        Connection { stream, customer, tally, throttle, due: None, buffer: vec![0; 2048], filled: 0 }
    }

    pub async fn serve(mut self) {
        poll_fn(|cx| self.poll_serve(cx)).await;
    }

    /// Ready when the peer is done, or says what we do not understand.
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match head(&self.buffer[..self.filled]) {
                Head::Complete { body, content_length } if self.filled >= body + content_length => {
                    let end = body + content_length;
                    if self.customer.manner == Manner::Never {
                        self.filled = 0; // swallowed; we never answer
                        continue;
                    }
                    ready!(self.poll_counted(cx, body..end));
                    // Our answers are so small that a socket buffer always has room for one.
                    match Pin::new(&mut self.stream).poll_write(cx, ANSWER) {
                        Poll::Ready(Ok(written)) if written == ANSWER.len() => {}
                        _ => return Poll::Ready(()),
                    }
                    let Poll::Ready(Ok(())) = Pin::new(&mut self.stream).poll_flush(cx) else {
                        return Poll::Ready(());
                    };
                    self.buffer.copy_within(end..self.filled, 0);
                    self.filled -= end;
                    continue;
                }
                Head::Complete { body, content_length } => self.grow(body + content_length),
                Head::Incomplete => self.grow(self.filled + 512),
                Head::Unintelligible => return Poll::Ready(()),
            }
            let mut free = ReadBuf::new(&mut self.buffer[self.filled..]);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut free)) {
                Ok(()) if !free.filled().is_empty() => self.filled += free.filled().len(),
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Ready when the request is counted and its answer due. What a sender takes for delivered has been counted.
    fn poll_counted(&mut self, cx: &mut Context<'_>, body: Range<usize>) -> Poll<()> {
        let is_far = matches!(self.customer.manner, Manner::Far(_));
        if self.due.is_none() {
            if is_far {
                self.count(body.clone()); // on arrival: its own time is not the sender's
            }
            self.due = self.due(Instant::now()).map(|due| Box::pin(sleep_until(due.into())));
        }
        if let Some(due) = &mut self.due {
            ready!(due.as_mut().poll(cx));
            self.due = None;
        }
        if !is_far {
            self.count(body);
        }
        Poll::Ready(())
    }

    fn count(&self, body: Range<usize>) {
        self.tally.lock().count(&self.buffer[body], self.customer.timed);
    }

    /// When a request that came now is answered; at once without a time.
    fn due(&self, now: Instant) -> Option<Instant> {
        match self.customer.manner {
            Manner::Far(after) => Some(now + after),
            manner => self.throttle.lock().turn(now, manner == Manner::Slow),
        }
    }

    fn grow(&mut self, len: usize) {
        if self.buffer.len() < len {
            self.buffer.resize(len.min(REQUEST_BYTES_MAX), 0);
        }
    }
}

enum Head {
    Incomplete,
    Complete { body: usize, content_length: usize },
    Unintelligible,
}

/// Just enough of HTTP/1.1 for clients that send a Content-Length.
fn head(bytes: &[u8]) -> Head {
    let mut content_length = 0;
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[start..start + length];
        start += length + 1;
        if line == b"\r" {
            return Head::Complete { body: start, content_length };
        }
        if line.len() > CONTENT_LENGTH.len() && line[..CONTENT_LENGTH.len()].eq_ignore_ascii_case(CONTENT_LENGTH) {
            let value = std::str::from_utf8(&line[CONTENT_LENGTH.len()..]).ok().and_then(|v| v.trim().parse().ok());
            match value {
                Some(value) if value < REQUEST_BYTES_MAX / 2 => content_length = value,
                _ => return Head::Unintelligible,
            }
        }
    }
    if bytes.len() > HEAD_BYTES_MAX { Head::Unintelligible } else { Head::Incomplete }
}

const CONTENT_LENGTH: &[u8] = b"content-length:";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const HEAD_BYTES_MAX: usize = 16 * 1024;
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
