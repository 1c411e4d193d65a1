//! ○ Deadlines of one connection: for the next head, for a body, and for an answer it is sent. Told the time.

use std::time::{Duration, Instant};

/// The limits of every connection of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A request's head, from its first byte or the connection's beginning.
    pub head: Duration,
    /// An idle connection is closed after this long.
    pub keep_alive: Duration,
    /// Time limit for reading a request body.
    pub body: Duration,
    /// [`PROGRESS_BYTES_MIN`] of a body, or of an answer that waits to be sent, have to pass within this time.
    pub progress: Duration,
}

/// Progress of something that is sent or received: enough bytes within each window.
#[derive(Debug)]
pub struct TransferProgress {
    window: Duration,
    until: Instant,
    bytes: usize,
}

impl TransferProgress {
    #[must_use]
    pub fn new(window: Duration, now: Instant) -> Self {
        TransferProgress { window, until: now + window, bytes: 0 }
    }

    /// Notes bytes that have passed.
    pub fn passed(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes;
        if self.bytes >= PROGRESS_BYTES_MIN {
            *self = TransferProgress::new(self.window, now);
        }
    }

    /// Time at which it has stalled, unless more passes.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.until
    }
}

/// The state of one connection, as far as its deadlines go.
#[derive(Debug)]
pub struct ConnectionDeadlines {
    deadlines: Deadlines,
    /// No request is under way, and the next head has to be complete by then.
    next_head_by: Option<Instant>,
    /// By then the client has its answer, whatever it goes on sending.
    rest_by: Option<Instant>,
    writing: Option<TransferProgress>,
}

impl ConnectionDeadlines {
    #[must_use]
    pub fn new(deadlines: Deadlines, now: Instant) -> Self {
        ConnectionDeadlines {
            deadlines,
            next_head_by: Some(now + deadlines.keep_alive + deadlines.head),
            rest_by: None,
            writing: None,
        }
    }

    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// A head is complete: from now on its handler and its body have their own limits.
    pub fn request_begins(&mut self) {
        (self.next_head_by, self.rest_by) = (None, None);
    }

    /// The answer was handed over whole.
    pub fn request_ends(&mut self, now: Instant) {
        self.next_head_by = Some(now + self.deadlines.keep_alive + self.deadlines.head);
        self.rest_by = Some(now + REST_MAX);
    }

    /// By when a head has to be complete, while one is awaited.
    #[must_use]
    pub fn next_head_by(&self) -> Option<Instant> {
        self.next_head_by
    }

    /// By when a connection ends of which nothing more is read.
    #[must_use]
    pub fn rest_by(&self) -> Option<Instant> {
        self.rest_by
    }

    /// The peer took some bytes.
    pub fn wrote(&mut self, bytes: usize, now: Instant) {
        if let Some(writing) = &mut self.writing {
            writing.passed(bytes, now);
        }
    }

    /// The peer takes nothing more for now. Returns by when it has to go on.
    pub fn write_blocks(&mut self, now: Instant) -> Instant {
        let window = self.deadlines.progress;
        self.writing.get_or_insert_with(|| TransferProgress::new(window, now)).until()
    }

    /// Nothing waits to be sent.
    pub fn flushed(&mut self) {
        self.writing = None;
    }
}

/// Within each window of [`Deadlines::progress`].
pub const PROGRESS_BYTES_MIN: usize = 16 * 1024;

/// Time for a client to read the answer to a body that is not read to its end. Closed at once, the answer could be lost.
const REST_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(now: Instant) -> ConnectionDeadlines {
        ConnectionDeadlines::new(
            Deadlines { head: 5 * SECOND, keep_alive: 5 * SECOND, body: 60 * SECOND, progress: 10 * SECOND },
            now,
        )
    }

    #[test]
    fn each_head_has_its_deadline_also_after_a_first_answer() {
        let start = clock::now();
        let mut pace = pace(start);
        assert_eq!(pace.next_head_by(), Some(start + 10 * SECOND));
        pace.request_begins();
        assert_eq!(pace.next_head_by(), None, "a long poll waits as long as it likes");
        pace.request_ends(start + 60 * SECOND);
        assert_eq!(pace.next_head_by(), Some(start + 70 * SECOND));
    }

    #[test]
    fn a_client_that_goes_on_sending_has_a_moment_for_its_answer() {
        let start = clock::now();
        let mut pace = pace(start);
        assert_eq!(pace.rest_by(), None);
        pace.request_begins();
        pace.request_ends(start);
        assert_eq!(pace.rest_by(), Some(start + REST_MAX));
        pace.request_begins();
        assert_eq!(pace.rest_by(), None, "a request under way has its own limits");
    }

    #[test]
    fn an_answer_that_nobody_reads_has_a_deadline_and_a_slow_reader_gets_it_whole() {
        let start = clock::now();
        let mut pace = pace(start);
        assert_eq!(pace.write_blocks(start), start + 10 * SECOND);
        pace.wrote(PROGRESS_BYTES_MIN - 1, start + 5 * SECOND);
        assert_eq!(pace.write_blocks(start + 5 * SECOND), start + 10 * SECOND, "a byte now and then is no progress");
        pace.wrote(1, start + 9 * SECOND);
        assert_eq!(pace.write_blocks(start + 9 * SECOND), start + 19 * SECOND);
        pace.flushed();
        assert_eq!(pace.write_blocks(start + 100 * SECOND), start + 110 * SECOND, "another answer begins from nothing");
    }
}
