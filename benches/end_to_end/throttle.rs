//! ○ When the benchmark's customers answer: at once, or no more than so many a second of all together.

use std::time::{Duration, Instant};

pub struct Throttle {
    /// Between two answers; none when they are not held back.
    apart: Option<Duration>,
    next: Option<Instant>,
}

impl Throttle {
    pub fn new(answers_per_second: Option<f64>) -> Self {
        Throttle { apart: answers_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate)), next: None }
    }

    /// When a request that came now is answered, after all that came before; at once without a time.
    pub fn turn(&mut self, now: Instant) -> Option<Instant> {
        let apart = self.apart?;
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = Some(turn + apart);
        Some(turn)
    }
}
