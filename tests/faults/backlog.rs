//! ● Backlogs that are large.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{Findings, Receiver, TestApp, eventually_holds},
    row::Outcome,
};

/// Row C9: a million rows of one endpoint, of which none is as old as its head says: looking for the oldest holds up nobody.
pub fn large_and_thought_to_be_old(_: &mut SmallRng) -> Outcome {
    let mut app = TestApp::named("fault-c9").partitions(1).set("POSTGRES_STATEMENT_TIMEOUT_MS", STATEMENT_MS).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("stream");
    hook.keep_no_requests();
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "in_flight_max": 64}));
    assert!(app.sigterm().status.success());
    app.postgres.execute(&rows(&app.topic, &endpoint.id));
    app.restart();
    let begun = Instant::now();
    eventually_holds("the first of them are delivered", || hook.accepted_count() > 0);
    let mut complaints = Vec::new();
    let (mut least, mut before, mut longest_ms) = (usize::MAX, hook.accepted_count(), 0);
    for _ in 0..SECONDS {
        let second = Instant::now();
        while second.elapsed() < Duration::from_secs(1) {
            longest_ms = longest_ms.max(app.postgres.count(LONGEST));
            thread::sleep(Duration::from_millis(20));
        }
        let now = hook.accepted_count();
        (least, before) = (least.min(now - before), now);
    }
    let (delivered, seconds) = (hook.accepted_count(), begun.elapsed().as_secs_f64());
    if least == 0 {
        complaints.push("a second went by in which nothing was delivered".to_owned());
    }
    if longest_ms >= STATEMENT_MS {
        complaints.push(format!("a statement took {longest_ms} ms"));
    }
    for failure in ["the backlog cannot be read", "the backlog cannot be searched"] {
        if app.instance().log().contains(failure) {
            complaints.push(failure.to_owned());
        }
    }
    let note = format!(
        "{delivered} of {ROWS} within {seconds:.0} s, at least {least} in each second; the longest statement {longest_ms} ms"
    );
    Outcome::of(Findings { complaints, ..Findings::default() }).note(note)
}

const ROWS: u32 = 1_000_000;
const SECONDS: u32 = 30;
const STATEMENT_MS: i64 = 2_000;

/// Milliseconds that the longest statement about the backlog has taken so far.
const LONGEST: &str = "
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start) * 1000), 0)::bigint FROM pg_stat_activity
    WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()
      AND query LIKE '%backlog%' AND query NOT LIKE '%vacuum%' AND query NOT LIKE 'VACUUM%' AND query NOT LIKE 'autovacuum%'";

fn rows(topic: &str, endpoint_id: &str) -> String {
    let now_ms = "(extract(epoch FROM now()) * 1000)::bigint";
    format!(
        "INSERT INTO backlog (topic, partition, endpoint_id, \"offset\", record_ms, received_ms, not_before_ms, attempts,
            occurred_ms, record, value_bytes, bytes)
         SELECT '{topic}', 0, '{endpoint_id}', n, {now_ms}, {now_ms}, 0, 0, {now_ms},
            convert_to('{{\"seq\":' || n || '}}', 'UTF8'), length('{{\"seq\":' || n || '}}'), 100
         FROM generate_series(0, {ROWS} - 1) AS n;
         INSERT INTO backlog_head (topic, partition, endpoint_id, events, bytes, oldest_ms)
         VALUES ('{topic}', 0, '{endpoint_id}', {ROWS}, {ROWS} * 100, 0);
         ANALYZE backlog"
    )
}
