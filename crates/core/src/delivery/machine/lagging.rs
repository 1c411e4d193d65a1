//! ○ Lag of an endpoint: if it keeps up, and how much of what waits for it counts in the read window.
//!
//! What waits for a limit of the endpoint's own is the endpoint's wait; all else is ours. An endpoint whose events wait for
//! it longer than `park_after` is lagging: what waits goes to the backlog, and so does what comes, until the backlog is
//! gone. So a slow endpoint holds neither memory nor commits, and nobody waits for it twice.

use std::time::{Duration, Instant};

use super::{Delivery, dispatch::Wait};
use crate::{
    delivery::lanes::Lanes,
    flow::rate::Rate,
    model::{parking::RowCount, settings::Mode},
};

/// Events that leave memory for the backlog, and what was told of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlogged {
    leaving: Rate,
    /// Events without a row leave in this turn.
    parks: bool,
    /// Time at which such events left last. A count of rows from before knows nothing of them; they bring another one.
    parked_at: Option<Instant>,
    /// Number of rows that wait, and the time to look at it again unless there is news before.
    told: Option<(u64, Instant)>,
}

impl Backlogged {
    pub(super) fn new(now: Instant) -> Self {
        Backlogged { leaving: Rate::new(now), parks: false, parked_at: None, told: None }
    }

    pub(super) fn left(&mut self, events: u64, now: Instant) {
        self.leaving.add(events, now);
        if std::mem::take(&mut self.parks) {
            self.parked_at = Some(now);
        }
    }

    /// An event without a row leaves: what was told of the rows is not so any more.
    pub(super) fn parks(&mut self) {
        (self.parks, self.told) = (true, None);
    }

    fn is_outdated(&self, count: RowCount) -> bool {
        self.parks || self.parked_at.is_some_and(|parked_at| count.counted_at < parked_at)
    }

    pub(super) fn look_again_at(&self) -> Option<Instant> {
        self.told.map(|(_, at)| at)
    }
}

impl Delivery {
    /// Takes the number of its rows in the backlog. It has caught up when it takes them within a moment: with events coming
    /// all the time, the last row would never be the last. What was parked a moment ago may have no rows yet. Or when it takes
    /// as much as comes, and what waits, waits for us: else the time that the way through the backlog takes would keep it there.
    pub fn handle_backlog_rows(&mut self, count: RowCount, now: Instant) {
        if !self.backlogged.is_outdated(count) {
            self.look_at_rows(count.rows, now);
        }
        self.advance(now);
    }

    /// Nobody says twice that few rows are left: where only what left a moment ago is in the way, they are looked at again.
    fn look_at_rows(&mut self, rows: u64, now: Instant) {
        self.backlogged.told = None;
        let takes = self.delivered.per_second(now);
        let within = CAUGHT_UP_WITHIN.min(self.limits.park_after / 2);
        let takes_soon = ((takes * within.as_secs_f64()) as u64).max(CAUGHT_UP_ROWS);
        let coming = self.backlogged.leaving.per_second(now) as u64;
        let has_caught_up = rows.saturating_add(coming) <= takes_soon || self.saturation.waits_for_us(takes, now);
        if self.lagging && !self.wants_park_room && has_caught_up {
            self.lagging = false;
        } else if self.lagging && rows <= takes_soon {
            let at = now + self.limits.park_after;
            self.backlogged.told = Some((rows, at));
            self.park_check_at = Some(self.park_check_at.map_or(at, |planned| planned.min(at)));
        }
    }

    /// The time to look at the rows again may have come.
    pub(super) fn look_at_rows_again(&mut self, now: Instant) {
        if let Some((rows, at)) = self.backlogged.told
            && at <= now
        {
            self.look_at_rows(rows, now);
        }
    }

    /// It has taken nothing for as long as an event may wait, although something was under way, or waited for its customer's
    /// share: to read much of its backlog would only fill memory.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// To be asked when all is sent that can be.
    pub(super) fn note_stall(&mut self, now: Instant) {
        let is_long_ago = |at: Instant| now.saturating_duration_since(at) >= self.limits.park_after;
        let waits_for_share = self.wants_permit && self.permits.has_share;
        let hangs = || self.flights.iter().any(|flight| flight.batch.first_sent.is_some_and(is_long_ago));
        let is_quiet = is_long_ago(self.last_delivered.unwrap_or(self.began_at));
        self.stalled = is_quiet && (self.stalled || waits_for_share || hangs());
    }

    /// It cannot keep up with what comes for it.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// Number of stored events that it should have in memory while it lags: two rounds of its requests, what waits for
    /// another attempt, and what it takes within half of the time after which they would have to leave memory again. More
    /// would be read in vain. In order there is no such number: any event may be the one that the others wait for.
    #[must_use]
    pub fn stored_wanted_events(&self, now: Instant) -> usize {
        let delivery = &self.settings.delivery;
        if delivery.ordering.is_some() {
            return usize::MAX;
        }
        let of_request = match delivery.mode {
            Mode::Stream => 1,
            Mode::Batch { events_max, .. } => events_max as usize,
        };
        let requests = (2 * self.in_flight_level() as usize).saturating_mul(of_request);
        let soon = self.delivered.per_second(now) * self.limits.park_after.as_secs_f64() / 2.0;
        requests.saturating_add(self.waiting.events()).saturating_add(soon as usize)
    }

    /// Number of waiting events that count in the read window: as many as the endpoint takes within twice the target,
    /// so one that is slow compared with the others does not hold them up. In the first moment nobody knows what it takes:
    /// then all counts, where much waits.
    #[must_use]
    pub fn window_events(&self, now: Instant) -> usize {
        let waits_for_turn = self.turn_ended_at.is_some() && self.blocked_since.is_none();
        if self.waits_for_our_permit() || waits_for_turn {
            return self.unsent_events();
        }
        if self.blocked_since.is_none() || self.lagging || self.blocked_until(now).is_some() {
            return 0;
        }
        if self.measured_at().is_some_and(|at| now < at) {
            return self.unsent_events();
        }
        let soon = (self.limits.wait_target * 2).min(self.limits.park_after / 2);
        let takes = self.delivered.per_second(now) * soon.as_secs_f64();
        self.unsent_events().min((takes as usize).max(WINDOW_EVENTS_MIN))
    }

    /// The end of the first moment of a flood, in which nobody knows what the endpoint takes.
    fn measured_at(&self) -> Option<Instant> {
        let is_flood = self.queued_bytes() > self.limits.endpoint_bytes_max / 4;
        self.blocked_since.filter(|_| is_flood && !self.lagging).map(|blocked| blocked + UNMEASURED)
    }

    /// Reading may wait for a flood, and nothing need come from the endpoint that would show the end of its first moment.
    pub(super) fn look_at_flood_again(&mut self, now: Instant) {
        if let Some(at) = self.measured_at().filter(|at| now < *at) {
            self.wake_at = Some(self.wake_at.map_or(at, |planned| planned.min(at)));
        }
    }

    /// Dispatching has ended, for this reason.
    pub(super) fn note_wait(&mut self, wait: Wait, now: Instant) {
        self.blocked_since = match wait {
            Wait::Turn => return,
            Wait::Endpoint(_) if self.unsent_events() > 0 => self.blocked_since.or(Some(now)),
            _ => None,
        };
        self.saturation.record(matches!(wait, Wait::Endpoint(_)) && !self.has_nothing_to_send(), now);
    }

    /// Time that an event which was received then and is sent now has waited for the endpoint, as far as that shortens the
    /// time that its attempt has in memory.
    pub(super) fn waited_for_endpoint(&self, received_at: Instant, now: Instant) -> Duration {
        let waited = self.blocked_since.map(|blocked| now.saturating_duration_since(blocked.max(received_at)));
        waited.unwrap_or_default().min(self.limits.park_after * 4 / 5)
    }

    /// A turn that comes much later than it was asked for is our own fault: the process was stopped, or its core was busy.
    /// What waited meanwhile gets its time again.
    pub(super) fn excuse_late_turn(&mut self, now: Instant) {
        let late_min = LATE_MIN.min(self.limits.park_after / 5).max(LATE_FLOOR);
        if self.poll_timeout().is_some_and(|due| now.saturating_duration_since(due) > late_min) {
            self.released_at = Some(now);
        }
    }

    /// Holds more than it should, or has held something for too long: it cannot keep up. What it has goes to the backlog.
    pub(super) fn fall_behind(&mut self) {
        self.lagging = true;
        self.park_buffered(|_, _| true);
    }

    /// More waits than may, or than its rate limit lets through within `park_after`.
    pub(super) fn holds_too_much(&self) -> bool {
        self.queued_bytes() > self.limits.endpoint_bytes_max || self.is_far_behind_its_rate()
    }

    fn unsent_events(&self) -> usize {
        self.buffer.len() + self.lanes.as_ref().map_or(0, Lanes::len) + self.behind.len()
    }

    fn is_far_behind_its_rate(&self) -> bool {
        let (Some(limit), Some(limiter)) = (self.settings.delivery.rate_limit, &self.rate_limiter) else {
            return false;
        };
        let in_time =
            f64::from(limit.events_per_second) / f64::from(self.instances) * self.limits.park_after.as_secs_f64();
        self.queued_events() as f64 > in_time + f64::from(limiter.burst_events())
    }
}

/// An endpoint that has answered nothing yet counts with this many events.
const WINDOW_EVENTS_MIN: usize = 4;
/// A rate is found within this time. Until then a process that nothing holds back reads what makes a quick endpoint lag.
const UNMEASURED: Duration = Duration::from_millis(200);
/// A backlog that an endpoint takes within this time (and half of `park_after`) does not make it wait.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(1);
/// Rows of a backlog that does not make it wait, whatever its rate.
const CAUGHT_UP_ROWS: u64 = 10;
/// Lateness from which on a core has no say about endpoints; a fifth of `park_after` where that is less.
const LATE_MIN: Duration = Duration::from_secs(1);
/// Lateness that any loaded core may have: it never counts.
const LATE_FLOOR: Duration = Duration::from_millis(200);
