//! The shell around a [`Delivery`] in the simulation, and what its customer set.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use postrider::{
    endpoint::delivery::{AttemptId, Delivery, DeliveryLimits, Effect},
    model::{
        receipt::Receipt,
        settings::{
            Auth, BatchFormat, Breaker, DeliverySettings, EndpointState, Format, Http2, InFlight, Mode, RateLimit,
            Retry, Schedule, Settings,
        },
        signature::SigningKey,
        url::EndpointUrl,
    },
};

use crate::{
    audit::{Audit, Key},
    store::Lane,
};

pub const ENDPOINTS: u32 = 10;
pub const PARK_AFTER: Duration = Duration::from_secs(5);
pub const TIMEOUT: Duration = Duration::from_secs(3);

pub struct Machine {
    pub delivery: Delivery,
    /// Grows when it is rebuilt: answers for the machine before it are of no use.
    pub version: u64,
    pub wake: Option<Instant>,
}

/// A request that leaves.
pub struct Sent {
    pub attempt: AttemptId,
    pub events: Vec<Key>,
}

impl Machine {
    pub fn new(endpoint: u32, version: u64, now: Instant) -> Self {
        let limits = DeliveryLimits {
            park_after: PARK_AFTER,
            endpoint_bytes_max: 24_000,
            wait_target: Duration::from_millis(500),
        };
        let seed = u64::from(endpoint) << 32 | version;
        Machine { delivery: Delivery::new(Arc::new(settings(endpoint)), limits, seed, now), version, wake: None }
    }

    /// Carries out what the machine asks for; what is to be sent comes back.
    pub fn carry_out(&mut self, endpoint: u32, lane: &mut Lane, audit: &mut Audit) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(effect) = self.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => {
                    let batch = self.delivery.batch(attempt).expect("an attempt has its batch");
                    let events = batch.events().map(|event| Key::of(event, endpoint)).collect();
                    sent.push(Sent { attempt, events });
                }
                Effect::Settle { receipts, how } => {
                    audit.settling(&receipts, how);
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => lane.park(parked, audit),
                Effect::Unpark(events) => lane.take_out(events.iter().map(|event| Key::of(event, endpoint)).collect()),
                Effect::DeadLetter(given_up) => lane.give_up(given_up, audit),
                Effect::StateChanged(_) => {}
            }
        }
        sent
    }
}

fn settings(endpoint: u32) -> Settings {
    let ms = Duration::from_millis;
    let mode = match endpoint % 3 {
        0 => Mode::Batch { events_max: 7, bytes_max: 1 << 20, wait: ms(300) },
        1 => Mode::Batch { events_max: 50, bytes_max: 4_000, wait: ms(1_000) },
        _ => Mode::Stream,
    };
    let delivery = DeliverySettings {
        mode,
        format: Format::Envelope,
        batch_format: BatchFormat::JsonArray,
        ordering: None,
        in_flight: if endpoint % 4 == 3 { InFlight::Auto } else { InFlight::Fixed },
        in_flight_max: 1 + endpoint % 4,
        rate_limit: (endpoint == 4).then_some(RateLimit { events_per_second: 20, burst_events: 50 }),
        retry: Retry { attempts_max: Some(4), schedule: Schedule::Explicit(vec![ms(200), ms(1_000), ms(2_000)]) },
        breaker: Breaker {
            consecutive_failures: 5,
            failure_ratio: 0.5,
            requests_min: 20,
            window: ms(10_000),
            open_base: ms(500),
            open_max: ms(8_000),
        },
        request_timeout: TIMEOUT,
        http2: Http2::Off,
    };
    Settings {
        id: format!("ep_{endpoint}").into(),
        customer_id: "cus_1".into(),
        version: 1,
        restarts: 0,
        suspended: false,
        state: EndpointState::Enabled,
        url: EndpointUrl::parse("https://example.com/hook").expect("a URL"),
        delivery,
        auth: Auth::None,
        tls: None,
        signing_keys: vec![SigningKey::new(&[7; 32])],
    }
}
