//! ● An endpoint that asks for `auto` gets as many requests at once as it serves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Endpoint, Mode, Receiver, TestApp, eventually_holds};

/// Requests that the receivers serve at once.
const AT_ONCE: usize = 4;
const IN_FLIGHT_MAX: usize = 64;
const EVENTS: u32 = 1_200;

#[test]
fn a_receiver_gets_as_many_requests_at_once_as_it_serves() {
    let app = TestApp::named("concurrency").set("DELIVERY_PARK_AFTER_MS", 60_000).start();
    let (at_auto, at_fixed) = (Receiver::start(), Receiver::start());
    let [auto, fixed] = [("auto", at_auto.hook("auto")), ("fixed", at_fixed.hook("fixed"))].map(|(rule, hook)| {
        hook.set(Mode::Serving(AT_ONCE, Duration::from_millis(30)));
        hook.keep_no_requests();
        let settings = json!({"mode": "stream", "in_flight": rule, "in_flight_max": IN_FLIGHT_MAX});
        app.subscribed_endpoint(&hook, settings)
    });
    let audit = app.audit().expect_all(&auto).expect_all(&fixed);
    app.produce(EVENTS);
    eventually_holds("most is there", || auto.hook.served().len() > 800 && fixed.hook.served().len() > 800);
    let limit = |endpoint: &Endpoint| stats(&app, endpoint)["queue"]["in_flight_limit"].as_u64().unwrap_or(0);
    assert_eq!(limit(&fixed), IN_FLIGHT_MAX as u64);
    assert!((1..=2 * AT_ONCE as u64 + 4).contains(&limit(&auto)), "its limit is {}", limit(&auto));
    audit.close();

    let (auto, fixed) = (seen(&auto), seen(&fixed));
    assert!((AT_ONCE - 1..=2 * AT_ONCE + 4).contains(&auto.under_way), "{} under way", auto.under_way);
    assert!(fixed.under_way > 4 * auto.under_way, "{} under way, and {}", fixed.under_way, auto.under_way);
    assert!(fixed.took > 2 * auto.took, "{:?}, and {:?}", fixed.took, auto.took);
}

fn stats(app: &TestApp, endpoint: &Endpoint) -> Value {
    app.rest().get(&format!("/v1/endpoints/{}/stats", endpoint.id)).ok().json()
}

struct Medians {
    under_way: usize,
    took: Duration,
}

/// Medians of the requests between the first ones, by which the limit was found, and the last ones, which are alone.
fn seen(endpoint: &Endpoint) -> Medians {
    let served = endpoint.hook.served();
    let middle = &served[served.len() / 4..served.len() - IN_FLIGHT_MAX];
    let mut under_way: Vec<_> = middle.iter().map(|served| served.under_way).collect();
    let mut took: Vec<_> = middle.iter().map(|served| served.took).collect();
    under_way.sort_unstable();
    took.sort_unstable();
    Medians { under_way: under_way[under_way.len() / 2], took: took[took.len() / 2] }
}
