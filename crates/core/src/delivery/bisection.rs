//! ○ Finds the guilty event of a refused batch: halves are sent one after the other until it stands alone.
//!
//! One guilty event costs at most 2 × log2(N) requests beyond the refused one. The halves go depth first and one at a
//! time, so an endpoint that refuses everything is known after log2(N) + 2 of them.

use smallvec::SmallVec;

use super::batch::Members;
use crate::model::{outcome::AttemptNote, receipt::Receipt};

/// The search in one refused batch. The part that is sent next is not in here: its batch holds it.
#[derive(Debug, Default)]
pub struct Bisection {
    /// Still to be sent, the next on top.
    rest: Vec<Part>,
    /// Refused alone while nothing was accepted: theirs or the endpoint's fault, not known yet.
    undecided: SmallVec<[RefusedEvent; 1]>,
    /// Something of the batch was accepted.
    accepted: bool,
    /// The part that is being sent is the left one of a refused pair, so its sister is on top of `rest`.
    sister_on_top: bool,
    /// The pair was refused for its size, which says nothing about the sister.
    too_large: bool,
}

/// A single event that was refused.
#[derive(Debug)]
pub struct RefusedEvent {
    pub receipt: Receipt,
    pub note: AttemptNote,
}

/// The party to blame for a refusal.
#[derive(Debug)]
pub enum Blame {
    /// Not known before more was tried.
    Unknown,
    /// The event's.
    Event(RefusedEvent),
    /// The first three single events were all refused: the endpoint's. These are all that is left, in their order.
    Endpoint(Members),
}

#[derive(Debug)]
struct Part {
    members: Members,
    /// Its pair was refused and its sister accepted: it is split further without asking.
    guilty: bool,
}

impl Bisection {
    /// These were refused together: the left half is sent next.
    #[must_use]
    pub fn split(&mut self, mut members: Members, too_large: bool) -> Members {
        debug_assert!(members.len() > 1, "one event cannot be halved");
        let right = members.drain(members.len() / 2..).collect();
        self.rest.push(Part { members: right, guilty: false });
        self.sister_on_top = true;
        self.too_large = too_large;
        members
    }

    /// The part that was sent was accepted; returns those whose guilt is clear by that.
    #[must_use]
    pub fn accepted(&mut self) -> SmallVec<[RefusedEvent; 1]> {
        self.accepted = true;
        if self.sister_on_top
            && !self.too_large
            && let Some(sister) = self.rest.last_mut()
        {
            sister.guilty = true;
        }
        std::mem::take(&mut self.undecided)
    }

    /// A single event was refused.
    #[must_use]
    pub fn refused(&mut self, refused: RefusedEvent) -> Blame {
        if self.accepted {
            return Blame::Event(refused);
        }
        self.undecided.push(refused);
        if self.undecided.len() < REFUSALS_MAX {
            Blame::Unknown
        } else {
            Blame::Endpoint(self.dissolve(Members::new()))
        }
    }

    /// The part to send next. `None` ends the search; what is [`undecided`](Bisection::finish) then is guilty.
    #[must_use]
    pub fn next_part(&mut self) -> Option<Members> {
        let part = self.rest.pop()?;
        self.sister_on_top = false;
        if part.guilty && part.members.len() > 1 {
            return Some(self.split(part.members, false));
        }
        Some(part.members)
    }

    /// The search is over; these were refused, and too few to blame the endpoint.
    #[must_use]
    pub fn finish(self) -> SmallVec<[RefusedEvent; 1]> {
        debug_assert!(self.rest.is_empty(), "nothing is left to ask about");
        self.undecided
    }

    /// All that is in here and the part that was sent last, in the order of the batch. (The search goes from left to right, so
    /// what is undecided stands before that part, and before what is still to be sent.)
    #[must_use]
    pub fn dissolve(&mut self, part: Members) -> Members {
        let undecided = std::mem::take(&mut self.undecided);
        let rest = std::mem::take(&mut self.rest);
        let mut members: Members = undecided.into_iter().map(|refused| refused.receipt).collect();
        members.extend(part);
        members.extend(rest.into_iter().rev().flat_map(|part| part.members));
        members
    }

    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        let undecided = self.undecided.iter().map(|refused| &refused.receipt);
        undecided.chain(self.rest.iter().flat_map(|part| &part.members))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.receipts().count()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.receipts().map(|receipt| receipt.event().weight_bytes()).sum()
    }
}

/// Single events refused in a row, with none accepted between, after which the endpoint is at fault and not the events.
pub const REFUSALS_MAX: usize = 3;

#[cfg(test)]
mod tests;
