//! ○ Silence on a connection that many requests share: after a while it is asked about by a PING, and without an answer the
//! connection takes no more requests. It is not ended: a server that is busy answers no PING either, and then what it was
//! asked for.

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
    /// Nothing came, not even an answer to the PING: it should take no more requests.
    Retire,
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
            Some(pinged) if now < pinged + PONG_WITHIN => NextStep::Wait(pinged + PONG_WITHIN),
            Some(_) => NextStep::Retire,
        }
    }
}

/// Longer than most answers take.
pub const PING_AFTER: Duration = Duration::from_millis(1_500);
/// Longer than a busy server's pauses.
pub const PONG_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_asked_about_once_and_then_its_connection_takes_no_more() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start), NextStep::Wait(start + PING_AFTER));
        let asked = start + PING_AFTER;
        assert_eq!(silence.next_step(asked), NextStep::Ping);
        assert_eq!(silence.next_step(asked), NextStep::Wait(asked + PONG_WITHIN));
        assert_eq!(silence.next_step(asked + PONG_WITHIN), NextStep::Retire);
    }

    #[test]
    fn whatever_comes_ends_it() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start + PING_AFTER), NextStep::Ping);
        let heard = start + PING_AFTER + PONG_WITHIN / 2;
        silence.begin_again(heard);
        assert_eq!(silence.next_step(heard), NextStep::Wait(heard + PING_AFTER));
        assert_eq!(silence.next_step(heard + PING_AFTER), NextStep::Ping, "each silence is asked about");
    }

    #[test]
    fn a_process_that_slept_asks_before_it_gives_up() {
        let start = Instant::now();
        let mut silence = Silence::since(start);
        assert_eq!(silence.next_step(start + 10 * PONG_WITHIN), NextStep::Ping);
    }
}
