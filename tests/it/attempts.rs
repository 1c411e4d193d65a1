//! How endpoints answered: written in groups at a bounded rate, listed the newest first, dropped by the day.

use std::time::Duration;

use postrider::{
    attempts::{AttemptWriter, writer::AttemptWriterOptions},
    clock,
    model::attempt::{AttemptRecord, Member},
    store::maintenance::{self, Retention},
};
use serde_json::{Value, json};

use crate::api::{Api, all};

const OPTIONS: AttemptWriterOptions =
    AttemptWriterOptions { queue_rows_max: 1_000, rows_per_second_max: 100_000, delivered_sample_every: 0 };

fn record(endpoint: &str, at_ms: i64, outcome: &'static str) -> AttemptRecord {
    AttemptRecord {
        endpoint_id: endpoint.into(),
        at_ms,
        duration_ms: 12,
        batch_id: format!("bat_{at_ms}"),
        events: 2,
        members: vec![Member {
            webhook_id: format!("evt_{at_ms}"),
            event_id: Some(format!("order.{at_ms}")),
            topic: "orders".to_owned(),
            partition: 3,
            offset: at_ms,
        }],
        attempt: 2,
        outcome,
        status: Some(503),
        class: "http_5xx",
        excerpt: "it hurts".to_owned(),
        next: "retry",
        next_at_ms: Some(at_ms + 500),
        stands_for: 1,
    }
}

async fn written(api: &Api, records: Vec<AttemptRecord>) {
    let writer = AttemptWriter::start(api.pool.clone(), OPTIONS, &tokio::runtime::Handle::current());
    records.into_iter().for_each(|record| writer.submit(record));
    writer.flushed().await;
}

async fn ended(api: &Api, query: &str) -> Vec<String> {
    let (status, page) = api.call("GET", &format!("/v1/endpoints/hook/attempts{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    let ids =
        page["data"].as_array().expect("data").iter().map(|one| one["webhook_id"].as_str().expect("id").to_owned());
    ids.collect()
}

#[actix_rt::test]
async fn attempts_are_listed_the_newest_first_by_outcome_time_and_event() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let endpoint = api.endpoint("acme", "hook").await;
    let id = endpoint["id"].as_str().expect("id");
    let now = clock::wall_ms();
    maintenance::once(&api.pool, now, Retention { dead_letter_days: 30, attempt_days: 7, count_days: 30 })
        .await
        .expect("maintenance");
    let records = (0..5).map(|n| record(id, now + n, if n == 3 { "delivered" } else { "failed" }));
    written(&api, records.chain([record("ep_other", now, "failed")]).collect()).await;
    let expected = |places: &[i64]| places.iter().map(|n| format!("bat_{}", now + n)).collect::<Vec<_>>();

    assert_eq!(ended(&api, "").await, expected(&[4, 3, 2, 1, 0]));
    assert_eq!(ended(&api, "?outcome=delivered").await, expected(&[3]));
    assert_eq!(ended(&api, "?outcome=not_delivered").await, expected(&[4, 2, 1, 0]));
    for id in ["evt_", "order."] {
        assert_eq!(ended(&api, &format!("?event_id={id}{}", now + 1)).await, expected(&[1]), "by either id");
    }
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).expect("time");
    assert_eq!(ended(&api, &format!("?since={}&until={}", time(now + 1), time(now + 3))).await, expected(&[2, 1]));

    let (_, first) = api.call("GET", "/v1/endpoints/hook/attempts?limit=2", None).await;
    let cursor = first["next_cursor"].as_str().expect("another page");
    assert_eq!(ended(&api, &format!("?limit=2&cursor={cursor}")).await, expected(&[2, 1]));
    let one = &first["data"][0];
    let shown = json!([one["status"], one["class"], one["excerpt"], one["attempt"], one["next"], one["events"]]);
    assert_eq!(shown, json!([503, "http_5xx", "it hurts", 2, "retry", 2]));
    assert_eq!(one["first_events"][0]["offset"], now + 4);
    let next_at: jiff::Timestamp = one["next_at"].as_str().expect("next_at").parse().expect("a time");
    assert_eq!(next_at, time(now + 504));

    for query in ["?outcome=bad", "?since=yesterday", "?cursor=x", "?limit=0", "?x=1"] {
        let (status, problem) = api.call("GET", &format!("/v1/endpoints/hook/attempts{query}"), None).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }
    api.refused("GET", "/v1/endpoints/nobody/attempts", None, 404, "not_found").await;
}

#[actix_rt::test]
async fn attempts_past_their_retention_are_dropped_by_the_day() {
    let api = Api::new().await;
    let (now, day) = (clock::wall_ms(), 86_400_000);
    let week = Retention { dead_letter_days: 30, attempt_days: 7, count_days: 30 };
    // Written before there is a partition for it, and moved when there is.
    written(&api, vec![record("ep_1", now, "failed")]).await;
    assert_eq!(api.database.count("attempt_default").await, 1);
    maintenance::once(&api.pool, now, week).await.expect("maintenance");
    assert_eq!((api.database.count("attempt_default").await, api.database.count("attempt").await), (0, 1));
    maintenance::once(&api.pool, now + 7 * day, week).await.expect("maintenance");
    assert_eq!(api.database.count("attempt").await, 1);
    maintenance::once(&api.pool, now + 8 * day, week).await.expect("maintenance");
    assert_eq!(api.database.count("attempt").await, 0);
}

#[actix_rt::test]
async fn records_that_find_no_room_are_dropped_and_nobody_waits() {
    let api = Api::new().await;
    let few = AttemptWriterOptions { queue_rows_max: 10, ..OPTIONS };
    let writer = AttemptWriter::start(api.pool.clone(), few, &tokio::runtime::Handle::current());
    // The writer has had no turn yet: this thread is its runtime.
    (0..100).for_each(|n| writer.submit(record("ep_1", clock::wall_ms() + n, "failed")));
    tokio::time::timeout(Duration::from_secs(60), writer.flushed()).await.expect("written");
    assert_eq!(api.database.count("attempt").await, 10);
}

#[actix_rt::test]
async fn what_postgres_does_not_take_is_dropped_in_the_end() {
    let api = Api::new().await;
    let writer = AttemptWriter::start(api.pool.clone(), OPTIONS, &tokio::runtime::Handle::current());
    let far = AttemptRecord { at_ms: i64::MAX, ..record("ep_1", 0, "failed") };
    writer.submit(far);
    tokio::time::timeout(Duration::from_secs(60), writer.flushed()).await.expect("dropped");
    writer.submit(record("ep_1", clock::wall_ms(), "failed"));
    writer.flushed().await;
    assert_eq!(api.database.count("attempt").await, 1);
    let kept: Value = json!(api.database.value("SELECT outcome FROM attempt").await);
    assert_eq!(kept, "failed");
}

#[actix_rt::test]
async fn letters_and_attempts_go_with_their_customer_also_those_of_an_endpoint_that_went_long_before() {
    let api = Api::new().await;
    let now = clock::wall_ms();
    let week = Retention { dead_letter_days: 30, attempt_days: 7, count_days: 30 };
    let mut endpoints = Vec::new();
    for (customer, uid) in [("gone", "early"), ("gone", "late"), ("stays", "other")] {
        if uid != "late" {
            api.customer(customer, all()).await;
        }
        let endpoint = api.endpoint(customer, uid).await;
        let (id, customer) = (endpoint["id"].as_str().expect("id").to_owned(), endpoint["customer_id"].clone());
        api.letters_of(customer.as_str().expect("a customer"), &id, &[b"{}", b"{}"]).await;
        written(&api, vec![record(&id, now, "failed")]).await;
        endpoints.push(id);
    }
    assert_eq!(api.call("DELETE", "/v1/endpoints/early", None).await.0, 204);
    for (hours, letters) in [(23, 6), (25, 4)] {
        let earlier = format!("UPDATE endpoint SET deleted_at = now() - interval '{hours} hours' WHERE uid = 'early'");
        api.database.execute(&earlier).await;
        maintenance::once(&api.pool, now, week).await.expect("maintenance");
        assert_eq!(api.database.count("dead_letter").await, letters, "its customer may still read them for a day");
    }
    assert_eq!(api.database.count("dead_letter_key").await, 4);
    assert_eq!(api.database.count("attempt").await, 3);
    assert_eq!(api.call("DELETE", "/v1/customers/gone", None).await.0, 204);
    maintenance::once(&api.pool, now, week).await.expect("maintenance");
    for table in ["dead_letter", "attempt"] {
        let left = api.database.value(&format!("SELECT string_agg(DISTINCT endpoint_id, ',') FROM {table}")).await;
        assert_eq!(left.as_ref(), endpoints.last(), "{table}");
    }
}
