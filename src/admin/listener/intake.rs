//! ○ Reading of a connection: heads, bodies as far as somebody waits for them, and little of what nobody asked for.
//! A client that sends more than that finds TCP's window full.

/// The right to read from a connection.
#[derive(Debug)]
pub(super) struct ReadBudget {
    /// Bytes that may still be read, whatever they are.
    left: usize,
    /// Bytes read since the latest request's head began, or since its body had come.
    read: usize,
    phase: Phase,
}

/// The part of a connection that may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head, or more of one.
    Head,
    /// A body, of so many bytes if its head said so.
    Body(Option<usize>),
    /// The next request, while one is under way.
    Next,
    /// The rest of a body that nobody wanted.
    Rest,
}

impl Default for ReadBudget {
    /// The budget of a new connection.
    fn default() -> Self {
        ReadBudget { left: HEAD_PART_BYTES, read: 0, phase: Phase::Head }
    }
}

impl ReadBudget {
    /// A head is complete. Nobody has asked for its body yet.
    pub(super) fn request_begins(&mut self, has_body: bool, promised: Option<usize>) {
        if !has_body {
            self.read = 0;
        }
        (self.left, self.phase) = if has_body { (0, Phase::Body(promised)) } else { (UNASKED_BYTES_MAX, Phase::Next) };
    }

    /// Somebody waits for more of the body.
    pub(super) fn body_is_awaited(&mut self) {
        self.left = self.left.max(AWAITED_BYTES_MAX);
    }

    /// The body has come to its end. An end of the connection is noticed from here on.
    pub(super) fn body_is_whole(&mut self) {
        self.read = 0;
        (self.left, self.phase) = (UNASKED_BYTES_MAX, Phase::Next);
    }

    /// The answer was handed over whole. Another head may come, but not the rest of a body that nobody wants; it may have
    /// come already, unnoticed.
    pub(super) fn request_ends(&mut self) {
        (self.left, self.phase) = match self.phase {
            Phase::Body(Some(promised)) if promised > self.read => (0, Phase::Rest),
            Phase::Body(_) | Phase::Rest => (UNASKED_BYTES_MAX, Phase::Rest),
            // What was read since its body had come is of the next request.
            Phase::Head | Phase::Next => return (self.left, self.phase) = (HEAD_PART_BYTES, Phase::Head),
        };
        self.read = 0;
    }

    /// Notes bytes that were read.
    pub(super) fn has_read(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.read += bytes;
    }

    #[must_use]
    pub(super) fn may_read(&self) -> bool {
        self.left > 0
    }

    /// Lets more of a head be read, after what there is of it was looked at; false when it is too long or no head.
    #[must_use]
    pub(super) fn reads_on(&mut self) -> bool {
        let reads_on = self.phase == Phase::Head && self.read < HEAD_BYTES_MAX;
        if reads_on {
            self.left = HEAD_PART_BYTES;
        }
        reads_on
    }
}

/// Bytes of a head that are read at once, give or take what the server below reads in one go.
const HEAD_PART_BYTES: usize = 4 * 1024;
/// More than a head may have: the server below refuses those beyond 128 KiB.
const HEAD_BYTES_MAX: usize = 192 * 1024;
/// Bytes of a body that are read at once.
const AWAITED_BYTES_MAX: usize = 32 * 1024;
/// Bytes read of the next request while one is under way, and behind an answer to a body that nobody read.
const UNASKED_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that are read, in parts of 4 KiB, until no more are.
    fn read_on(intake: &mut ReadBudget) -> usize {
        let before = intake.read;
        while intake.may_read() {
            intake.has_read(4_096);
        }
        intake.read - before
    }

    #[test]
    fn a_body_is_read_as_far_as_somebody_waits_for_it() {
        let mut intake = ReadBudget::default();
        intake.request_begins(true, Some(1_000_000));
        assert_eq!(read_on(&mut intake), 0, "nobody has asked for it");
        intake.body_is_awaited();
        intake.body_is_awaited();
        assert_eq!(read_on(&mut intake), AWAITED_BYTES_MAX);
        assert!(!intake.reads_on());
    }

    #[test]
    fn a_head_is_read_in_parts_and_never_without_end() {
        let (mut intake, mut read) = (ReadBudget::default(), 0);
        while intake.may_read() {
            read += read_on(&mut intake);
            let _ = intake.reads_on();
        }
        assert_eq!(read, HEAD_BYTES_MAX);
    }

    #[test]
    fn nothing_is_read_behind_the_answer_to_a_body_that_has_not_come() {
        for promised in [Some(1_000_000), None] {
            let mut intake = ReadBudget::default();
            read_on(&mut intake);
            intake.request_begins(true, promised);
            intake.request_ends();
            assert_eq!(read_on(&mut intake), if promised.is_some() { 0 } else { UNASKED_BYTES_MAX });
            assert!(!intake.reads_on());
        }
    }

    #[test]
    fn a_body_that_came_along_with_its_head_may_be_followed_by_another_request() {
        let mut intake = ReadBudget::default();
        read_on(&mut intake);
        intake.request_begins(true, Some(1_000));
        intake.request_ends();
        assert!(intake.may_read(), "all of it may be here");
        intake.request_begins(false, None);
        intake.request_ends();
        assert!(intake.may_read() && intake.reads_on());
    }

    #[test]
    fn what_comes_while_a_request_is_under_way_is_counted_for_the_next_one() {
        let mut intake = ReadBudget::default();
        intake.request_begins(false, None);
        intake.has_read(2_000);
        intake.request_ends();
        intake.request_begins(true, Some(1_500));
        intake.request_ends();
        assert!(intake.may_read(), "its body is here, though nobody looked at it");
    }

    #[test]
    fn a_whole_body_is_followed_by_the_next_head() {
        let mut intake = ReadBudget::default();
        intake.request_begins(true, None);
        intake.body_is_awaited();
        intake.body_is_whole();
        assert!(intake.may_read(), "the end of the connection is noticed");
        intake.request_ends();
        assert!(intake.may_read() && intake.reads_on());
    }
}
