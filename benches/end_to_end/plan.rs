//! ○ What is delivered where, the same for Postrider and for the bare loop.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use crate::addresses;

/// One way to deliver a topic.
#[derive(Debug, Clone)]
pub struct Plan {
    pub topic: String,
    pub partitions: i32,
    /// Topics that are read as well, of as many partitions; the first endpoint gets their events.
    pub other_topics: Vec<String>,
    /// One address and one customer each. They share the tenants evenly; a single one subscribes to the whole topic.
    pub endpoints: usize,
    /// The events go round the tenants 0 to here.
    pub tenants: usize,
    /// The endpoints have certificates.
    pub https: bool,
    /// And speak HTTP/2 alone, which they are offered.
    pub http2: bool,
    /// Requests under way at once to one endpoint.
    pub in_flight_max: usize,
    /// One POST for so many events (or what came within a second); one for each without.
    pub batch_events: Option<usize>,
    /// The event as it is, in place of the envelope.
    pub raw: bool,
    /// One endpoint in so many never answers.
    pub hung_every: Option<usize>,
    /// So many of the first endpoints are paused until someone resumes them.
    pub paused: usize,
    pub slow: Option<Slow>,
    pub far: Option<Far>,
    /// So many of the first endpoints' latencies are not counted.
    pub untimed: usize,
    /// Answers a second, of all endpoints together; at once without.
    pub answers_per_second: Option<f64>,
    /// In place of Postrider's default.
    pub backlog_events_per_second_max: Option<u32>,
}

/// One endpoint in `every` answers each request only after this long.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Slow {
    pub every: usize,
    pub after: Duration,
}

/// Each endpoint answers after a time of its own, between these.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Far {
    pub least: Duration,
    pub most: Duration,
}

impl Far {
    /// The same in each run.
    pub fn of(&self, endpoint: usize) -> Duration {
        let part: f64 = SmallRng::seed_from_u64(endpoint as u64).random();
        self.least + (self.most - self.least).mul_f64(part)
    }
}

impl Plan {
    pub fn stream(topic: &str, partitions: i32, tenants: usize) -> Plan {
        Plan {
            topic: topic.to_owned(),
            partitions,
            other_topics: Vec::new(),
            endpoints: 1,
            tenants,
            https: false,
            http2: false,
            in_flight_max: 64,
            batch_events: None,
            raw: false,
            hung_every: None,
            paused: 0,
            slow: None,
            far: None,
            untimed: 0,
            answers_per_second: None,
            backlog_events_per_second_max: Some(1_000_000), // nobody else is to be spared
        }
    }

    /// Ten tenants to each of many endpoints, with Postrider's defaults.
    pub fn many(topic: &str, partitions: i32, endpoints: usize) -> Plan {
        Plan {
            endpoints,
            in_flight_max: 4,
            backlog_events_per_second_max: None,
            ..Plan::stream(topic, partitions, (endpoints * TENANTS_EACH).min(addresses::MAX))
        }
    }

    /// All topics that are read.
    pub fn topics(&self) -> Vec<String> {
        [&self.topic].into_iter().chain(&self.other_topics).cloned().collect()
    }

    /// Where an endpoint is, by the receiver's port.
    pub fn url(&self, endpoint: usize, port: u16) -> String {
        addresses::url(if self.https { "https" } else { "http" }, endpoint, port)
    }

    pub fn endpoint_of(&self, tenant: usize) -> usize {
        tenant % self.endpoints
    }

    /// How many of so many events are meant for endpoints that answer.
    pub fn healthy(&self, events: u64) -> u64 {
        let Some(every) = self.hung_every else { return events };
        let endpoint = |event: u64| self.endpoint_of((event % self.tenants as u64) as usize);
        (0..events).filter(|event| !addresses::is_one_in(endpoint(*event), every)).count() as u64
    }
}

const TENANTS_EACH: usize = 10;
