//! ○ The part of the live events that is late: lately, and usually, whatever the backlog does.

use super::counters::LiveWaits;

/// The part of the live events that waited too long for a turn on their core, lately, and usually.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LateShare {
    taken: f64,
    late: f64,
    /// While the backlog gave them little to wait for.
    usual: f64,
}

impl LateShare {
    pub(super) fn observe(&mut self, waits: LiveWaits, undisturbed: bool) {
        self.taken = self.taken * REMEMBERED + waits.taken as f64;
        self.late = self.late * REMEMBERED + waits.late as f64;
        // Fewer than usual are late, whatever the backlog does: that is over.
        if undisturbed || self.share() < self.usual {
            self.usual += (self.share() - self.usual) * USUAL_LEARNS;
        }
    }

    /// From a rest of the backlog, which is short: by half.
    pub(super) fn learn_from(&mut self, waits: LiveWaits) {
        let share = waits.late as f64 / (waits.taken as f64 + TAKEN_MIN);
        self.usual += (share - self.usual) / 2.0;
    }

    pub(super) fn share(&self) -> f64 {
        self.late / (self.taken + TAKEN_MIN)
    }

    pub(super) fn is_too_much(&self) -> bool {
        self.share() > (self.usual * USUAL_TIMES).max(LATE_SHARE_MAX)
    }

    /// More may be late than [`LATE_SHARE_MAX`]: so it was without the backlog, and may not be so any more.
    pub(super) fn allows_more_than_most(&self) -> bool {
        self.usual * USUAL_TIMES > LATE_SHARE_MAX
    }
}

/// Share of late live events. By `bench --only drain` with 2,000 live events a second, on two cores with everything on them,
/// 1.5 % let 6,700 rows a second pass with a p99 of the others that was longer by two fifths, and 1.2 % 7,400 with one that was
/// longer by a quarter; 5,000 are what is wanted.
const LATE_SHARE_MAX: f64 = 0.010;
/// Factor on the usual share of late events (they come in bursts, or the cores are busy): beyond it the backlog is at fault.
const USUAL_TIMES: f64 = 1.5;
/// At each decision: within some ten seconds.
const USUAL_LEARNS: f64 = 0.01;
/// Part of the counts that is kept at each decision: half of them within 200 ms.
const REMEMBERED: f64 = 0.7;
/// A few events say nothing yet.
const TAKEN_MIN: f64 = 20.0;
