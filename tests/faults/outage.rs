//! ● Endpoints that are down for minutes, under load: what they get when they are back, in which order, and what the
//! others notice of it.

use std::{
    env, fmt, thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    cpu_steal::Watch,
    harness::{Audit, Endpoint, Findings, Mode, Receiver, TestApp, within_looks},
    row::Outcome,
    setup::{LANES, stream_settings},
};

const EVENTS_PER_SECOND: u32 = 500;
/// Fresh programs and connections are slower than those that have run for a while: what is compared begins after that.
const WARM_UP: Duration = Duration::from_secs(45);
/// Before the outage, and after what waited is gone.
const CALM: Duration = Duration::from_secs(60);
/// Events are put together by when they were sent: a pause of the machine spoils one of many windows.
const WINDOW: Duration = Duration::from_secs(10);
/// A window counts when the host took no more of the machine than this.
const STOLEN_MAX: f64 = 0.02;

/// The longest that a breaker stays open, and some.
const BREAKER_OPEN_MAX: Duration = Duration::from_secs(360);
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

    let cpu_steal = Watch::start();
    let told = told_with_its_time();
    let load = app.load(EVENTS_PER_SECOND);
    thread::sleep(WARM_UP + CALM);
    let down_at = Instant::now();
    told(format!("two endpoints are down for {:.0?}", outage()));
    down.hook.set(Mode::BreakOff);
    ordered.hook.set(Mode::Status(503));
    thread::sleep(outage());
    let waited = app.rest().metric("postrider_backlog_events");
    let back_at = Instant::now();
    told(format!("they are back; {waited} events wait for breakers that close within {BREAKER_OPEN_MAX:.0?}"));
    [&down, &ordered].into_iter().for_each(|endpoint| endpoint.hook.set(Mode::Ok));
    let sent_again = || (app.rest().metric("postrider_backlog_left_total") > 0.0).then_some(());
    within_looks(BREAKER_OPEN_MAX, LOOK, "the first of what waited is sent", sent_again);
    let sent_at = Instant::now();
    let drained = || {
        let waits = app.rest().metric("postrider_backlog_events");
        told(format!("{waits} events wait"));
        (waits == 0.0).then_some(())
    };
    within_looks(4 * outage() + CALM, LOOK, "what waited is sent while more comes", drained);
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
    let p99 = |from: Instant, to: Instant| p99(&app, &healthy, &cpu_steal, from, to);
    // While the breakers are still open, nothing of the recovery is to be felt.
    let (calm, outage, recovery) = (p99(down_at - CALM, down_at), p99(down_at, back_at), p99(sent_at, drained_at));
    let (first, all) = (sent_at - back_at, drained_at - back_at);
    let note = format!(
        "{waited} events waited, the first sent {first:.0?} after the return and all within {all:.0?}; the others' p99: {calm} before, {outage} \
         during the outage ({:.2} ×), {recovery} during the recovery ({:.2} ×)",
        outage.ms / calm.ms,
        recovery.ms / calm.ms,
    );
    if findings.reordered > 0 {
        findings.complaints.push(format!("{} events came out of order", findings.reordered));
    }
    if findings.dead_letters + findings.backlog > 0 {
        findings.complaints.push("not everything was delivered".to_owned());
    }
    Outcome::of(findings).note(note)
}

/// Tells how far the row has come: it takes longer than anybody waits for a test that says nothing.
fn told_with_its_time() -> impl Fn(String) {
    let begun = Instant::now();
    move |what| eprintln!("outage, {:4.0} s: {what}", begun.elapsed().as_secs_f64())
}

/// The median of the p99 latencies of those windows that count, in milliseconds.
struct P99 {
    ms: f64,
    windows: usize,
    left_out: usize,
}

impl fmt::Display for P99 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let P99 { ms, windows, left_out } = self;
        write!(f, "{ms:.1} ms ({} of {windows} windows, the others without all of the machine)", windows - left_out)
    }
}

/// For events sent between these times.
fn p99(app: &TestApp, endpoints: &[&Endpoint], cpu_steal: &Watch, from: Instant, to: Instant) -> P99 {
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
    let mut counted = Vec::new();
    for (window, mut latencies) in (0..).zip(latencies).filter(|(_, latencies)| !latencies.is_empty()) {
        latencies.sort_unstable();
        let ms = latencies[latencies.len() * 99 / 100].as_secs_f64() * 1_000.0;
        let begins = from + window * WINDOW;
        let cpu_steal = cpu_steal.part(begins, begins + WINDOW);
        eprintln!("{ms:7.1} ms is the others' p99 of {} s, {:4.1} % cpu_steal", WINDOW.as_secs(), cpu_steal * 100.0);
        if cpu_steal <= STOLEN_MAX {
            counted.push(ms);
        }
    }
    counted.sort_unstable_by(f64::total_cmp);
    let ms = counted.get(counted.len() / 2).copied().unwrap_or(f64::NAN);
    P99 { ms, windows, left_out: windows - counted.len() }
}
