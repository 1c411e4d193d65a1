//! ○ Lanes of waiting events: those of one lane go one after the other, those of several side by side.
//!
//! **Invariant:** of a lane, what was taken out has ended before more of it is taken.

mod ready; // lanes of which something may go

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Instant,
};

use self::ready::ReadyLanes;
use super::{
    batch::{Batch, FilledBy, Members},
    body_size::BodySize,
    buffer::BatchLimits,
};
use crate::model::{event::Event, receipt::Receipt, settings::OrderBy};

/// The buffer of an ordered endpoint, in the place of a [`BatchBuffer`](super::buffer::BatchBuffer).
#[derive(Debug)]
pub struct Lanes {
    by: OrderBy,
    lanes: HashMap<LaneId, Lane>,
    ready: ReadyLanes,
    events: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Receipt>,
    bytes: usize,
    /// Taken out and not ended.
    out: usize,
}

/// A lane: an assignment of a partition, and the key where that matters. Two that share a number just wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(u64);

impl LaneId {
    #[must_use]
    pub fn of(event: &Event, by: OrderBy) -> Self {
        let mut hasher = DefaultHasher::new();
        Arc::as_ptr(&event.source).cast::<()>().hash(&mut hasher);
        if by == OrderBy::Key {
            event.key().hash(&mut hasher);
        }
        LaneId(hasher.finish())
    }
}

impl Lanes {
    #[must_use]
    pub fn new(by: OrderBy) -> Self {
        Lanes { by, lanes: HashMap::new(), ready: ReadyLanes::default(), events: 0, bytes: 0 }
    }

    #[must_use]
    pub fn by(&self) -> OrderBy {
        self.by
    }

    /// Puts an event into its lane, by its offset: what was abandoned by a dead actor comes back behind later ones.
    pub fn push(&mut self, receipt: Receipt) {
        let id = self.lane_of(receipt.event());
        let weight = receipt.event().weight_bytes();
        let lane = self.lanes.entry(id).or_default();
        let (was_ready, first_before) = (lane.is_ready(), lane.first_received_at());
        lane.bytes += weight;
        let offset = receipt.event().offset();
        match lane.waiting.back() {
            Some(last) if last.event().offset() > offset => {
                let place = lane.waiting.partition_point(|other| other.event().offset() <= offset);
                lane.waiting.insert(place, receipt);
            }
            _ => lane.waiting.push_back(receipt),
        }
        self.events += 1;
        self.bytes += weight;
        if was_ready {
            self.ready.joined(id, lane, weight, first_before);
        } else if lane.out == 0 {
            self.ready.push_back(id, lane);
        }
    }

    /// An event that went out before these lanes were made: what comes of its lane waits for its end.
    pub fn holds(&mut self, event: &Event) {
        let lane = self.lanes.entry(self.lane_of(event)).or_default();
        debug_assert!(lane.waiting.is_empty(), "nothing may have become ready before");
        lane.out += 1;
    }

    /// True if more is out of their lanes than these.
    #[must_use]
    pub fn has_others_out<'a>(&self, events: impl Iterator<Item = &'a Arc<Event>>) -> bool {
        let mut of_lanes: HashMap<LaneId, usize> = HashMap::new();
        events.for_each(|event| *of_lanes.entry(self.lane_of(event)).or_default() += 1);
        of_lanes.iter().any(|(id, events)| self.lanes.get(id).is_some_and(|lane| lane.out > *events))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.events
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Time at which the next batch is due; `None` while every lane has something under way.
    #[must_use]
    pub fn due_at(&self, limits: &BatchLimits) -> Option<Instant> {
        let oldest = self.ready.oldest()?;
        let full = self.ready.events() >= limits.events_max || self.ready.bytes() >= limits.bytes_max;
        Some(if full { oldest } else { oldest + limits.wait })
    }

    /// True if something waits for what is out of its lane.
    #[must_use]
    pub fn has_blocked(&self) -> bool {
        self.events > self.ready.events()
    }

    /// Largest number of events in the next batch.
    #[must_use]
    pub fn next_len(&self, limits: &BatchLimits) -> usize {
        self.ready.events().min(limits.events_max)
    }

    /// The next batch, of as many lanes as it takes; they are busy until [`Lanes::ended`] was told of all its members. Events
    /// that another instance owns by now are dropped on the way. `None`: nothing is left in the lanes that are ready.
    pub fn take(&mut self, limits: &BatchLimits) -> Option<Batch> {
        let mut members = Members::new();
        let (mut bytes, mut size, mut oldest) = (0, BodySize::default(), None::<Instant>);
        let mut passed_over = Vec::new();
        let mut events_max = limits.events_max;
        while members.len() < events_max && (members.is_empty() || size.bytes() < limits.bytes_max) {
            let Some(id) = self.ready.pop_front() else { break };
            let taken_before = members.len();
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            self.ready.take_off(id, lane);
            while members.len() < events_max
                && let Some(next) = lane.waiting.front()
            {
                let event = next.event();
                let weight = event.weight_bytes();
                let company_max = limits.company_of(next);
                let has_room = members.is_empty() || members.len() < company_max;
                // What is stored and what is not share no batch.
                let is_like = members
                    .first()
                    .is_none_or(|first: &Receipt| first.event().source.is_stored() == event.source.is_stored());
                let is_ours = event.source.is_current();
                if is_ours && !(has_room && is_like && size.add(event, limits, members.iter())) {
                    break;
                }
                let Some(receipt) = lane.waiting.pop_front() else { break };
                lane.bytes -= weight;
                self.events -= 1;
                self.bytes -= weight;
                if is_ours {
                    let received_at = receipt.event().received_at;
                    oldest = Some(oldest.map_or(received_at, |oldest| oldest.min(received_at)));
                    bytes += weight;
                    lane.out += 1;
                    events_max = events_max.min(company_max);
                    members.push(receipt);
                }
            }
            match (members.len() > taken_before, lane.waiting.is_empty()) {
                (false, false) => passed_over.push(id),
                (false, true) => drop(self.lanes.remove(&id)),
                (true, _) => {}
            }
        }
        for id in passed_over.into_iter().rev() {
            self.lanes.get(&id).into_iter().for_each(|lane| self.ready.push_front(id, lane));
        }
        // What is left waits for what is out, and not for room.
        let filled_by = FilledBy::of(members.len(), size.bytes(), false, limits);
        let mut batch = Batch::new(members, bytes, oldest?);
        batch.filled_by = filled_by;
        Some(batch)
    }

    /// Something that was taken out has ended, or left.
    pub fn ended(&mut self, event: &Event) {
        let id = self.lane_of(event);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.out == 0 {
            return;
        }
        lane.out -= 1;
        if lane.out == 0 && lane.waiting.is_empty() {
            self.lanes.remove(&id);
        } else if lane.out == 0 {
            self.ready.push_back(id, lane);
        }
    }

    /// Requeues all but the first member of each lane after a failed attempt: they wait for the first one's end.
    pub fn put_back_behind_the_first(&mut self, members: Members, attempts: u32) -> Members {
        let (mut firsts, mut seen) = (Members::new(), HashSet::new());
        for mut receipt in members {
            if seen.insert(self.lane_of(receipt.event())) {
                firsts.push(receipt);
            } else {
                receipt.add_failures(attempts);
                self.ended(receipt.event());
                self.push(receipt);
            }
        }
        firsts
    }

    /// Takes out those that `leaves` picks, of each lane in order. They count as ended.
    pub fn take_out(&mut self, mut leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        let mut out = Vec::new();
        for lane in self.lanes.values_mut() {
            if !lane.waiting.iter().any(|receipt| leaves(receipt.event())) {
                continue;
            }
            for receipt in std::mem::take(&mut lane.waiting) {
                if leaves(receipt.event()) {
                    lane.bytes -= receipt.event().weight_bytes();
                    out.push(receipt);
                } else {
                    lane.waiting.push_back(receipt);
                }
            }
        }
        if !out.is_empty() {
            self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.out > 0);
            self.count_anew();
        }
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.lanes.values().flat_map(|lane| &lane.waiting)
    }

    fn count_anew(&mut self) {
        let lanes = &self.lanes;
        self.ready.recount(|id| lanes.get(&id).filter(|lane| lane.is_ready()));
        (self.events, self.bytes) =
            lanes.values().fold((0, 0), |(events, bytes), lane| (events + lane.waiting.len(), bytes + lane.bytes));
    }

    fn lane_of(&self, event: &Event) -> LaneId {
        LaneId::of(event, self.by)
    }
}

impl Lane {
    fn is_ready(&self) -> bool {
        self.out == 0 && !self.waiting.is_empty()
    }

    fn first_received_at(&self) -> Option<Instant> {
        self.waiting.front().map(|receipt| receipt.event().received_at)
    }
}

#[cfg(test)]
mod tests;
