//! ○ Events that each endpoint took and attempts at it that failed, by the minute: new ones since the minute before,
//! ones still to be written, and written ones as points of a curve.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use crate::model::hour_count::{HOUR_MS, HourCount, MINUTES};

pub const MINUTE_MS: i64 = 60_000;

/// Counts of an endpoint since this process started.
#[derive(Debug, Clone)]
pub struct Total {
    pub endpoint_id: Arc<str>,
    /// Events.
    pub delivered: u64,
    /// Attempts.
    pub failed: u64,
}

/// Counts of one endpoint within one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinuteCount {
    pub endpoint_id: Arc<str>,
    /// Since 1970.
    pub minute: i64,
    pub delivered: u64,
    pub failed: u64,
}

/// The minute that a time falls into; milliseconds since 1970.
#[must_use]
pub fn minute_of(wall_ms: i64) -> i64 {
    wall_ms.div_euclid(MINUTE_MS)
}

/// New counts, minute by minute, that wait to be written.
#[derive(Debug, Default)]
pub struct Counting {
    known: HashMap<Arc<str>, (u64, u64)>,
    waiting: VecDeque<MinuteCount>,
}

/// Counts that may wait to be written: a quarter of an hour of 10,000 busy endpoints, about 10 MB. Beyond it the oldest go.
pub const WAITING_MAX: usize = 150_000;

impl Counting {
    /// Takes what all endpoints have come to by now: what is new belongs to `minute`. Returns how many counts found no
    /// room.
    pub fn count(&mut self, minute: i64, totals: impl Iterator<Item = Total>) -> usize {
        let mut known = HashMap::with_capacity(self.known.len());
        for Total { endpoint_id, delivered, failed } in totals {
            if (delivered, failed) == (0, 0) {
                continue;
            }
            // Less than before: the endpoint was taken up again.
            let (before_delivered, before_failed) = self
                .known
                .get(&endpoint_id)
                .copied()
                .filter(|(d, f)| *d <= delivered && *f <= failed)
                .unwrap_or((0, 0));
            let new = (delivered - before_delivered, failed - before_failed);
            if new != (0, 0) {
                let endpoint_id = Arc::clone(&endpoint_id);
                self.waiting.push_back(MinuteCount { endpoint_id, minute, delivered: new.0, failed: new.1 });
            }
            known.insert(endpoint_id, (delivered, failed));
        }
        // Those that are gone are forgotten.
        self.known = known;
        let over = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..over);
        over
    }

    /// The next ones to be written, the oldest first.
    pub fn take(&mut self, rows_max: usize) -> Vec<MinuteCount> {
        self.waiting.drain(..self.waiting.len().min(rows_max)).collect()
    }

    /// They were not written after all.
    pub fn put_back(&mut self, counts: Vec<MinuteCount>) {
        counts.into_iter().rev().for_each(|count| self.waiting.push_front(count));
    }
}

/// The rows of these counts: one for each hour of an endpoint, in an order that is the same for everyone who writes.
#[must_use]
pub fn hours(counts: &[MinuteCount]) -> Vec<HourCount> {
    let mut hours: BTreeMap<(&Arc<str>, i64), HourCount> = BTreeMap::new();
    for count in counts {
        let (hour, minute) = (count.minute.div_euclid(60), count.minute.rem_euclid(60) as usize);
        let row = hours.entry((&count.endpoint_id, hour)).or_insert_with(|| HourCount {
            endpoint_id: Arc::clone(&count.endpoint_id),
            hour,
            delivered: [0; MINUTES],
            failed: [0; MINUTES],
        });
        let add = |to: &mut i32, more: u64| *to = to.saturating_add(i32::try_from(more).unwrap_or(i32::MAX));
        add(&mut row.delivered[minute], count.delivered);
        add(&mut row.failed[minute], count.failed);
    }
    hours.into_values().collect()
}

/// The span of a curve's point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Minute,
    Hour,
}

impl Per {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Per::Minute => "minute",
            Per::Hour => "hour",
        }
    }

    #[must_use]
    pub fn ms(self) -> i64 {
        match self {
            Per::Minute => MINUTE_MS,
            Per::Hour => HOUR_MS,
        }
    }
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptCountPoint {
    /// Its beginning, milliseconds since 1970.
    pub at_ms: i64,
    pub delivered: u64,
    pub failed: u64,
}

/// A closed range of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub per: Per,
    /// Beginning of the first point, milliseconds since 1970.
    pub from_ms: i64,
    /// Number of points.
    pub points: usize,
}

impl Period {
    /// The points that cover `since_ms` up to `until_ms`.
    #[must_use]
    pub fn covering(per: Per, since_ms: i64, until_ms: i64) -> Self {
        let first = since_ms.div_euclid(per.ms());
        let last = until_ms.saturating_sub(1).div_euclid(per.ms());
        let points = usize::try_from(last - first + 1).unwrap_or(0);
        Period { per, from_ms: first.saturating_mul(per.ms()), points }
    }

    /// End of the last point.
    #[must_use]
    pub fn until_ms(&self) -> i64 {
        self.from_ms + self.per.ms() * self.points as i64
    }

    /// The first hour, and the one after the last.
    #[must_use]
    pub fn hours(&self) -> (i64, i64) {
        (self.from_ms.div_euclid(HOUR_MS), self.until_ms().saturating_sub(1).div_euclid(HOUR_MS) + 1)
    }

    /// Each point, those without anything as well.
    #[must_use]
    pub fn curve(&self, rows: &[HourCount]) -> Vec<AttemptCountPoint> {
        let at = |n: usize| self.from_ms + self.per.ms() * n as i64;
        let mut curve: Vec<AttemptCountPoint> =
            (0..self.points).map(|n| AttemptCountPoint { at_ms: at(n), ..AttemptCountPoint::default() }).collect();
        for row in rows {
            for minute in 0..MINUTES {
                let ms = row.hour * HOUR_MS + minute as i64 * MINUTE_MS;
                let place = usize::try_from((ms - self.from_ms).div_euclid(self.per.ms())).ok();
                if let Some(point) = place.and_then(|place| curve.get_mut(place)) {
                    point.delivered += u64::from(row.delivered[minute].max(0).unsigned_abs());
                    point.failed += u64::from(row.failed[minute].max(0).unsigned_abs());
                }
            }
        }
        curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(id: &str, delivered: u64, failed: u64) -> Total {
        Total { endpoint_id: id.into(), delivered, failed }
    }

    fn count(id: &str, minute: i64, delivered: u64, failed: u64) -> MinuteCount {
        MinuteCount { endpoint_id: id.into(), minute, delivered, failed }
    }

    #[test]
    fn a_minute_has_what_came_since_the_one_before_and_those_that_did_nothing_have_none() {
        let mut counting = Counting::default();
        counting.count(7, [total("ep_1", 5, 1), total("ep_2", 0, 0)].into_iter());
        counting.count(8, [total("ep_1", 5, 1), total("ep_2", 0, 2)].into_iter());
        counting.count(9, [total("ep_1", 9, 1), total("ep_2", 0, 2)].into_iter());
        let expected = [count("ep_1", 7, 5, 1), count("ep_2", 8, 0, 2), count("ep_1", 9, 4, 0)];
        assert_eq!(counting.take(10), expected);
    }

    #[test]
    fn an_endpoint_that_was_taken_up_anew_is_counted_from_its_beginning() {
        let mut counting = Counting::default();
        counting.count(1, [total("ep_1", 50, 0)].into_iter());
        counting.count(2, std::iter::empty());
        counting.count(3, [total("ep_1", 60, 0)].into_iter());
        counting.count(4, [total("ep_1", 3, 0)].into_iter());
        let delivered: Vec<u64> = counting.take(10).iter().map(|count| count.delivered).collect();
        assert_eq!(delivered, [50, 60, 3]);
    }

    #[test]
    fn what_was_not_written_waits_in_its_order_and_what_waits_is_bounded() {
        let mut counting = Counting::default();
        let totals = |n: u64| (0..WAITING_MAX as u64).map(move |place| total(&place.to_string(), n, 0));
        assert_eq!(counting.count(1, totals(1)), 0);
        let first = counting.take(2);
        counting.put_back(first.clone());
        assert_eq!(counting.take(2), first);
        counting.put_back(first);
        assert_eq!(counting.count(2, totals(2)), WAITING_MAX, "the oldest give way");
        assert!(counting.take(usize::MAX).iter().all(|count| count.minute == 2));
    }

    #[test]
    fn a_row_is_an_hour_of_an_endpoint() {
        let counts =
            [count("ep_2", 61, 1, 0), count("ep_1", 119, 2, 3), count("ep_2", 61, 4, 0), count("ep_2", 120, 1, 0)];
        let rows = hours(&counts);
        let places: Vec<(&str, i64)> = rows.iter().map(|row| (&*row.endpoint_id, row.hour)).collect();
        assert_eq!(places, [("ep_1", 1), ("ep_2", 1), ("ep_2", 2)]);
        assert_eq!((rows[0].delivered[59], rows[0].failed[59], rows[1].delivered[1]), (2, 3, 5));
    }

    #[test]
    fn a_curve_covers_its_time_and_has_a_point_for_every_step() {
        let rows = hours(&[count("ep_1", 59, 1, 0), count("ep_1", 60, 2, 1), count("ep_1", 125, 9, 9)]);
        let minutes = Period::covering(Per::Minute, 59 * MINUTE_MS + 5, 61 * MINUTE_MS);
        assert_eq!((minutes.points, minutes.hours()), (2, (0, 2)));
        let told: Vec<(u64, u64)> = minutes.curve(&rows).iter().map(|point| (point.delivered, point.failed)).collect();
        assert_eq!(told, [(1, 0), (2, 1)]);
        let hours = Period::covering(Per::Hour, 0, 3 * HOUR_MS);
        let told: Vec<(i64, u64)> = hours.curve(&rows).iter().map(|point| (point.at_ms, point.delivered)).collect();
        assert_eq!(told, [(0, 1), (HOUR_MS, 2), (2 * HOUR_MS, 9)]);
    }
}
