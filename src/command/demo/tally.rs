//! ○ Produced and received events: the demo's accounts, from which the table and the verdict come.

use std::{collections::HashSet, time::Instant};

use serde::Deserialize;

use super::fixtures::{DemoEndpoint, ReceiverMood};
use crate::command::receiver::ReceiverReply;

/// The books of one run.
pub(super) struct DemoTally {
    run: String,
    began: Instant,
    /// Produced in earnest; what was sent to see whether everyone listens does not count.
    pub produced: u64,
    pub rows: Vec<Row>,
    /// From produce to receipt, at the receivers that take everything: by event, and in batches.
    pub stream: DemoLatencies,
    pub batch: DemoLatencies,
}

/// One receiver's page.
#[derive(Default)]
pub(super) struct Row {
    /// Numbers of events that it should get and did not get so far.
    due: HashSet<u64>,
    /// Events that came again.
    pub duplicates: u64,
    /// Events of tenants or departments that it has no subscription for.
    pub strays: u64,
    pub events: u64,
    pub requests: u64,
    pub refused: u64,
    pub failed: u64,
    pub bad_signatures: u64,
    pub last: String,
    /// Something of this run came, counted or not.
    pub listens: bool,
}

/// Content of an event of ours, in an envelope's `data`.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    department: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    demo: Mark,
    reference: String,
}

#[derive(Deserialize)]
struct Mark {
    run: String,
    number: u64,
    at_us: u64,
}

/// Numbers from here on are sent before the counting begins.
pub(super) const UNCOUNTED: u64 = 1 << 48;

impl DemoTally {
    #[must_use]
    pub(super) fn new(run: String, parts: usize, began: Instant) -> Self {
        let rows = (0..parts).map(|_| Row::default()).collect();
        DemoTally { run, began, produced: 0, rows, stream: DemoLatencies::default(), batch: DemoLatencies::default() }
    }

    /// Microseconds since the run began.
    #[must_use]
    pub(super) fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// An event is about to be produced.
    pub(super) fn expect(&mut self, parts: &[DemoEndpoint], number: u64, topic: &str, tenant: &str, department: &str) {
        if number >= UNCOUNTED {
            return;
        }
        self.produced += 1;
        for (part, row) in parts.iter().zip(&mut self.rows) {
            if part.wants(topic, tenant, department) {
                row.due.insert(number);
            }
        }
    }

    /// A request with a good signature came; the answer is the part's to choose.
    pub(super) fn receive(
        &mut self,
        index: usize,
        part: &DemoEndpoint,
        events: &[&[u8]],
        now: Instant,
    ) -> ReceiverReply {
        let now_us = self.micros(now);
        let row = &mut self.rows[index];
        row.requests += 1;
        let reply = part.mood.reply(row.requests, events);
        let ReceiverReply::Status(200 | 422) = reply else {
            row.failed += 1;
            return reply;
        };
        for event in events {
            // Events of an earlier run, delivered late, are none of this run's business.
            let Ok(Envelope { tenant, department, data }) = serde_json::from_slice(event) else { continue };
            if data.demo.run != self.run {
                continue;
            }
            if !part.wants(part.topic, tenant.as_deref().unwrap_or(""), department.as_deref().unwrap_or("")) {
                row.strays += 1;
            }
            row.listens = true;
            if data.demo.number >= UNCOUNTED {
                continue;
            }
            row.duplicates += u64::from(!row.due.remove(&data.demo.number));
            if reply == ReceiverReply::Status(200) {
                row.events += 1;
                row.last = data.reference;
                let latencies = if part.batch { &mut self.batch } else { &mut self.stream };
                if part.mood == ReceiverMood::Willing {
                    latencies.record(now_us.saturating_sub(data.demo.at_us));
                }
            } else {
                row.refused += 1;
            }
        }
        reply
    }

    /// Deliveries that are still to come.
    #[must_use]
    pub(super) fn due(&self) -> usize {
        self.rows.iter().map(|row| row.due.len()).sum()
    }
}

impl ReceiverMood {
    /// The picky one is down for every 10th request, and refuses what has a reference that ends in 0.
    fn reply(self, requests: u64, events: &[&[u8]]) -> ReceiverReply {
        let refused = |event: &&[u8]| {
            serde_json::from_slice::<Envelope>(event).is_ok_and(|event| event.data.reference.ends_with('0'))
        };
        match self {
            ReceiverMood::Willing => ReceiverReply::Status(200),
            ReceiverMood::Picky if requests.is_multiple_of(10) => ReceiverReply::Status(503),
            ReceiverMood::Picky if events.iter().any(refused) => ReceiverReply::Status(422),
            ReceiverMood::Picky => ReceiverReply::Status(200),
        }
    }
}

/// Latencies in 16 steps for each doubling: a few hundred counters, and quantiles within 5 %.
pub(super) struct DemoLatencies {
    counts: [u64; DemoLatencies::STEPS * 40],
    total: u64,
}

impl Default for DemoLatencies {
    fn default() -> Self {
        DemoLatencies { counts: [0; DemoLatencies::STEPS * 40], total: 0 }
    }
}

impl DemoLatencies {
    const STEPS: usize = 16;

    pub(super) fn record(&mut self, micros: u64) {
        let step = ((micros.max(1) as f64).log2() * DemoLatencies::STEPS as f64) as usize;
        self.counts[step.min(self.counts.len() - 1)] += 1;
        self.total += 1;
    }

    /// In milliseconds; `None` while nothing was recorded.
    #[must_use]
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut below = 0;
        let step = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(((step as f64 + 0.5) / DemoLatencies::STEPS as f64).exp2() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::demo::fixtures::{ORDERS, parts};

    fn event(run: &str, number: u64, reference: &str) -> Vec<u8> {
        let data = serde_json::json!({ "demo": { "run": run, "number": number, "at_us": 0 }, "reference": reference });
        serde_json::json!({ "id": "1", "tenant": "2", "department": "100", "data": data }).to_string().into_bytes()
    }

    fn tally(produced: std::ops::Range<u64>) -> (DemoTally, Vec<DemoEndpoint>, Instant) {
        let (parts, start) = (parts("salt"), Instant::now());
        let mut tally = DemoTally::new("run".into(), parts.len(), start);
        produced.for_each(|number| tally.expect(&parts, number, ORDERS, "2", "100"));
        (tally, parts, start)
    }

    #[test]
    fn an_event_that_came_twice_is_a_duplicate_and_one_that_did_not_come_is_due() {
        let (mut tally, parts, start) = tally(0..3);
        let (first, old) = (event("run", 0, "a"), event("another run", 1, "b"));
        for _ in 0..2 {
            let reply = tally.receive(0, &parts[0], &[&first, &old], start + Duration::from_millis(8));
            assert_eq!(reply, ReceiverReply::Status(200));
        }
        let row = &tally.rows[0];
        assert_eq!((row.events, row.requests, row.duplicates, row.due.len(), row.strays), (2, 2, 1, 2, 0));
        let p50 = tally.stream.quantile(0.5).unwrap();
        assert!((7.5..8.5).contains(&p50), "{p50}");
    }

    #[test]
    fn what_is_refused_for_good_is_no_longer_due_and_what_fails_is() {
        let (mut tally, mut parts, start) = tally(7..8);
        parts[0].mood = ReceiverMood::Picky;
        tally.rows[0].requests = 9;
        assert_eq!(tally.receive(0, &parts[0], &[&event("run", 7, "a0")], start), ReceiverReply::Status(503));
        assert_eq!(tally.rows[0].due.len(), 1);
        assert_eq!(tally.receive(0, &parts[0], &[&event("run", 7, "a0")], start), ReceiverReply::Status(422));
        assert_eq!((tally.rows[0].due.len(), tally.rows[0].refused, tally.rows[0].failed), (0, 1, 1));
    }

    #[test]
    fn another_tenants_event_is_a_stray() {
        let (mut tally, parts, start) = tally(0..0);
        let picky = parts.len() - 1; // of tenant 4
        tally.receive(picky, &parts[picky], &[&event("run", 1, "a1")], start);
        assert_eq!(tally.rows[picky].strays, 1);
    }

    #[test]
    fn what_was_sent_before_the_counting_is_not_counted() {
        let (mut tally, parts, start) = tally(UNCOUNTED..UNCOUNTED + 1);
        tally.receive(0, &parts[0], &[&event("run", UNCOUNTED, "a")], start);
        assert!(tally.rows[0].listens);
        assert_eq!((tally.produced, tally.rows[0].events, tally.due()), (0, 0, 0));
        assert_eq!(tally.stream.quantile(0.5), None);
    }
}
