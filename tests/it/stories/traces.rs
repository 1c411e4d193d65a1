//! ● What a collector gets of an event's way, and that nothing depends on it.

use std::time::Instant;

use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use serde_json::json;

use crate::harness::{
    Mode, Receiver, Record, TestApp,
    collector::{Collector, attribute, said},
    eventually, eventually_holds,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const KEY: &str = "a-key-that-nobody-may-read";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn of_trace(collector: &Collector, trace: &str) -> Vec<Span> {
    collector.spans().into_iter().filter(|span| hex(&span.trace_id) == trace).collect()
}

/// The spans of a trace, once the one of the whole event is there: it comes last.
fn whole_trace(collector: &Collector, trace: &str) -> Vec<Span> {
    eventually("the trace is whole", || {
        let spans = of_trace(collector, trace);
        spans.iter().any(|span| span.name.starts_with("process ")).then_some(spans)
    })
}

fn child_of(span: &Span, above: &Span) -> bool {
    span.parent_span_id == above.span_id
}

#[test]
fn a_failed_and_then_delivered_event_is_one_trace_from_its_producer_to_its_receiver() {
    let collector = Collector::start();
    let app = TestApp::named("traced")
        .set("OTLP_ENDPOINT", collector.url())
        .set("OTLP_HEADERS", format!("x-api-key={KEY}"))
        .set("OTLP_SAMPLE_EVERY", 0)
        .set("OTLP_INTERVAL_MS", 50)
        .start();
    let receiver = Receiver::start();
    let hook = receiver.hook("traced");
    hook.set(Mode::Status(503));
    let retry = json!({"attempts_max": 100, "schedule_ms": [50, 50]});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": retry}));
    let traced = Record { traceparent: Some(PRODUCER), tenant: Some("acme"), kind: Some("order"), ..Record::default() };
    app.produce_one(&traced);
    eventually_holds("it failed", || hook.requests_count() >= 1);
    hook.set(Mode::Ok);
    app.audit().expect_all(&endpoint).close();

    let spans = whole_trace(&collector, TRACE);
    let process = named(&spans, &format!("process {}", app.topic))[0];
    assert_eq!(hex(&process.parent_span_id), "00f067aa0ba902b7", "below the producer's span");
    let says = |name: &str| attribute(&process.attributes, name);
    assert_eq!((says("messaging.system"), says("messaging.destination.name")), ("kafka".to_owned(), app.topic.clone()));
    assert_eq!((says("messaging.kafka.offset"), says("postrider.tenant")), ("0".to_owned(), "acme".to_owned()));
    assert!(child_of(named(&spans, "match")[0], process));
    let deliver = named(&spans, "deliver")[0];
    assert!(child_of(deliver, process));
    assert_eq!(attribute(&deliver.attributes, "postrider.settlement"), "delivered");
    assert_eq!(attribute(&deliver.attributes, "postrider.endpoint.id"), endpoint.id);
    let mut attempts = named(&spans, "POST");
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    assert!(attempts.len() >= 2 && attempts.iter().all(|attempt| child_of(attempt, deliver)), "{attempts:?}");
    let status = |attempt: &Span| attribute(&attempt.attributes, "http.response.status_code");
    let (failed, delivered) = (attempts[0], attempts[attempts.len() - 1]);
    assert_eq!((status(failed), status(delivered)), ("503".to_owned(), "200".to_owned()));
    let code = |attempt: &Span| attempt.status.as_ref().map(|status| status.code());
    assert_eq!(code(failed), Some(StatusCode::Error));
    assert_ne!(code(delivered), Some(StatusCode::Error));
    assert!(failed.end_time_unix_nano <= delivered.start_time_unix_nano);
    assert!(named(&spans, "wait").iter().all(|wait| child_of(wait, deliver)));
    assert!(child_of(named(&spans, "settle")[0], deliver));
    assert!(
        spans.iter().all(|span| span.start_time_unix_nano <= span.end_time_unix_nano
            && span.start_time_unix_nano >= process.start_time_unix_nano
            && span.end_time_unix_nano <= process.end_time_unix_nano),
        "all of it lies within the whole"
    );

    // The receiver can go on with it: what it got names the attempt.
    let last = hook.requests().pop().expect("a request");
    assert_eq!(last.header("traceparent"), format!("00-{TRACE}-{}-01", hex(&delivered.span_id)));
    hook.assert_no_complaints();

    // The log lines came too, those of the attempts as part of the trace.
    let failure = eventually("the failed attempt's line", || {
        collector.logs().into_iter().find(|line| said(line).contains("attempt failed"))
    });
    assert_eq!((hex(&failure.trace_id), &failure.span_id), (TRACE.to_owned(), &failed.span_id));
    assert_eq!(attribute(&failure.attributes, "endpoint.id"), endpoint.id);
    assert_eq!(failure.severity_text, "WARN");
    assert_eq!(
        (collector.resource("service.name"), collector.resource("service.instance.id").len() > 3),
        ("postrider".to_owned(), true)
    );
    assert!(collector.always_got("x-api-key", KEY));
    let secrets = [KEY, endpoint.secret.as_str(), "the-key-of-the-stories"];
    let told = format!("{:?}{:?}", collector.logs(), collector.spans());
    assert!(secrets.iter().all(|secret| !told.contains(secret)), "no secret leaves with what is told");
}

#[test]
fn events_of_a_batch_link_to_its_request_and_unsampled_ones_are_not_traced() {
    let collector = Collector::start();
    let app = TestApp::named("linked")
        .partitions(1)
        .set("OTLP_ENDPOINT", collector.url())
        .set("OTLP_SAMPLE_EVERY", 0)
        .set("OTLP_INTERVAL_MS", 50)
        .set("OTLP_LOGS", false)
        .set("DELIVERY_PARK_AFTER_MS", 60_000)
        .start();
    let receiver = Receiver::start();
    // It goes when it is full.
    let batch = json!({"mode": "batch", "batch": {"events_max": 3, "wait_ms_max": 60_000}});
    let endpoint = app.subscribed_endpoint(&receiver.hook("linked"), batch);
    let other = PRODUCER.replace("4bf9", "5bf9");
    let unsampled = PRODUCER.replace("4bf9", "6bf9").replace("-01", "-00");
    for traceparent in [PRODUCER, &other, &unsampled] {
        app.produce_one(&Record { traceparent: Some(traceparent), ..Record::default() });
    }
    app.audit().expect_all(&endpoint).close();
    let (first, second) = (whole_trace(&collector, TRACE), whole_trace(&collector, &TRACE.replace("4bf9", "5bf9")));
    let posts = [named(&first, "POST")[0], named(&second, "POST")[0]];
    for (post, linked) in [(posts[0], posts[1]), (posts[1], posts[0])] {
        assert_eq!(attribute(&post.attributes, "messaging.batch.message_count"), "3");
        let links: Vec<String> = post.links.iter().map(|link| hex(&link.span_id)).collect();
        assert_eq!(links, [hex(&linked.span_id)]);
    }
    let request = endpoint.hook.requests().pop().expect("a request");
    assert!(request.headers.iter().all(|(name, _)| name != "traceparent"), "a batch is part of many traces");
    assert!(of_trace(&collector, &TRACE.replace("4bf9", "6bf9")).is_empty(), "its producer does not want it traced");
    assert!(collector.logs().is_empty());
}

#[test]
fn a_producers_context_reaches_the_receiver_of_an_event_that_is_not_traced_and_nothing_else_does() {
    let collector = Collector::start();
    let app = TestApp::named("passed").partitions(1).set("OTLP_ENDPOINT", collector.url()).set("OTLP_SAMPLE_EVERY", 0);
    let app = app.start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("passed"), json!({"mode": "stream"}));
    let unsampled = PRODUCER.replace("-01", "-00");
    for traceparent in
        [&unsampled, "no context", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx-admin: 1"]
    {
        app.produce_one(&Record { traceparent: Some(traceparent), ..Record::default() });
    }
    app.audit().expect_all(&endpoint).close();
    let requests = endpoint.hook.requests();
    let contexts: Vec<&str> = requests
        .iter()
        .flat_map(|request| &request.headers)
        .filter(|(name, _)| name == "traceparent" || name == "x-admin")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(contexts, [unsampled]);
}

#[test]
fn a_collector_that_is_away_changes_nothing() {
    let started = Instant::now();
    let gone = Collector::start().url();
    let mut app = TestApp::named("collectorless")
        .set("OTLP_ENDPOINT", gone)
        .set("OTLP_SAMPLE_EVERY", 1)
        .set("OTLP_EVENTS_PER_SECOND_MAX", 0)
        .set("OTLP_QUEUE_RECORDS_MAX", 64)
        .set("OTLP_INTERVAL_MS", 50)
        .start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("collectorless"), json!({"mode": "stream"}));
    app.produce(2_000);
    let findings = app.audit().expect_all(&endpoint).close();
    assert_eq!((findings.duplicates, findings.dead_letters), (0, 0));
    assert!(endpoint.hook.requests().iter().all(|request| request.header("traceparent").ends_with("-01")));
    let dropped = |reason: &str| app.rest().metric_with("postrider_otlp_dropped_total", reason);
    eventually_holds("what was dropped is counted", || dropped("queue_full") > 0.0 && dropped("not_taken") > 0.0);
    assert_eq!(app.rest().metric_with("postrider_otlp_exported_total", "traces"), 0.0);
    let log = app.instance().log();
    let said = log.lines().filter(|line| line.contains("the collector refuses exported records")).count();
    let most = 2 * (1 + started.elapsed().as_secs() as usize / 60);
    assert!((1..=most).contains(&said), "once a minute for each signal, not {said} times");
    let stopped = app.sigterm();
    assert!(stopped.status.success(), "and nothing waits for it in the end");
}
