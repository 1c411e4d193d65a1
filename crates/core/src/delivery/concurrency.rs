//! ○ The concurrency limit of an endpoint that asks for `auto`: it floats between 1 and a maximum, by latency and by refusals.
//!
//! A gradient, as in Netflix' concurrency-limits and Envoy's adaptive concurrency: the latency at full use is compared
//! with the latency at half of it. Where requests take longer than that, they queue at the endpoint, and the limit becomes as many
//! as it serves at once. Where they do not, it grows: at first it doubles (slow start), later by a part of its square root.
//! When more answers than usual say that it is too much (429, 503, none at all), the limit falls at once and stays below that number
//! for a while, unless it finds that a lower one makes no difference.
//!
//! Only what is seen counts: a limit that is not reached neither grows nor falls by latency. Latencies are averaged as
//! logarithms, so a few that take very long say little; and requests are compared with those of about as many events.
//!
//! **Invariant:** the limit is at least 1 and at most the maximum.

mod baseline_probe;
mod baselines;
mod latency_window;
mod refusal_share;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::{
    baseline_probe::BaselineProbe,
    baselines::Baselines,
    latency_window::LatencyWindow,
    refusal_share::{RefusalShare, RefusalVerdict},
};

/// The adaptive limit of one endpoint.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    max: u32,
    limit: f64,
    /// Below this number the limit doubles with each window.
    doubles_below: f64,
    /// The limit with which the last window ended.
    proven: f64,
    /// Latencies without a queue, as far as is known.
    baselines: Baselines,
    /// Factor (its logarithm) by which requests took longer than that at full use, when it was last seen.
    inflation: f64,
    /// Running mean of what requests take.
    latency: Duration,
    window: LatencyWindow,
    refusals: RefusalShare,
    /// Time at which refusals lowered the limit: those of requests that began before say nothing about the new one.
    counts_since: Option<Instant>,
    /// Time before which no refusal counts: after a step, quick answers come first, and those are refusals.
    counts_from: Instant,
    ceiling: Option<Ceiling>,
    probe: Option<BaselineProbe>,
    probe_at: Instant,
    /// No probe before, whatever happens.
    probe_not_before: Instant,
    probe_every: Duration,
}

/// A request's beginning, to be handed back with its end.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    pub at: Instant,
    /// Requests under way then, this one included.
    pub under_way: u32,
}

/// A number of requests that was refused: the limit stays below it until then.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    level: f64,
    until: Instant,
    hold: Duration,
}

impl ConcurrencyLimit {
    /// `spread` (0–1) is the entropy that keeps instances from probing at the same time.
    #[must_use]
    pub fn new(max: u32, spread: f64, now: Instant) -> Self {
        let max = max.max(1);
        let probe_every = PROBE_EVERY.mul_f64(0.8 + 0.4 * spread.clamp(0.0, 1.0));
        ConcurrencyLimit {
            max,
            limit: FIRST.min(f64::from(max)),
            doubles_below: f64::INFINITY,
            proven: 1.0,
            baselines: Baselines::default(),
            inflation: 0.0,
            latency: Duration::ZERO,
            window: LatencyWindow::new(now),
            refusals: RefusalShare::default(),
            counts_since: None,
            counts_from: now,
            ceiling: None,
            probe: None,
            probe_at: now + probe_every,
            probe_not_before: now,
            probe_every,
        }
    }

    /// Requests that may be under way.
    #[must_use]
    pub fn limit(&self, now: Instant) -> u32 {
        match &self.probe {
            Some(probe) if !probe.is_overdue(now) => probe.level.min(self.max),
            _ => self.level(),
        }
    }

    /// Time at which more may be under way although nothing came back: a probe ends.
    #[must_use]
    pub fn rises_at(&self, now: Instant) -> Option<Instant> {
        self.probe.as_ref().filter(|probe| !probe.is_overdue(now)).map(BaselineProbe::until)
    }

    /// Requests that may be under way while no probe runs.
    #[must_use]
    pub fn level(&self) -> u32 {
        (self.limit as u32).clamp(1, self.max)
    }

    /// Another maximum.
    pub fn set_max(&mut self, max: u32) {
        self.max = max.max(1);
        self.limit = self.limit.min(f64::from(self.max));
    }

    /// Goes on after a time in which nobody looked: what was under way then is not known.
    pub fn resume(&mut self, now: Instant) {
        self.forget_probe(now);
        self.refusals.restart();
    }

    /// The endpoint was away, which says little about what it bears: it gets most of it back by slow start.
    pub fn handle_outage(&mut self, now: Instant) {
        self.doubles_below = self.proven * LOWERED_TO;
        self.ceiling = None;
        self.counts_since = Some(now);
        self.resume(now);
    }

    /// A request of so many events was answered well; it took `took`, and `under_way` with it were under way when it ended.
    pub fn served(&mut self, began: Departure, events: usize, took: Duration, under_way: u32, now: Instant) {
        self.undecided(began, now);
        self.note_latency(took);
        let latency = (took + OWN_NOISE).as_secs_f64().ln();
        let most = began.under_way.max(under_way);
        let is_measured = self.measure_probe(began.at, most, events, latency, now);
        let limit = self.level();
        if self.baselines.is_new(events) {
            self.baselines.learn(events, latency - if self.is_low(most) { 0.0 } else { self.inflation });
        } else if self.is_low(most) && !is_measured {
            self.baselines.learn(events, latency);
        }
        // More than the limit were under way only while it fell.
        let is_full = 5 * most >= 4 * limit && most <= limit + 1;
        if is_full && let Some(baseline) = self.baselines.of(events) {
            self.window.add(latency - baseline);
            self.look_at_window(now);
            self.begin_probe(now);
        }
    }

    /// A request came back with an answer that it was too much, or without any.
    pub fn refused(&mut self, began: Departure, now: Instant) {
        if !self.is_news(began, now) {
            return;
        }
        self.refusals.add(began.under_way, true, self.level());
        match self.refusals.verdict(self.limit) {
            Some(RefusalVerdict::TooMany(level)) => self.lower(level, now),
            Some(RefusalVerdict::InVain(limit)) => {
                self.ceiling = None;
                self.set(limit);
                self.forget_probe(now);
                self.counts_from = now + self.latency;
            }
            None => {}
        }
    }

    /// Any other answer: it says nothing about the load.
    pub fn undecided(&mut self, began: Departure, now: Instant) {
        if self.is_news(began, now) {
            self.refusals.add(began.under_way, false, self.level());
        }
    }

    fn is_starting(&self) -> bool {
        self.limit < self.doubles_below
    }

    /// True if so few requests are under way that they queue nowhere, as far as is known.
    fn is_low(&self, under_way: u32) -> bool {
        under_way <= (self.level() / 2).max(1)
    }

    fn is_news(&self, began: Departure, now: Instant) -> bool {
        self.counts_since.is_none_or(|since| began.at >= since) && now >= self.counts_from
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(1.0, f64::from(self.max));
    }

    fn lower(&mut self, level: f64, now: Instant) {
        let hold = self.ceiling.map_or(HOLD, |ceiling| (2 * ceiling.hold).min(HOLD_MAX));
        self.ceiling = Some(Ceiling { level: level.floor(), until: now + hold, hold });
        self.set(level * LOWERED_TO);
        self.doubles_below = 0.0;
        self.counts_since = Some(now);
        self.counts_from = now + self.latency;
        self.forget_probe(now);
    }

    /// Latencies at another limit are compared with no others.
    fn forget_probe(&mut self, now: Instant) {
        self.probe = None;
        self.window = LatencyWindow::new(now);
    }

    fn note_latency(&mut self, took: Duration) {
        let before = if self.latency.is_zero() { took } else { self.latency };
        self.latency = (before * (LATENCIES_REMEMBERED - 1) + took) / LATENCIES_REMEMBERED;
    }

    /// Sets the limit when enough requests were seen at full use.
    fn look_at_window(&mut self, now: Instant) {
        let is_starting = self.is_starting();
        let enough = (2 * self.level()).max(if is_starting { STARTING_MIN } else { WINDOW_MIN });
        if self.window.requests < enough || now.saturating_duration_since(self.window.since) < WINDOW_TIME_MIN {
            return;
        }
        let excess = self.window.excess();
        self.inflation = self.window.mean().max(0.0);
        self.window = LatencyWindow::new(now);
        if excess <= 0.0 {
            return self.grow(is_starting, now);
        }
        let gradient = (-excess).exp().max(GRADIENT_MIN);
        self.set((self.limit * gradient + headroom(self.limit)).min(self.growth_max(now)));
        self.proven = self.limit;
        self.doubles_below = 0.0;
        if is_starting || gradient < GRADIENT_ODD {
            // It may well be that the baseline is wrong: it is measured again.
            self.probe_at = self.probe_at.min(self.probe_not_before.max(now));
        }
    }

    fn grow(&mut self, is_starting: bool, now: Instant) {
        self.proven = self.limit;
        if self.ceiling.is_some_and(|ceiling| ceiling.until <= now && self.limit >= ceiling.level) {
            self.ceiling = None;
        }
        let next =
            if is_starting { (2.0 * self.limit).min(self.doubles_below) } else { self.limit + headroom(self.limit) };
        self.set(next.min(self.growth_max(now)));
        if self.level() == self.max {
            // Nothing is left to find out by growing, so the baseline has to be measured.
            self.doubles_below = 0.0;
        }
    }

    fn growth_max(&self, now: Instant) -> f64 {
        let ceiling = self.ceiling.filter(|ceiling| now < ceiling.until);
        ceiling.map_or(f64::INFINITY, |ceiling| (ceiling.level - 1.0).max(self.limit))
    }

    /// Begins a probe when it is time for one, and the limit is in use. While it doubles there is none: that ends with one.
    fn begin_probe(&mut self, now: Instant) {
        if self.probe.is_none() && !self.is_starting() && now >= self.probe_at && self.level() >= 2 {
            self.probe = Some(BaselineProbe::new(self.level() / 2, self.inflation, self.latency, now));
        }
    }

    /// True if the request was one of a probe.
    fn measure_probe(&mut self, began: Instant, under_way: u32, events: usize, latency: f64, now: Instant) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        if probe.is_forgotten(began) {
            // Traffic has paused since: the next probe may begin at once.
            self.forget_probe(now);
            return false;
        }
        let is_of_probe = under_way <= probe.level;
        if is_of_probe {
            probe.measured.learn(events, latency);
        }
        if probe.measured.requests() >= PROBE_REQUESTS.max(probe.level) || probe.is_overdue(now) {
            self.end_probe(now);
        }
        is_of_probe
    }

    /// A probe that finds other latencies than there were with twice as many requests may have had a queue as well, or the
    /// endpoint has changed: the next one has half of its requests.
    fn end_probe(&mut self, now: Instant) {
        let Some(probe) = self.probe.take() else { return };
        if probe.measured.requests() >= PROBE_REQUESTS_MIN {
            let difference = self.baselines.replace_by(&probe.measured) - probe.above;
            let is_settled = (-FOUND_LOWER..FOUND_HIGHER).contains(&difference);
            if !is_settled && probe.level > 1 && !probe.is_overdue(now) {
                self.probe = Some(probe.deeper(self.latency, now));
                return;
            }
        }
        let spent = probe.spent(now);
        self.counts_from = now + self.latency;
        self.probe_at = now + self.probe_every.max(PROBE_SHARE * spent).min(PROBE_EVERY_MAX);
        self.probe_not_before = now + spent * PROBE_SHARE / 5;
        self.window = LatencyWindow::new(now);
    }
}

/// Requests that may queue at the endpoint, so that it always has one to go on with; the step of growth.
fn headroom(limit: f64) -> f64 {
    (limit.sqrt() / 2.0).max(1.0)
}

/// The limit of an endpoint of which nothing is known.
const FIRST: f64 = 4.0;
/// A few milliseconds more are no queue of the endpoint's, but a busy core of ours.
const OWN_NOISE: Duration = Duration::from_millis(5);
/// Requests at full use after which the limit is set.
const WINDOW_MIN: u32 = 16;
/// The same at a slow start.
const STARTING_MIN: u32 = 4;
/// Time before which the limit is not set: what holds one request up may hold up all of a moment.
const WINDOW_TIME_MIN: Duration = Duration::from_millis(100);
/// The mean of what requests take follows them as one of so many.
const LATENCIES_REMEMBERED: u32 = 8;
/// In one step the limit falls to half at most.
const GRADIENT_MIN: f64 = 0.5;
/// So large a step is a reason to measure the baseline.
const GRADIENT_ODD: f64 = 0.8;
/// Refused, it falls to this part.
const LOWERED_TO: f64 = 0.7;
/// For so long the limit stays below a number that was refused, and twice as long each time that it is refused again.
const HOLD: Duration = Duration::from_secs(5);
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Pause between probes.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// Inverse of the largest part of all time that probes may take.
const PROBE_SHARE: u32 = 50;
const PROBE_EVERY_MAX: Duration = Duration::from_secs(600);
/// Requests of a probe.
const PROBE_REQUESTS: u32 = 12;
/// Requests that suffice for a probe whose time was over.
const PROBE_REQUESTS_MIN: u32 = 4;
/// Difference (a logarithm: a tenth) by which a probe has to find latencies lower for a deeper one to follow.
const FOUND_LOWER: f64 = 0.1;
/// Difference (a logarithm: a third) by which a probe has to find latencies higher for a deeper one to follow.
const FOUND_HIGHER: f64 = 0.3;
