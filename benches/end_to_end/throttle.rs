//! ○ When the benchmark's customers answer: at once, no more than so many a second of all together, or slowly.

use std::time::{Duration, Instant};

pub struct Throttle {
    /// Between two answers of anybody; none when they are not held back.
    apart: Option<Duration>,
    next: Option<Instant>,
    /// Of a slow customer, from request to answer.
    slow_after: Option<Duration>,
}

impl Throttle {
    pub fn new(answers_per_second: Option<f64>, slow_after: Option<Duration>) -> Self {
        let apart = answers_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Throttle { apart, next: None, slow_after }
    }

    /// From now on everybody answers at once.
    pub fn lift(&mut self) {
        *self = Throttle::new(None, None);
    }

    /// When a request that came now is answered, after all that came before; at once without a time.
    pub fn turn(&mut self, now: Instant, slow: bool) -> Option<Instant> {
        if slow && let Some(after) = self.slow_after {
            return Some(now + after);
        }
        let apart = self.apart?;
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = Some(turn + apart);
        Some(turn)
    }
}
