//! ○ Ranges that an endpoint misses of a partition while it is suspended, and afterwards until they have come back: for
//! an ordered endpoint, nothing that comes may pass them.
//!
//! What comes goes on being skipped while the gap is replayed. Once little of it is left, what comes is held in memory
//! behind the last replay; when that has ended, the endpoint has caught up.
//!
//! **Invariant:** from the first event that is skipped to the end of the last replay, no later event of the partition is sent
//! live to an ordered endpoint.

use std::{collections::HashMap, sync::Arc};

use crate::model::{
    gap::GapState,
    receipt::Receipt,
    source::{EventSource, SkipAt},
};

/// An event of which only the position is stored. It counts as under way as long as this lives.
#[derive(Debug)]
pub struct Skipping {
    pub receipt: Receipt,
    _under_way: UnderWay,
}

#[derive(Debug)]
struct UnderWay {
    source: Arc<dyn EventSource>,
    endpoint_id: Arc<str>,
}

impl Skipping {
    /// # Errors
    /// Gives the receipt back when its event is not to be skipped.
    pub fn of(receipt: Receipt, endpoint_id: &Arc<str>, at: SkipAt) -> Result<Self, Receipt> {
        let event = receipt.event();
        if !event.source.backlog().skips(endpoint_id, event.offset(), at) {
            return Err(receipt);
        }
        let source = Arc::clone(&event.source);
        Ok(Skipping { receipt, _under_way: UnderWay { source, endpoint_id: Arc::clone(endpoint_id) } })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.source.backlog().skipped(&self.endpoint_id);
    }
}

/// See the module's page. One for each assignment.
#[derive(Debug, Default)]
pub struct MissedRanges {
    /// The gaps of earlier assignments are.
    is_known: bool,
    of: HashMap<Arc<str>, Missed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missed {
    /// The first offset that was skipped.
    from: i64,
    /// Events that come are held in memory, and no longer skipped.
    is_held: bool,
    /// Skipped, and the position not stored yet.
    under_way: u64,
}

/// The way in which an endpoint that was suspended gets what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchesUp {
    /// It is gone.
    Never,
    /// It is suspended still, or disabled.
    Later,
    InOrder,
    InAnyOrder,
}

/// The next step for an ordered endpoint that is suspended no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUpStep {
    Wait,
    /// The gap becomes a replay; what comes from now on is skipped as before, or held.
    Replay {
        hold: bool,
    },
    Hold,
    Over,
}

impl MissedRanges {
    /// Takes over the gaps of earlier assignments from the tables: endpoints, and the first offset that each missed.
    pub fn begin<'a>(&mut self, stored: impl Iterator<Item = (&'a str, i64)>) {
        for (endpoint_id, from) in stored {
            let missed = self.of.entry(Arc::from(endpoint_id)).or_insert(Missed { from, is_held: false, under_way: 0 });
            missed.from = missed.from.min(from);
        }
        self.is_known = true;
    }

    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Endpoints that have not caught up.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Arc<str>> {
        self.of.keys().cloned().collect()
    }

    /// Events ahead of one that comes, with so many rows of its lane: what was missed comes first as well.
    #[must_use]
    pub fn ahead(&self, endpoint_id: &str, rows: u64) -> u64 {
        if rows == 0 && self.has(endpoint_id) { 1 } else { rows }
    }

    #[must_use]
    pub fn has(&self, endpoint_id: &str) -> bool {
        self.of.contains_key(endpoint_id)
    }

    /// True if events that come wait in memory for the end of a replay.
    #[must_use]
    pub fn is_held(&self, endpoint_id: &str) -> bool {
        self.of.get(endpoint_id).is_some_and(|missed| missed.is_held)
    }

    /// True if an event that comes is to be skipped; if so it counts as under way.
    #[must_use]
    pub fn skips(&mut self, endpoint_id: &Arc<str>, offset: i64, suspended: bool) -> bool {
        if suspended {
            let missed =
                self.of.entry(Arc::clone(endpoint_id)).or_insert(Missed { from: offset, is_held: false, under_way: 0 });
            *missed = Missed { from: missed.from.min(offset), is_held: false, under_way: missed.under_way + 1 };
            return true;
        }
        let missed = self.of.get_mut(endpoint_id).filter(|missed| !missed.is_held && offset >= missed.from);
        missed.map(|missed| missed.under_way += 1).is_some()
    }

    /// True if an event that leaves memory is to be skipped, because what it follows is still being replayed. Then the rest of
    /// what is held is skipped as well.
    #[must_use]
    pub fn skips_instead_of_parking(&mut self, endpoint_id: &str, offset: i64) -> bool {
        let Some(missed) = self.of.get_mut(endpoint_id).filter(|missed| offset >= missed.from) else { return false };
        (missed.is_held, missed.under_way) = (false, missed.under_way + 1);
        true
    }

    /// The position of one is stored, or it comes again.
    pub fn skipped(&mut self, endpoint_id: &str) {
        if let Some(missed) = self.of.get_mut(endpoint_id) {
            missed.under_way = missed.under_way.saturating_sub(1);
        }
    }

    /// Decides the endpoint's next step from what the tables said, and does it as far as that is here.
    pub fn next_step(&mut self, endpoint_id: &str, stored: GapState) -> CatchUpStep {
        let Some(missed) = self.of.get_mut(endpoint_id) else { return CatchUpStep::Over };
        match stored {
            GapState { has_open_replay: true, .. } => CatchUpStep::Wait,
            GapState { gap_events: Some(events), .. } => {
                missed.is_held |= events <= HELD_GAP_EVENTS_MAX;
                CatchUpStep::Replay { hold: missed.is_held }
            }
            // What was skipped before it was held may not be stored yet; then it is a gap again.
            _ if missed.under_way > 0 => CatchUpStep::Wait,
            _ if missed.is_held => {
                self.of.remove(endpoint_id);
                CatchUpStep::Over
            }
            _ => {
                missed.is_held = true;
                CatchUpStep::Hold
            }
        }
    }

    /// There is nobody any more who missed it.
    pub fn forget(&mut self, endpoint_id: &str) {
        self.of.remove(endpoint_id);
    }
}

/// While a gap of so few events is replayed, what comes waits in memory.
const HELD_GAP_EVENTS_MAX: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: fn(i64) -> GapState = |events| GapState { gap_events: Some(events), has_open_replay: false };
    const REPLAYING: GapState = GapState { gap_events: None, has_open_replay: true };
    const NOTHING: GapState = GapState { gap_events: None, has_open_replay: false };

    fn skips(ranges: &mut MissedRanges, offset: i64) -> bool {
        let skipped = ranges.skips(&"ep_1".into(), offset, false);
        if skipped {
            ranges.skipped("ep_1");
        }
        skipped
    }

    fn suspended_at(offset: i64) -> MissedRanges {
        let mut ranges = MissedRanges::default();
        assert!(ranges.skips(&"ep_1".into(), offset, true));
        ranges.skipped("ep_1");
        ranges
    }

    #[test]
    fn after_the_suspension_what_comes_is_skipped_until_the_replays_have_caught_up() {
        let mut ranges = suspended_at(100);
        assert!(!skips(&mut ranges, 99) && skips(&mut ranges, 155));
        assert_eq!(ranges.next_step("ep_1", GAP(5_000)), CatchUpStep::Replay { hold: false });
        assert!(skips(&mut ranges, 5_100), "a large gap is replayed");
        assert_eq!(ranges.next_step("ep_1", REPLAYING), CatchUpStep::Wait);
        assert_eq!(ranges.next_step("ep_1", GAP(20)), CatchUpStep::Replay { hold: true });
        assert!(!skips(&mut ranges, 5_120) && ranges.has("ep_1"), "it waits in memory");
        assert_eq!(ranges.next_step("ep_1", REPLAYING), CatchUpStep::Wait);
        assert_eq!(ranges.next_step("ep_1", NOTHING), CatchUpStep::Over);
        assert!(!ranges.has("ep_1") && !skips(&mut ranges, 5_121));
    }

    #[test]
    fn what_is_skipped_and_not_stored_yet_comes_before_what_is_held() {
        let mut ranges = suspended_at(100);
        assert!(ranges.skips(&"ep_1".into(), 101, false));
        assert_eq!(ranges.next_step("ep_1", GAP(1)), CatchUpStep::Replay { hold: true });
        assert_eq!(ranges.next_step("ep_1", NOTHING), CatchUpStep::Wait);
        ranges.skipped("ep_1");
        assert_eq!(ranges.next_step("ep_1", GAP(1)), CatchUpStep::Replay { hold: true });
        assert_eq!(ranges.next_step("ep_1", NOTHING), CatchUpStep::Over);
    }

    #[test]
    fn what_is_held_and_cannot_stay_in_memory_makes_all_that_follows_it_a_gap_again() {
        let mut ranges = suspended_at(100);
        assert_eq!(ranges.next_step("ep_1", GAP(1)), CatchUpStep::Replay { hold: true });
        assert!(!ranges.skips_instead_of_parking("ep_1", 99), "what was there before the gap has its row");
        assert!(ranges.skips_instead_of_parking("ep_1", 120));
        assert!(skips(&mut ranges, 121), "its successors may not be sent before it");
        ranges.skipped("ep_1");
        assert_eq!(
            ranges.next_step("ep_1", NOTHING),
            CatchUpStep::Hold,
            "not over: its position may just have been stored"
        );
    }

    #[test]
    fn who_is_suspended_again_is_not_over() {
        let mut ranges = suspended_at(100);
        assert_eq!(ranges.next_step("ep_1", NOTHING), CatchUpStep::Hold);
        assert!(ranges.skips(&"ep_1".into(), 130, true));
        assert_eq!(ranges.next_step("ep_1", NOTHING), CatchUpStep::Wait);
    }

    #[test]
    fn what_an_earlier_assignment_skipped_is_known_from_the_tables() {
        let mut ranges = MissedRanges::default();
        assert!(!ranges.is_known());
        ranges.begin([("ep_1", 40)].into_iter());
        assert!(ranges.is_known() && skips(&mut ranges, 40) && !skips(&mut ranges, 39));
        assert_eq!(ranges.endpoints(), [Arc::from("ep_1")]);
    }
}
