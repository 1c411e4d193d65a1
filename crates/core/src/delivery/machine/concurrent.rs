//! ○ The number of requests that may be under way, where it floats.

use std::time::{Duration, Instant};

use rand::Rng;

use super::{AttemptId, Delivery, in_flight::Flight};
use crate::{
    delivery::concurrency::{ConcurrencyLimit, Departure},
    model::{
        outcome::{AttemptNote, Bearing, Outcome},
        settings::InFlight,
    },
};

impl Delivery {
    /// Requests that may be under way now, as far as that is the endpoint's own limit.
    #[must_use]
    pub fn in_flight_limit(&self, now: Instant) -> u32 {
        match &self.concurrency {
            Some(concurrency) => concurrency.limit(now),
            None => self.settings.delivery.in_flight_max,
        }
    }

    /// The same without what holds for a moment only, while the limit is measured.
    pub(super) fn in_flight_level(&self) -> u32 {
        self.concurrency.as_ref().map_or(self.settings.delivery.in_flight_max, |concurrency| concurrency.level())
    }

    /// No further request may be under way. One that asks whether the endpoint is there is held up by the maximum only: those
    /// that hang from before an outage may be more than the limit, which fell since.
    pub(super) fn is_full(&self, is_single: bool, now: Instant) -> bool {
        let limit = if is_single { self.settings.delivery.in_flight_max } else { self.in_flight_limit(now) };
        self.flights.len() >= limit as usize
    }

    /// Time at which more may be under way although no answer came.
    pub(super) fn in_flight_rises_at(&self, now: Instant) -> Option<Instant> {
        self.concurrency.as_ref().and_then(|concurrency| concurrency.rises_at(now))
    }

    /// An attempt has waited for something of ours: no part of what the endpoint takes. To be told before its outcome.
    pub fn handle_waited(&mut self, attempt: AttemptId, waited: Duration) {
        if let Some(flight) = self.flights.get_mut(attempt) {
            flight.waited = waited;
        }
    }

    pub(super) fn renew_concurrency(&mut self, now: Instant) {
        let delivery = &self.settings.delivery;
        match (delivery.in_flight, &mut self.concurrency) {
            (InFlight::Fixed, concurrency) => *concurrency = None,
            (InFlight::Auto, Some(concurrency)) => concurrency.set_max(delivery.in_flight_max),
            (InFlight::Auto, concurrency) => {
                let limit = ConcurrencyLimit::new(delivery.in_flight_max, self.rng.random(), now);
                *concurrency = Some(Box::new(limit));
            }
        }
    }

    /// Departure of the request that begins now, beside those under way.
    pub(super) fn departure(&self, now: Instant) -> Departure {
        Departure { at: now, under_way: count(self.flights.len() + 1) }
    }

    /// A request has ended. A probe of the breaker's asks whether the endpoint is there, not how much it bears.
    pub(super) fn note_bearing(&mut self, flight: &Flight, outcome: &Outcome, note: &AttemptNote, now: Instant) {
        let Some(concurrency) = self.concurrency.as_mut().filter(|_| !flight.permit.is_probe()) else { return };
        let under_way = count(self.flights.len() + 1);
        match outcome.bearing(note) {
            Bearing::Served => {
                let took = now.saturating_duration_since(flight.departure.at).saturating_sub(flight.waited);
                concurrency.served(flight.departure, flight.batch.len(), took, under_way, now);
            }
            Bearing::TooMuch => concurrency.refused(flight.departure, now),
            Bearing::Unclear => concurrency.undecided(flight.departure, now),
        }
    }
}

fn count(requests: usize) -> u32 {
    u32::try_from(requests).unwrap_or(u32::MAX)
}
