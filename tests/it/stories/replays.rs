//! ● A closed range of Kafka again, for one endpoint.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::harness::{Endpoint, Hook, Mode, Receiver, Record, TestApp, eventually, eventually_holds, within_looks};

fn app(name: &'static str) -> TestApp {
    TestApp::named(name).partitions(2).set("REPLAY_POLL_MS", 100).start()
}

/// Asks for a replay of the story's topic; its id.
#[track_caller]
fn replay(app: &TestApp, endpoint: &Endpoint, range: Value) -> String {
    let mut body = json!({"endpoint_id": endpoint.id, "topic": app.topic});
    body.as_object_mut().expect("an object").extend(range.as_object().expect("an object").clone());
    let reply = app.rest().post("/v1/replays", &body);
    assert_eq!(reply.status, 201, "{}", reply.text);
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("rep_"), "{id}");
    id
}

/// Everything that Kafka has, and perhaps more.
fn everything(app: &TestApp) -> Value {
    let range = |partition| json!({"partition": partition, "from_offset": 0, "to_offset": app.kafka.end(&app.topic, partition)});
    json!({"partitions": [range(0), range(1)]})
}

fn read(app: &TestApp, id: &str) -> Value {
    app.rest().get(&format!("/v1/replays/{id}")).ok().json()
}

#[track_caller]
fn await_done(app: &TestApp, id: &str) -> Value {
    eventually("the replay is done", || Some(read(app, id)).filter(|replay| replay["state"] == "done"))
}

/// The ids under which each event came.
fn ids(hook: &Hook) -> BTreeMap<u32, BTreeSet<String>> {
    let mut ids: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for request in hook.requests() {
        for seq in &request.seqs {
            ids.entry(*seq).or_default().insert(request.webhook_id.clone());
        }
    }
    ids
}

fn times(hook: &Hook, seq: u32) -> u16 {
    hook.accepted(seq)
}

#[test]
fn a_closed_range_is_delivered_again_with_the_same_ids_and_only_what_matches_today() {
    let app = app("replay");
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let whole = app.subscribe(&endpoint, json!({"level": "topic"}));
    let other = app.subscribed_endpoint(&receiver.hook("other"), json!({"mode": "stream"}));
    app.produce(300);
    app.await_committed();
    app.subscribe(&endpoint, json!({"level": "tenants", "tenants": ["3"]}));
    app.rest().delete(&format!("/v1/subscriptions/{whole}")).ok();
    app.await_settings();

    let (from, to) = (20, 59);
    let range = |partition| json!({"partition": partition, "from_offset": from, "to_offset": to});
    let id = replay(&app, &endpoint, json!({"partitions": [range(0), range(1)]}));
    let done = await_done(&app, &id);
    let mut again = 0;
    app.produced.each(|sent| {
        let is_again = sent.tenant.as_deref() == Some("3") && (from..=to).contains(&sent.offset);
        again += i64::from(is_again);
        assert_eq!(times(&endpoint.hook, sent.seq), 1 + u16::from(is_again), "{sent:?}");
        assert_eq!(times(&other.hook, sent.seq), 1, "a replay is for one endpoint alone");
    });
    assert!(again > 0);
    assert_eq!((&done["events_sent"], &done["gap_offsets"]), (&json!(again), &json!(0)), "{done}");
    assert_eq!(done["partitions"][0]["next_offset"], to + 1, "{done}");
    assert!(ids(&endpoint.hook).values().all(|ids| ids.len() == 1), "an event keeps its id");
    assert_eq!(app.rest().metric("postrider_replayed_total"), again as f64);
    let listed = app.rest().get(&format!("/v1/replays?endpoint_id={}", endpoint.id)).ok().json();
    assert_eq!(listed["data"][0]["id"], json!(id), "{listed}");
    eventually_holds("none is running", || app.rest().metric("postrider_replays_running") == 0.0);
}

#[test]
fn replays_of_several_endpoints_share_a_partition_and_a_slow_one_holds_up_no_other() {
    let app = app("replayshare");
    let receiver = Receiver::start();
    let fast = app.subscribed_endpoint(
        &receiver.hook("fast"),
        json!({"mode": "batch", "batch": {"events_max": 100, "wait_ms_max": 50}}),
    );
    let stuck = app.subscribed_endpoint(&receiver.hook("stuck"), json!({"mode": "stream"}));
    app.produce(2_000);
    app.audit().expect_all(&fast).expect_all(&stuck).await_nothing_missing();
    app.await_committed();
    app.rest().post(&format!("/v1/endpoints/{}/pause", stuck.id), &json!({})).ok();
    app.await_settings();
    let waiting = replay(&app, &stuck, everything(&app));
    let done = await_done(&app, &replay(&app, &fast, everything(&app)));
    assert_eq!(done["events_sent"], 2_000, "{done}");
    assert!((0..2_000).all(|seq| times(&fast.hook, seq) == 2));
    assert_eq!((stuck.hook.duplicates(), &read(&app, &waiting)["events_sent"]), (0, &json!(0)), "a paused one waits");
    app.rest().post(&format!("/v1/endpoints/{}/resume", stuck.id), &json!({})).ok();
    let done = await_done(&app, &waiting);
    assert_eq!((&done["events_sent"], stuck.hook.duplicates()), (&json!(2_000), 2_000), "{done}");
}

#[test]
fn an_ordered_endpoint_gets_a_replay_in_order() {
    let app = app("replayorder");
    let receiver = Receiver::start();
    let ordering = json!({"mode": "stream", "ordering": {"by": "partition", "on_failure": "block"}});
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), ordering);
    app.produce(300);
    app.await_committed();
    let before = endpoint.hook.requests().len();
    let done = await_done(&app, &replay(&app, &endpoint, everything(&app)));
    assert_eq!(done["events_sent"], 300, "{done}");
    let again: Vec<u32> = endpoint.hook.requests().into_iter().skip(before).flat_map(|request| request.seqs).collect();
    assert_eq!(again.len(), 300);
    for partition in 0..2 {
        let places = again.iter().map(|seq| app.produced.place(*seq)).filter(|place| place.partition == partition);
        assert!(places.map(|place| place.offset).is_sorted(), "the events of partition {partition} come in order");
    }
}

#[test]
fn a_crash_in_the_middle_resumes_and_loses_nothing() {
    let mut app = TestApp::named("replaycrash")
        .partitions(2)
        .set("REPLAY_POLL_MS", 100)
        .set("REPLAY_EVENTS_PER_SECOND_MAX", 300)
        .start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(1_500);
    app.await_committed();
    let id = replay(&app, &endpoint, everything(&app));
    let running = eventually("half of it is done", || {
        Some(read(&app, &id)).filter(|replay| replay["events_sent"].as_i64() >= Some(750))
    });
    assert_eq!(running["state"], "running", "{running}");
    app.kill9();
    app.restart();
    let second = app.second_instance();
    let done = await_done(&app, &id);
    drop(second);
    assert_eq!((&done["events_sent"], &done["gap_offsets"]), (&json!(1_500), &json!(0)), "{done}");
    assert!((0..1_500).all(|seq| times(&endpoint.hook, seq) >= 2), "nothing is lost");
    let repeated = endpoint.hook.duplicates() - 1_500;
    assert!(repeated < 500, "it went on where it was: {repeated} events came again");
}

#[test]
fn what_kafka_no_longer_has_is_reported_as_a_gap_and_an_aborted_tail_is_no_obstacle() {
    let app = app("replaygap");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(200);
    app.await_committed();
    app.kafka.transaction(&app.topic, 50, false);
    let range = everything(&app);
    app.kafka.delete_records(&app.topic, 0, 30);
    let done = await_done(&app, &replay(&app, &endpoint, range));
    assert_eq!((&done["gap_offsets"], &done["partitions"][0]["gap_offsets"]), (&json!(30), &json!(30)), "{done}");
    assert_eq!(done["events_sent"], 170, "{done}");
    assert_eq!(app.rest().metric("postrider_replay_gap_offsets_total"), 30.0);
    app.produced.each(|sent| {
        let is_gone = sent.partition == 0 && sent.offset < 30;
        assert_eq!(times(&endpoint.hook, sent.seq), 1 + u16::from(!is_gone), "{sent:?}");
    });
}

#[test]
fn a_range_of_time_is_what_kafka_has_of_it_at_that_moment() {
    let app = app("replaytime");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("before the end of time");
    for age_minutes in [50, 40, 30, 20, 10] {
        let timestamp_ms = Some(now_ms - age_minutes * 60_000);
        app.produce_one(&Record { tenant: Some("1"), partition: Some(0), timestamp_ms, ..Record::default() });
    }
    app.await_committed();
    let time = |age_minutes: i64| {
        jiff::Timestamp::from_millisecond(now_ms - age_minutes * 60_000).expect("a time").to_string()
    };
    let id = replay(&app, &endpoint, json!({"from_time": time(40), "to_time": time(20)}));
    let done = await_done(&app, &id);
    assert_eq!((0..5).map(|seq| times(&endpoint.hook, seq)).collect::<Vec<_>>(), [1, 2, 2, 2, 1], "{done}");
    let empty = await_done(&app, &replay(&app, &endpoint, json!({"from_time": time(5), "to_time": time(1)})));
    assert_eq!(empty["events_sent"], 0, "{empty}");
}

#[test]
fn a_range_of_time_is_every_record_of_these_times_whatever_their_order() {
    let app = app("replaydisorder");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("before the end of time");
    let ages_minutes = [5, 40, 20, 39, 38, 50, 37, 10, 36, 60];
    for age_minutes in ages_minutes {
        let timestamp_ms = Some(now_ms - age_minutes * 60_000);
        app.produce_one(&Record { tenant: Some("1"), partition: Some(0), timestamp_ms, ..Record::default() });
    }
    app.await_committed();
    let time = |age_minutes: i64| {
        jiff::Timestamp::from_millisecond(now_ms - age_minutes * 60_000).expect("a time").to_string()
    };
    let done = await_done(&app, &replay(&app, &endpoint, json!({"from_time": time(40), "to_time": time(30)})));
    let again = |seq: u32| times(&endpoint.hook, seq) == 2;
    let expected = ages_minutes.map(|age| (30..=40).contains(&age));
    assert_eq!((0..10).map(again).collect::<Vec<_>>(), expected, "{done}");
    assert_eq!((&done["events_sent"], &done["gap_offsets"]), (&json!(5), &json!(0)), "{done}");
}

#[test]
fn a_range_beyond_the_end_or_of_no_topic_is_refused() {
    let app = app("replayrefused");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(10);
    let ask = |topic: &str, endpoint: &str, range: Value| {
        app.rest().post("/v1/replays", &json!({"endpoint_id": endpoint, "topic": topic, "partitions": [range]}))
    };
    let end = app.kafka.end(&app.topic, 0);
    let range = |partition, from, to| json!({"partition": partition, "from_offset": from, "to_offset": to});
    ask(&app.topic, &endpoint.id, range(0, 0, end + 1)).problem_with_fields(422, &["partitions[0].to_offset"]);
    ask(&app.topic, &endpoint.id, range(7, 0, 0)).problem_with_fields(422, &["partitions[0].partition"]);
    ask("elsewhere", &endpoint.id, range(0, 0, 0)).problem_with_fields(422, &["topic"]);
    ask(&app.topic, "nobody", range(0, 0, 0)).problem_with_fields(422, &["endpoint_id"]);
    let future = json!({"endpoint_id": endpoint.id, "topic": app.topic, "from_time": "2026-01-01T00:00:00Z",
                        "to_time": "2999-01-01T00:00:00Z"});
    app.rest().post("/v1/replays", &future).problem_with_fields(422, &["to_time"]);
    assert_eq!(app.rest().get("/v1/replays").ok().json()["data"], json!([]));
    app.rest().get("/v1/replays/rep_unknown").problem(404);
    app.rest().post("/v1/replays/rep_unknown/cancel", &json!({})).problem(404);
    app.rest().post(&format!("/v1/endpoints/{}/disable", endpoint.id), &json!({})).ok();
    ask(&app.topic, &endpoint.id, range(0, 0, 0)).problem(409);
}

#[test]
fn a_replay_of_an_endpoint_that_the_owner_has_not_heard_of_waits_for_its_settings() {
    let app = TestApp::named("replaynew")
        .partitions(2)
        .set("REPLAY_POLL_MS", 50)
        .set("POSTGRES_SETTINGS_POLL_MS", 5_000)
        .start();
    let receiver = Receiver::start();
    app.produce(100);
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.subscribe(&endpoint, json!({"level": "topic"}));
    let done = await_done(&app, &replay(&app, &endpoint, everything(&app)));
    assert_eq!(done["events_sent"], 100, "{done}");
    assert!((0..100).all(|seq| times(&endpoint.hook, seq) >= 1));
}

#[test]
fn what_was_missed_of_a_topic_with_a_subscription_that_cannot_be_read_waits_until_it_can_be() {
    let mut app =
        TestApp::named("replayheld").partitions(2).set("REPLAY_POLL_MS", 50).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let subscription = app.subscribe(&endpoint, json!({"level": "topic"}));
    app.await_settings();
    app.produce(100);
    app.await_committed();
    app.sigterm();
    let ends = [0, 1].map(|partition| app.kafka.end(&app.topic, partition));
    app.postgres.execute(&format!(
        "UPDATE subscription SET scope = '7' WHERE id = '{subscription}';
         INSERT INTO backlog_gap (endpoint_id, topic, partition, from_offset, end_offset, events, updated_at)
         SELECT '{endpoint}', '{topic}', g.*, 50, now() - interval '1 minute'
         FROM (VALUES (0, 0, {}), (1, 0, {})) AS g (partition, from_offset, end_offset)",
        ends[0],
        ends[1],
        endpoint = endpoint.id,
        topic = app.topic
    ));
    app.restart();
    eventually_holds("there is a replay", || app.postgres.count("SELECT count(*) FROM replay_partition") == 2);
    thread::sleep(Duration::from_secs(1)); // some looks of the runner
    let moved = "SELECT count(*) FROM replay_partition WHERE NOT open OR next_offset > from_offset";
    assert_eq!(app.postgres.count(moved), 0, "nobody knows who wants it");

    app.subscribe(&endpoint, json!({"level": "topic"}));
    app.rest().delete(&format!("/v1/subscriptions/{subscription}")).ok();
    eventually_holds("all of it has come again", || (0..100).all(|seq| times(&endpoint.hook, seq) == 2));
}

#[test]
fn a_cancelled_replay_sends_nothing_more() {
    let app = TestApp::named("replaycancel")
        .partitions(2)
        .set("REPLAY_POLL_MS", 100)
        .set("REPLAY_EVENTS_PER_SECOND_MAX", 100)
        .start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(1_000);
    app.await_committed();
    let id = replay(&app, &endpoint, everything(&app));
    eventually_holds("it has begun", || endpoint.hook.duplicates() > 0);
    let cancelled = app.rest().post(&format!("/v1/replays/{id}/cancel"), &json!({})).ok().json();
    assert_eq!((&cancelled["state"], &cancelled["cancel_reason"]), (&json!("cancelled"), &json!("api")), "{cancelled}");
    eventually_holds("nobody works at it", || app.rest().metric("postrider_replays_running") == 0.0);
    // Another replay goes the whole way meanwhile, and nothing of the first comes with it, but what was on its way.
    let mut sent = 0;
    within_looks(Duration::from_secs(60), Duration::from_millis(500), "what was on its way has come", || {
        let before = std::mem::replace(&mut sent, endpoint.hook.duplicates());
        (sent == before).then_some(())
    });
    let range = json!({"partitions": [{"partition": 0, "from_offset": 0, "to_offset": 9}]});
    await_done(&app, &replay(&app, &endpoint, range));
    assert_eq!(endpoint.hook.duplicates(), sent + 10);
    assert!(sent < 1_000, "it was cancelled in the middle");
}

#[test]
fn what_the_endpoint_does_not_take_in_time_waits_in_the_backlog() {
    let app = TestApp::named("replaypark")
        .partitions(2)
        .set("REPLAY_POLL_MS", 100)
        .set("DELIVERY_PARK_AFTER_MS", 500)
        .set("BACKLOG_POLL_MS", 100)
        .start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "in_flight_max": 8}));
    app.produce(20);
    app.await_committed();
    hook.set(Mode::Slow(Duration::from_secs(2)));
    let done = await_done(&app, &replay(&app, &endpoint, everything(&app)));
    assert_eq!(done["events_sent"], 20, "{done}");
    let backlogged = |partition: usize| done["partitions"][partition]["backlogged"].as_i64().unwrap_or(0);
    assert!(backlogged(0) + backlogged(1) > 0, "some wait: {done}");
    hook.set(Mode::Ok);
    eventually_holds("all of it has come", || (0..20).all(|seq| times(&hook, seq) >= 2));
    eventually_holds("nothing is left in the backlog", || app.postgres.backlog().is_empty());
}

#[test]
fn an_endpoint_that_was_disabled_comes_back_by_a_replay_of_what_it_missed() {
    let app = app("replayback");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(10);
    app.await_committed();
    let command = |word: &str| app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &json!({})).ok();
    command("disable");
    app.await_settings();
    command("enable");
    app.await_settings();
    await_done(&app, &replay(&app, &endpoint, everything(&app)));
    assert!((0..10).all(|seq| times(&endpoint.hook, seq) == 2));
}
