//! ○ A server in virtual time: so many workers, a queue before them, and a client that keeps to its limit.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{ConcurrencyLimit, Departure};
use crate::testing::secs;

/// Behaviour of the server, which a test may change at any time.
#[derive(Debug, Clone)]
pub(super) struct Service {
    /// Requests that it serves at once.
    pub workers: usize,
    /// Further requests that may wait; beyond them it refuses at once.
    pub queue_max: usize,
    /// Time for a request, and for each of its events.
    pub time: Duration,
    pub event_time: Duration,
    /// Standard deviation of the logarithm of its times.
    pub jitter: f64,
    /// Share of requests that fail as if there were too many of them, after a time-out.
    pub lost: f64,
    /// Share of requests that it refuses at once, whatever its load.
    pub faulty: f64,
    /// It refuses everything.
    pub is_down: bool,
}

impl Service {
    pub(super) fn of(workers: usize, time: Duration) -> Self {
        let (queue_max, event_time) = (usize::MAX, Duration::ZERO);
        Service { workers, queue_max, time, event_time, jitter: 0.0, lost: 0.0, faulty: 0.0, is_down: false }
    }

    pub(super) fn jittery(self, jitter: f64) -> Self {
        Service { jitter, ..self }
    }
}

/// Demand of the client.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    /// Requests that it has to send at once, as far as its limit lets it.
    pub requests: usize,
    /// Numbers of events, by turns.
    pub events: Vec<usize>,
}

/// Observations of a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub under_way: f64,
    pub served: usize,
    pub refused: usize,
    pub took: Vec<Duration>,
}

impl Seen {
    pub(super) fn per_second(&self, within: Duration) -> f64 {
        self.served as f64 / within.as_secs_f64()
    }

    pub(super) fn median(&mut self) -> Duration {
        self.took.sort_unstable();
        self.took[self.took.len() / 2]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Served,
    Refused,
}

pub(super) struct World {
    pub limit: ConcurrencyLimit,
    pub service: Service,
    pub demand: Demand,
    pub now: Instant,
    rng: SmallRng,
    /// Times at which its workers are free, the busy ones.
    workers: BinaryHeap<Reverse<Instant>>,
    queue: VecDeque<(Departure, usize)>,
    under_way: BinaryHeap<Reverse<(Instant, u64)>>,
    requests: Vec<(Departure, usize, Ending)>,
}

impl World {
    pub(super) fn new(max: u32, service: Service, seed: u64) -> Self {
        let now = Instant::now();
        World {
            limit: ConcurrencyLimit::new(max, 0.5, now),
            service,
            demand: Demand { requests: usize::MAX, events: vec![1] },
            now,
            rng: SmallRng::seed_from_u64(seed),
            workers: BinaryHeap::new(),
            queue: VecDeque::new(),
            under_way: BinaryHeap::new(),
            requests: Vec::new(),
        }
    }

    /// Lets time pass; says what was seen in it.
    pub(super) fn run(&mut self, seconds: u64) -> Seen {
        self.run_for(secs(seconds))
    }

    pub(super) fn run_for(&mut self, time: Duration) -> Seen {
        let (began, end) = (self.now, self.now + time);
        let mut seen = Seen::default();
        loop {
            self.send();
            let next = self.under_way.peek().map(|Reverse((at, _))| *at).filter(|at| *at <= end);
            let until = next.unwrap_or(end);
            seen.under_way += self.count() as f64 * (until - self.now).as_secs_f64();
            self.now = until;
            if next.is_none() {
                break;
            }
            self.end_one(&mut seen);
        }
        seen.under_way /= (self.now - began).as_secs_f64();
        seen
    }

    fn count(&self) -> usize {
        self.under_way.len() + self.queue.len()
    }

    fn send(&mut self) {
        let mut idle = 0;
        while self.count() < self.demand.requests.min(self.limit.limit(self.now) as usize) && idle < 10_000 {
            idle += 1;
            let departure = Departure { at: self.now, under_way: self.count() as u32 + 1 };
            let events = self.demand.events[self.requests.len() % self.demand.events.len()];
            self.arrive(departure, events);
        }
    }

    fn arrive(&mut self, departure: Departure, events: usize) {
        while self.workers.peek().is_some_and(|Reverse(at)| *at <= self.now) {
            self.workers.pop();
        }
        if self.service.is_down
            || self.rng.random_bool(self.service.faulty)
            || self.queue.len() >= self.service.queue_max && self.workers.len() >= self.service.workers
        {
            return self.answer(self.now + Duration::from_millis(5), departure, events, Ending::Refused);
        }
        if self.rng.random_bool(self.service.lost) {
            return self.answer(self.now + secs(5), departure, events, Ending::Refused);
        }
        if self.workers.len() >= self.service.workers {
            return self.queue.push_back((departure, events));
        }
        self.serve(departure, events);
    }

    fn serve(&mut self, departure: Departure, events: usize) {
        let time = self.service.time + self.service.event_time * events as u32;
        // A normal deviate, as the sum of uniform ones.
        let normal = (0..12).map(|_| self.rng.random::<f64>()).sum::<f64>() - 6.0;
        let at = self.now + time.mul_f64((normal * self.service.jitter).exp());
        self.workers.push(Reverse(at));
        self.answer(at, departure, events, Ending::Served);
    }

    fn answer(&mut self, at: Instant, departure: Departure, events: usize, ending: Ending) {
        self.under_way.push(Reverse((at, self.requests.len() as u64)));
        self.requests.push((departure, events, ending));
    }

    fn end_one(&mut self, seen: &mut Seen) {
        let Some(Reverse((_, number))) = self.under_way.pop() else { return };
        let (departure, events, ending) = self.requests[number as usize];
        let under_way = self.count() as u32 + 1;
        if ending == Ending::Served {
            seen.served += 1;
            let took = self.now - departure.at;
            seen.took.push(took);
            self.limit.served(departure, events, took, under_way, self.now);
            while self.workers.peek().is_some_and(|Reverse(at)| *at <= self.now) {
                self.workers.pop();
            }
            while self.workers.len() < self.service.workers
                && let Some((departure, events)) = self.queue.pop_front()
            {
                self.serve(departure, events);
            }
        } else {
            seen.refused += 1;
            self.limit.refused(departure, self.now);
        }
        let limit = self.limit.limit(self.now);
        assert!((1..=self.limit.max).contains(&limit), "{limit}");
    }
}
