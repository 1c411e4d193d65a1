//! ○ Lanes of which something may go: they have something and nothing under way.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use super::{Lane, LaneId};

#[derive(Debug, Default)]
pub(super) struct ReadyLanes {
    /// The one that waits longest for its turn first.
    turns: VecDeque<LaneId>,
    /// By the time at which the first event of each was received: one that became ready later may have an older one.
    by_age: BTreeSet<(Instant, LaneId)>,
    events: usize,
    bytes: usize,
}

impl ReadyLanes {
    pub(super) fn push_back(&mut self, id: LaneId, lane: &Lane) {
        self.turns.push_back(id);
        self.count(id, lane);
    }

    pub(super) fn push_front(&mut self, id: LaneId, lane: &Lane) {
        self.turns.push_front(id);
        self.count(id, lane);
    }

    /// The lane whose turn it is. It is to be [taken off](ReadyLanes::take_off) before anything changes in it.
    pub(super) fn pop_front(&mut self) -> Option<LaneId> {
        self.turns.pop_front()
    }

    pub(super) fn take_off(&mut self, id: LaneId, lane: &Lane) {
        self.events -= lane.waiting.len();
        self.bytes -= lane.bytes;
        if let Some(first) = lane.first_received_at() {
            self.by_age.remove(&(first, id));
        }
    }

    /// An event of this weight joined a lane that is ready, of which this was the time of the first one.
    pub(super) fn joined(&mut self, id: LaneId, lane: &Lane, weight: usize, first_before: Option<Instant>) {
        self.events += 1;
        self.bytes += weight;
        let first = lane.first_received_at();
        if first != first_before {
            if let Some(before) = first_before {
                self.by_age.remove(&(before, id));
            }
            self.by_age.extend(first.map(|first| (first, id)));
        }
    }

    /// The same turns, without the lanes that are `None` by now, each counted again.
    pub(super) fn recount<'a>(&mut self, lane: impl Fn(LaneId) -> Option<&'a Lane>) {
        for id in std::mem::take(self).turns {
            if let Some(lane) = lane(id) {
                self.push_back(id, lane);
            }
        }
    }

    /// Time at which the oldest of their first events was received.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.by_age.first().map(|(received_at, _)| *received_at)
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn count(&mut self, id: LaneId, lane: &Lane) {
        self.events += lane.waiting.len();
        self.bytes += lane.bytes;
        self.by_age.extend(lane.first_received_at().map(|first| (first, id)));
    }
}
