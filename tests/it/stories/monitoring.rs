//! ● What operators see: all instances at one glance, every actor, how an endpoint is.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Mode, Receiver, TestApp, app::Preparation, eventually, eventually_holds, rest::Rest, within};

fn actors(rest: &Rest, query: &str) -> Vec<Value> {
    let page = rest.get(&format!("/v1/actors?limit=250&{query}")).ok().json();
    page["data"].as_array().unwrap_or_else(|| panic!("no data: {page}")).clone()
}

#[test]
fn whichever_instance_is_asked_answers_for_all_and_says_who_is_gone() {
    let app = TestApp::named("watched").partitions(8).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("watched"), json!({"mode": "stream"}));
    let mut second = app.second_instance();
    app.await_settings_of(&second.rest);
    eventually_holds("both own partitions", || {
        [app.rest(), &second.rest].iter().all(|rest| rest.metric("postrider_partitions_assigned") == 4.0)
    });
    app.produce(2_000);
    eventually_holds("everything arrives", || endpoint.hook.accepted_count() >= 2_000);

    let ingest = eventually("both instances' ingest actors are shown", || {
        let ingest = actors(&second.rest, "kind=ingest");
        (ingest.len() == 8).then_some(ingest)
    });
    let instances: BTreeSet<&str> = ingest.iter().filter_map(|actor| actor["instance"].as_str()).collect();
    assert_eq!(instances.len(), 2);
    let kinds = |rest: &Rest| {
        let mut kinds: Vec<String> =
            actors(rest, "").iter().filter_map(|actor| actor["kind"].as_str().map(str::to_owned)).collect();
        kinds.dedup();
        kinds
    };
    let all = ["consumer", "endpoint", "ingest", "reader", "router", "supervisor", "writer"];
    // An instance that is busy for a second is left out of an answer; hence each of these is looked at again.
    eventually_holds("all kinds are shown", || kinds(app.rest()) == all);
    eventually_holds("one endpoint, at two instances", || actors(app.rest(), "kind=endpoint").len() == 2);
    eventually_holds("all deliveries are counted", || {
        let one = app.rest().get(&format!("/v1/actors/{}", endpoint.id)).ok().json();
        let delivered = one["data"].as_array().expect("data").iter().filter_map(|at| at["delivered"].as_u64()).sum();
        (one["kind"].as_str(), delivered) == (Some("endpoint"), 2_000_u64)
    });
    eventually_holds("a partition is one instance's", || {
        let partition = app.rest().get(&format!("/v1/actors/{}%2F3", app.topic)).ok().json();
        (partition["data"].as_array().map(Vec::len), &partition["unreachable"]) == (Some(1), &json!([]))
    });
    app.rest().get("/v1/actors/ep_nope").problem(404);
    let nowhere = app.rest().get(&format!("/v1/actors/{}?instance=inst_other", endpoint.id)).ok().json();
    assert_eq!((&nowhere["kind"], &nowhere["data"]), (&json!("endpoint"), &json!([])), "known, but without an actor");

    eventually_holds("page by page it is the same list", || {
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.rest().get(&format!("/v1/actors?limit=3{cursor}")).ok().json();
            paged.extend(page["data"].as_array().expect("data").iter().map(|actor| actor["id"].clone()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        paged == actors(app.rest(), "").iter().map(|actor| actor["id"].clone()).collect::<Vec<_>>()
    });

    let overview = eventually("both instances have sampled what came in", || {
        let overview = app.rest().get("/v1/overview").ok().json();
        let seen: f64 =
            overview["history"].as_array()?.iter().filter_map(|at| at["delivered_per_second"].as_f64()).sum();
        (seen * 5.0 >= 1_999.0 && overview["unreachable"] == json!([])).then_some(overview)
    });
    assert_eq!((overview["instances"].as_array().map(Vec::len), &overview["unreachable"]), (Some(2), &json!([])));
    assert_eq!((&overview["topics"][0]["partitions"], &overview["endpoints"]["enabled"]), (&json!(8), &json!(1)));
    assert_eq!(overview["breakers"], json!({"closed": 1, "open": 0, "half_open": 0}));
    assert!(overview["latency_ms"]["p50"].as_f64().is_some_and(|p50| p50 > 0.0), "{overview}");

    second.kill9();
    let page = app.rest().get("/v1/actors?kind=router").ok().json();
    assert_eq!(page["unreachable"].as_array().map(Vec::len), Some(1), "{page}");
    assert!(page["data"].as_array().is_some_and(|routers| !routers.is_empty()), "its own are there all the same");
    assert_eq!(app.rest().get("/v1/overview").ok().json()["unreachable"].as_array().map(Vec::len), Some(1));
    eventually_holds("a dead instance is forgotten", || {
        app.rest().get("/v1/actors").ok().json()["unreachable"] == json!([])
    });
}

#[test]
fn an_endpoints_health_is_told_in_one_word_and_in_numbers() {
    let app = TestApp::named("health").start();
    let receiver = Receiver::start();
    let well = app.subscribed_endpoint(&receiver.hook("well"), json!({"mode": "stream"}));
    let failing = receiver.hook("failing");
    failing.set(Mode::Status(503));
    let failing = app.subscribed_endpoint(&failing, json!({"mode": "stream"}));
    app.produce(50);
    eventually_holds("everything arrives", || well.hook.accepted_count() >= 50);
    let health = |id: &str| {
        let page = app.rest().get("/v1/endpoints?include=health").ok().json();
        let endpoint = page["data"].as_array().expect("data").iter().find(|endpoint| endpoint["id"] == id).cloned();
        endpoint.unwrap_or_else(|| panic!("{id} is not listed: {page}"))["health"].clone()
    };
    eventually_holds("one is well", || {
        let health = health(&well.id);
        health["status"] == "healthy" && health["delivered_per_minute"] == 50
    });
    eventually_holds("the other's breaker is open, and what waits for it is counted", || {
        let health = health(&failing.id);
        health["status"] == "open" && health["backlog_events"] == 50 && health["last_error"]["status"] == 503
    });
    let stats = eventually("its breaker is open again after a probe", || {
        let stats = app.rest().get(&format!("/v1/endpoints/{}/stats", failing.id)).ok().json();
        (stats["breaker"] == "open").then_some(stats)
    });
    assert_eq!(stats["delivered"]["since_start"], 0, "{stats}");
    assert!(stats["attempts_by_class"]["http_5xx"].as_u64().is_some_and(|attempts| attempts > 0), "{stats}");
    assert!(stats["last_success_at"].is_null() && stats["last_failure_at"].is_string(), "{stats}");
    let actor = app.rest().get(&format!("/v1/actors/{}", failing.id)).ok().json()["data"][0].clone();
    assert!(actor["breaker_why"].as_str().is_some_and(|why| why.contains("http_5xx (503)")), "{actor}");
    let stats = app.rest().get(&format!("/v1/endpoints/{}/stats", well.id)).ok().json();
    assert_eq!(
        (&stats["delivered"]["since_start"], &stats["attempts_by_class"]),
        (&json!(50), &json!({"http_2xx": 50}))
    );
    assert!(stats["duration_ms"]["p99"].as_f64().is_some_and(|p99| p99 > 0.0), "{stats}");

    app.rest().post(&format!("/v1/endpoints/{}/pause", failing.id), &json!({})).ok();
    eventually_holds("it is paused", || health(&failing.id)["status"] == "paused");
    app.rest().get("/v1/endpoints?include=wealth").problem(400);
}

#[test]
fn an_endpoint_that_asks_for_silence_stands_and_says_until_when_and_why_wherever_it_is_shown() {
    let app = TestApp::named("silent").set("DELIVERY_PARK_AFTER_MS", 500).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("silent");
    hook.set(Mode::StatusWith(429, vec![("retry-after", "1800".to_owned())]));
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream"}));
    app.produce(1);
    let stats = || app.rest().get(&format!("/v1/endpoints/{}/stats", endpoint.id)).ok().json();
    let silent_until = eventually("it is left alone", || stats()["silent_until"].as_str().map(str::to_owned));
    let health = app.rest().get("/v1/endpoints?include=health").ok().json()["data"][0]["health"].clone();
    let asked = json!({"topic": app.topic, "tenant": "1", "department": "1"});
    let matched = app.rest().post("/v1/match", &asked).ok().json()["data"][0].clone();
    let attempt = eventually("the attempt is written down", || {
        let page = app.rest().get(&format!("/v1/endpoints/{}/attempts", endpoint.id)).ok().json();
        page["data"].as_array().and_then(|attempts| attempts.first().cloned())
    });
    // To the minute: each is reckoned from now.
    for shown in [&health["silent_until"], &matched["silent_until"], &attempt["next_at"]] {
        let shown = shown.as_str().unwrap_or_else(|| panic!("no time: {health} {matched} {attempt}"));
        let minutes = |time: &str| time.parse::<jiff::Timestamp>().expect("a time").as_second() / 60;
        assert!(minutes(shown).abs_diff(minutes(&silent_until)) <= 1, "{shown} {silent_until}");
    }
    assert!(stats()["standing"].is_null(), "for half a minute that is nothing unusual");
    let standing = within(Duration::from_secs(90), "it stands", || {
        let standing = stats()["standing"].clone();
        standing.is_object().then_some(standing)
    });
    assert_eq!((&standing["why"], &standing["class"]), (&json!("silent"), &json!("http_4xx")), "{standing}");
    let actor = app.rest().get(&format!("/v1/actors/{}", endpoint.id)).ok().json()["data"][0].clone();
    assert!(actor["why"].as_str().is_some_and(|why| why.starts_with("silent")), "{actor}");
    assert_eq!(app.rest().metric_with("postrider_endpoints_standing", "silent"), 1.0);
    let told = || app.rest().metric_with("postrider_operator_events_total", "endpoints.standing");
    eventually_holds("operators are told", || told() == 1.0);
    thread::sleep(Duration::from_secs(11)); // two more looks
    assert_eq!(told(), 1.0, "once");
}

#[test]
fn nobody_but_another_instance_is_told_what_instances_tell_each_other() {
    let app = TestApp::start("peer");
    for rest in [app.rest(), &app.rest().with_key(None)] {
        for path in ["/peer/overview", "/peer/actors?limit=0"] {
            assert_eq!(rest.get(path).problem(401)["code"], "not_a_peer");
        }
        assert_eq!(rest.post("/peer/endpoints", &json!([])).problem(401)["code"], "not_a_peer");
    }
}

#[test]
fn operators_are_told_once_that_an_endpoint_fails_and_that_it_recovered() {
    let operators = Receiver::start();
    let told = operators.hook("operators");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    told.verify_with(&[secret]);
    let topic = format!("told.{:x}", std::process::id());
    let app = TestApp::named("told")
        .partitions(8)
        .set("OPERATOR_EVENTS_WEBHOOK_URL", told.url())
        .set("OPERATOR_EVENTS_WEBHOOK_SECRET", secret)
        .set("OPERATOR_EVENTS_TOPIC", &topic)
        .set("OPERATOR_EVENTS_FAILING_AFTER_MS", 1_000)
        .prepare();
    app.kafka.create_topic(&topic, 1);
    let mut app = app;
    app.restart();
    let second = app.second_instance();
    let receiver = Receiver::start();
    let hook = receiver.hook("failing");
    hook.set(Mode::Status(500));
    let breaker = json!({"consecutive_failures": 2, "open_base_ms": 200, "open_max_ms": 500});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "breaker": breaker}));
    app.await_settings_of(&second.rest);
    app.produce(400);
    let of = |kind: &str| {
        let requests = told.requests();
        requests.iter().filter(|request| request.json()["type"] == kind).count()
    };
    told.set(Mode::Status(503)); // told again until somebody hears it
    eventually_holds("operators are told", || told.requests_count() >= 2);
    told.set(Mode::Ok);
    eventually_holds("they heard it", || of("endpoint.failing") >= 1);
    hook.set(Mode::Ok);
    eventually_holds("they hear that it recovered", || of("endpoint.recovered") == 1);
    let heard = told.requests();
    let first = heard.iter().map(|request| request.json()).find(|event| event["type"] == "endpoint.failing");
    assert_eq!(first.expect("told")["data"]["endpoint_id"], endpoint.id);
    let ids: BTreeSet<&str> = heard.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), 2, "by one of two instances, and with one id for each, however often it is tried");
    // The hook finds no event of Kafka's in them; that they are signed it checks all the same.
    assert!(told.complaints().iter().all(|complaint| !complaint.contains("signature")), "{:?}", told.complaints());
    eventually_holds("the topic has them too", || app.kafka.end(&topic, 0) == 2);
}

#[test]
fn many_endpoints_behind_one_failing_host_are_told_of_once_though_they_come_and_go() {
    let (receiver, operators) = (Receiver::start(), Receiver::start());
    let told = operators.hook("told");
    let app = TestApp::named("told-together")
        .set("OPERATOR_EVENTS_WEBHOOK_URL", told.url())
        .set("OPERATOR_EVENTS_FAILING_AFTER_MS", 5_000)
        .start();
    let breaker = json!({"consecutive_failures": 2, "open_base_ms": 100, "open_max_ms": 200});
    let hooks: Vec<_> = (0..20).map(|n| receiver.hook(&format!("hook-{n}"))).collect();
    let settings = json!({"mode": "stream", "breaker": breaker});
    let endpoints: Vec<_> = hooks.iter().map(|hook| app.endpoint(hook, settings.clone())).collect();
    endpoints.iter().for_each(|endpoint| drop(app.subscribe(endpoint, json!({"level": "topic"}))));
    app.await_settings();
    let heard = || told.requests().iter().map(|request| request.json()).collect::<Vec<_>>();
    let of = |kind: &str| heard().iter().filter(|event| event["type"] == kind).count();
    let all = |mode: &Mode| hooks.iter().for_each(|hook| hook.set(mode.clone()));
    all(&Mode::Status(503));
    app.produce(20);
    eventually_holds("operators are told", || of("endpoints.failing") == 1);
    assert!(heard()[0]["data"]["endpoints"].as_u64() > Some(1), "{:?}", heard());
    assert_eq!(heard()[0]["data"]["last_status"], 503);
    for round in 1..=2 {
        all(&Mode::Ok);
        eventually_holds("they recover", || hooks.iter().all(|hook| hook.accepted_count() >= 20 * round));
        eventually_holds("operators hear of it, the first time", || of("endpoints.recovered") == 1);
        all(&Mode::Status(503));
        app.produce(20);
        let emitted = || app.rest().metric_with("postrider_operator_events_total", "endpoints.failing");
        eventually_holds("they fail again for as long", || emitted() >= (round + 1) as f64);
    }
    assert_eq!((of("endpoints.failing"), of("endpoints.recovered")), (1, 1), "{:?}", heard());
}

/// An app whose canaries go through a topic of their own with one partition.
fn with_canary(preparation: Preparation, name: &str) -> TestApp {
    let topic = format!("{name}.{:x}", std::process::id());
    let preparation = preparation.partitions(2).set("CANARY_TOPIC", &topic);
    let mut app = preparation.set("CANARY_INTERVAL_MS", 500).set("CANARY_LATE_AFTER_MS", 3_000).prepare();
    app.kafka.create_topic(&topic, 1);
    app.set("KAFKA_TOPICS", format!("{},{topic}", app.topic));
    app.restart();
    app
}

#[test]
fn the_canary_comes_back_over_whichever_instance_and_is_missed_when_nothing_is_delivered() {
    let app = with_canary(TestApp::named("canary"), "canary");
    let second = app.second_instance();
    let both = [app.rest(), &second.rest];
    eventually_holds("canaries of both come back, although one instance alone owns the topic's partition", || {
        both.iter().all(|rest| rest.metric("postrider_canary_seconds_count") >= 3.0)
    });
    eventually_holds("none is late", || both.iter().all(|rest| rest.metric("postrider_canary_late") == 0.0));
    app.rest().post("/v1/endpoints/postrider-canary/pause", &json!({})).ok();
    eventually_holds("they are missed", || both.iter().all(|rest| rest.metric("postrider_canary_late") == 1.0));
    assert_eq!(app.rest().get("/readyz").status, 200, "another instance could do no better");
    assert!(app.rest().metric_with("postrider_operator_events_total", "canary.late") >= 1.0);
    app.rest().post("/v1/endpoints/postrider-canary/resume", &json!({})).ok();
    eventually_holds("they come again", || both.iter().all(|rest| rest.metric("postrider_canary_late") == 0.0));
}

#[test]
fn the_canary_goes_to_a_receiver_of_ones_own_and_has_arrived_when_that_one_takes_it() {
    let receiver = Receiver::start();
    let hook = receiver.hook("canary");
    let app = with_canary(TestApp::named("canary-out").set("CANARY_URL", hook.url()), "canary-out");
    let second = app.second_instance();
    let both = [app.rest(), &second.rest];
    eventually_holds("canaries of both arrive, although one instance alone delivers them", || {
        both.iter().all(|rest| rest.metric("postrider_canary_seconds_count") >= 3.0)
    });
    assert!(hook.requests_count() >= 6, "each was a request to the receiver");
    hook.set(Mode::Status(500));
    eventually_holds("they are missed", || both.iter().all(|rest| rest.metric("postrider_canary_late") == 1.0));
    hook.set(Mode::Ok);
    eventually_holds("they come again", || both.iter().all(|rest| rest.metric("postrider_canary_late") == 0.0));
}

#[test]
fn what_it_took_to_deliver_is_counted_and_nothing_is_nowhere() {
    let mut app = TestApp::named("counted").partitions(2).start();
    let receiver = Receiver::start();
    let batch = json!({"mode": "batch", "batch": {"events_max": 10, "wait_ms_max": 200}});
    let batched = app.subscribed_endpoint(&receiver.hook("batched"), batch);
    let hook = receiver.hook("failing");
    hook.set(Mode::Status(500));
    let breaker = json!({"consecutive_failures": 2, "open_base_ms": 200, "open_max_ms": 300});
    let retry = json!({"attempts_max": 100, "schedule_ms": [20]});
    let failing = app.subscribed_endpoint(&hook, json!({"mode": "stream", "breaker": breaker, "retry": retry}));
    app.produce(25);
    let counted = |app: &TestApp, name: &str, labels: &str| app.rest().metric_with(name, labels);
    eventually_holds("its breaker opens, and a probe finds it as it was", || {
        counted(&app, "postrider_breaker_trips_total", "") >= 1.0
            && counted(&app, "postrider_breaker_probes_total", "failed") >= 1.0
    });
    hook.set(Mode::Ok);
    app.audit().expect_all(&batched).expect_all(&failing).close();
    assert!(counted(&app, "postrider_breaker_probes_total", "succeeded") >= 1.0);
    let filled = |by: &str| counted(&app, "postrider_batches_total", by);
    assert!(filled("events") + filled("time") >= 3.0 && filled("time") >= 1.0, "25 events are no whole batches of 10");
    eventually_holds("attempts are counted, the first ones every few seconds", || {
        let used = |labels: &str| counted(&app, "postrider_attempts_used_bucket", labels);
        let (first, all) = (used("le=\"1\""), used("le=\"+Inf\""));
        first >= 2.0 && all > first
    });
    eventually_holds("the tables are looked at", || {
        counted(&app, "postrider_postgres_table_bytes", "table=\"backlog\"") > 0.0
            && counted(&app, "postrider_postgres_table_bytes", "table=\"dead_letter\"") > 0.0
    });
    assert!(counted(&app, "postrider_memory_limit_bytes", "replay") > 0.0);
    assert!(counted(&app, "postrider_index_change_seconds_count", "") >= 1.0);
    assert_eq!(counted(&app, "postrider_restore_seconds_count", ""), 0.0, "nothing waited when it started");
    assert_eq!(counted(&app, "postrider_stray_deliveries", ""), 0.0);

    app.kill9();
    app.produce(10);
    app.restart();
    eventually_holds("whoever takes over tells how long it took", || {
        counted(&app, "postrider_restore_seconds_count", "") >= 1.0
    });
    app.audit().expect_all(&batched).close();
}
