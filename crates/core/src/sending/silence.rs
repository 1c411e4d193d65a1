//! ○ Silence on a connection that many requests share: after a while it is asked about by a PING, and a while after that the
//! connection is taken for dead. A server that is merely slow answers the PING.

use std::time::{Duration, Instant};

/// Time since something came on a connection that somebody waits on.
#[derive(Debug)]
pub struct Silence {
    since: Instant,
    pinged: Option<Instant>,
}

/// The next step about a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing until then.
    Wait(Instant),
    /// To be sent now.
    Ping,
    /// Nothing came, not even an answer to the PING.
    Dead,
}

impl Silence {
    #[must_use]
    pub fn since(now: Instant) -> Self {
        Silence { since: now, pinged: None }
    }

    /// Something came; or somebody begins to wait, after a time in which nobody did.
    pub fn begin_again(&mut self, now: Instant) {
        *self = Silence::since(now);
    }

    /// The next step; a PING is taken for sent.
    pub fn next_step(&mut self, now: Instant) -> NextStep {
        match self.pinged {
            None if now < self.since + PING_AFTER => NextStep::Wait(self.since + PING_AFTER),
            None => {
                self.pinged = Some(now);
                NextStep::Ping
            }
            Some(pinged) if now < pinged + DEAD_AFTER => NextStep::Wait(pinged + DEAD_AFTER),
            Some(_) => NextStep::Dead,
        }
    }
}

/// Longer than most answers take.
pub const PING_AFTER: Duration = Duration::from_millis(1_500);
/// Together with [`PING_AFTER`] less than events stay in memory by default: they are sent again from there.
pub const DEAD_AFTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_asked_about_once_and_then_taken_for_death() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start), NextStep::Wait(start + PING_AFTER));
        let asked = start + PING_AFTER;
        assert_eq!(silence.next_step(asked), NextStep::Ping);
        assert_eq!(silence.next_step(asked), NextStep::Wait(asked + DEAD_AFTER));
        assert_eq!(silence.next_step(asked + DEAD_AFTER), NextStep::Dead);
    }

    #[test]
    fn whatever_comes_ends_it() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start + PING_AFTER), NextStep::Ping);
        let heard = start + PING_AFTER + DEAD_AFTER / 2;
        silence.begin_again(heard);
        assert_eq!(silence.next_step(heard), NextStep::Wait(heard + PING_AFTER));
        assert_eq!(silence.next_step(heard + PING_AFTER), NextStep::Ping, "each silence is asked about");
    }

    #[test]
    fn a_process_that_slept_asks_before_it_gives_up() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start + 10 * DEAD_AFTER), NextStep::Ping);
    }
}
