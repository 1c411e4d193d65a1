//! ● Endpoints that are down for minutes, under load: what they get when they are back, in which order, and what the
//! others notice of it.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{Audit, Endpoint, Findings, Mode, Receiver, TestApp, within_looks},
    row::Outcome,
    stage::{LANES, stream_settings},
};

const EVENTS_PER_SECOND: u32 = 500;
/// Fresh programs and connections are slower than those that have run for a while: what is compared begins after that.
const WARM_UP: Duration = Duration::from_secs(45);
/// Before the outage, and after what waited is gone.
const CALM: Duration = Duration::from_secs(60);
/// Events are put together by when they were sent: a pause of the machine spoils one of many windows.
const WINDOW: Duration = Duration::from_secs(10);

/// As often as a monitoring system would look: looking costs the machine too, and its time is not to be measured.
const LOOK: Duration = Duration::from_secs(5);

/// Ten minutes, unless `POSTRIDER_FAULTS_OUTAGE_S` says otherwise.
fn outage() -> Duration {
    let seconds = env::var("POSTRIDER_FAULTS_OUTAGE_S").map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(600))
}

/// Two endpoints are down, one of them in order of its keys; two others get the same events all the time.
pub fn down_for_minutes(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-outage").lanes(LANES).start();
    let receiver = Receiver::start();
    let endpoint = |name: &str, settings: Value| {
        let endpoint = app.subscribed_endpoint(&receiver.hook(name), settings);
        endpoint.hook.keep_no_requests();
        endpoint
    };
    let down = endpoint("down", stream_settings());
    let mut in_order = stream_settings();
    in_order["ordering"] = json!({"by": "key", "on_failure": "block"});
    let ordered = endpoint("ordered", in_order);
    let healthy = [endpoint("healthy1", stream_settings()), endpoint("healthy2", stream_settings())];
    let (order, everything) = (app.audit().expect_all(&ordered), app.audit().expect_all(&down));
    let everything = healthy.iter().fold(everything, Audit::expect_all);

    let load = app.load(EVENTS_PER_SECOND);
    thread::sleep(WARM_UP + CALM);
    let down_at = Instant::now();
    down.hook.set(Mode::BreakOff);
    ordered.hook.set(Mode::Status(503));
    thread::sleep(outage());
    let waited = app.rest().metric("postrider_backlog_events");
    let back_at = Instant::now();
    [&down, &ordered].into_iter().for_each(|endpoint| endpoint.hook.set(Mode::Ok));
    let drained = || (app.rest().metric("postrider_backlog_events") == 0.0).then_some(());
    within_looks(2 * outage() + CALM, LOOK, "what waited is sent while more comes", drained);
    let drained_at = Instant::now();
    thread::sleep(CALM / 2);
    load.stop();

    let order = order.settle();
    let others = everything.settle();
    // Only one of them asked for an order.
    let mut findings = Findings {
        expected: order.expected + others.expected,
        delivered: order.delivered + others.delivered,
        backlog: order.backlog + others.backlog,
        dead_letters: order.dead_letters + others.dead_letters,
        duplicates: order.duplicates + others.duplicates,
        ..order
    };
    findings.lost.extend(others.lost);
    findings.complaints.extend(others.complaints);
    let healthy: Vec<&Endpoint> = healthy.iter().collect();
    let p99 = |from: Instant, to: Instant| p99(&app, &healthy, from, to);
    let (calm, outage, recovery) = (p99(down_at - CALM, down_at), p99(down_at, back_at), p99(back_at, drained_at));
    let ratio = |p99: f64| p99 / calm;
    let took = drained_at - back_at;
    let note = format!(
        "{waited} events waited, all sent within {took:.0?} of the return; the others' p99: {calm:.1} ms before, \
         {outage:.1} ms during the outage ({:.2} ×), {recovery:.1} ms during the recovery ({:.2} ×)",
        ratio(outage),
        ratio(recovery),
    );
    if findings.reordered > 0 {
        findings.complaints.push(format!("{} events came out of order", findings.reordered));
    }
    if findings.dead_letters + findings.backlog > 0 {
        findings.complaints.push("not everything was delivered".to_owned());
    }
    Outcome::of(findings).note(note)
}

/// The median of the windows' p99 latencies, in milliseconds, for events sent between these times.
fn p99(app: &TestApp, endpoints: &[&Endpoint], from: Instant, to: Instant) -> f64 {
    let windows = (to.duration_since(from).as_secs_f64() / WINDOW.as_secs_f64()).ceil() as usize;
    let mut latencies = vec![Vec::new(); windows.max(1)];
    for endpoint in endpoints {
        app.produced.each_of(&endpoint.hook.order(), |sent, at| {
            if sent.at >= from && sent.at < to {
                let window = sent.at.duration_since(from).as_nanos() / WINDOW.as_nanos();
                latencies[window as usize].push(at.saturating_duration_since(sent.at));
            }
        });
    }
    let mut p99s: Vec<Duration> = latencies
        .into_iter()
        .filter(|window| !window.is_empty())
        .map(|mut window| {
            window.sort_unstable();
            window[(window.len() * 99 / 100).min(window.len() - 1)]
        })
        .collect();
    eprintln!("the others' p99, each {} s: {:.1?} ms", WINDOW.as_secs(), p99s.iter().map(in_ms).collect::<Vec<_>>());
    p99s.sort_unstable();
    p99s.get(p99s.len() / 2).map_or(f64::NAN, in_ms)
}

fn in_ms(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
