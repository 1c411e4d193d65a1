//! ○ The attempts under way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::AttemptId;
use crate::{
    delivery::{batch::Batch, breaker::BreakerPermit, concurrency::Departure},
    routing::subscribed::Subscribed,
};

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub batch: Batch,
    pub permit: BreakerPermit,
    pub departure: Departure,
    /// Version of the settings that it was sent with.
    pub version: i64,
    /// Time for which it waited for something of ours.
    pub waited: Duration,
    /// Time at which the client gives it up.
    pub deadline: Instant,
    /// Subscriptions that became narrower since it was sent.
    pub narrowed: Option<Arc<Subscribed>>,
}

/// All of them, found by their id in one step: its low half is the place, its high half tells apart those who had it.
#[derive(Debug, Default)]
pub(super) struct Flights {
    places: Vec<Option<(AttemptId, Flight)>>,
    free: Vec<u32>,
    begun: u32,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, flight: Flight) -> AttemptId {
        self.begun = self.begun.wrapping_add(1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than 4 G attempts are under way")
        });
        let id = AttemptId(u64::from(self.begun) << 32 | u64::from(place));
        self.places[place as usize] = Some((id, flight));
        id
    }

    pub(super) fn get(&self, id: AttemptId) -> Option<&Flight> {
        match self.places.get(place(id))? {
            Some((taken_by, flight)) if *taken_by == id => Some(flight),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: AttemptId) -> Option<&mut Flight> {
        match self.places.get_mut(place(id))? {
            Some((taken_by, flight)) if *taken_by == id => Some(flight),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, id: AttemptId) -> Option<Flight> {
        let held = self.places.get_mut(place(id))?;
        if held.as_ref()?.0 != id {
            return None;
        }
        self.free.push(place(id) as u32);
        held.take().map(|(_, flight)| flight)
    }

    pub(super) fn into_flights(self) -> impl Iterator<Item = Flight> {
        self.places.into_iter().flatten().map(|(_, flight)| flight)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.places.iter().flatten().map(|(_, flight)| flight)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.places.iter_mut().flatten().map(|(_, flight)| flight)
    }
}

fn place(id: AttemptId) -> usize {
    (id.0 & u64::from(u32::MAX)) as usize
}
