//! ○ Arrival times of the offsets that are not settled yet, exact to a few milliseconds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Arrival times of unsettled offsets: the first offset of a chunk and its time, oldest first.
#[derive(Debug, Default)]
pub struct ArrivalTimes(VecDeque<(i64, Instant)>);

impl ArrivalTimes {
    /// Chunks closer together than this count as one: an age is not needed more exactly.
    const RESOLUTION: Duration = Duration::from_millis(5);
    /// Beyond it, chunks count as part of the last one remembered, so an age may be overstated, never understated.
    pub const REMEMBERED_MAX: usize = 1024;

    /// The number of chunks that are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.0.len()
    }

    /// A chunk arrived that begins with this offset.
    pub fn push(&mut self, first: i64, received_at: Instant) {
        let is_news = self.0.back().is_none_or(|(_, last)| received_at.duration_since(*last) >= Self::RESOLUTION);
        if is_news && self.0.len() < Self::REMEMBERED_MAX {
            self.0.push_back((first, received_at));
        }
    }

    /// The oldest unsettled offset arrived with the last chunk that begins at or below it.
    pub fn forget_before(&mut self, oldest: Option<i64>) {
        let Some(oldest) = oldest else {
            return self.0.clear();
        };
        while self.0.get(1).is_some_and(|(first, _)| *first <= oldest) {
            self.0.pop_front();
        }
    }

    /// Age of the oldest unsettled offset; zero when there is none.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.0.front().map_or(Duration::ZERO, |(_, received_at)| now.saturating_duration_since(*received_at))
    }
}
