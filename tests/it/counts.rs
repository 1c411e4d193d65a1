//! How many events endpoints took and how many attempts failed: by the minute, added up over instances, dropped by the day.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use jiff::Timestamp;
use postrider::{
    attempts::{
        count_writer::CountWriter,
        counts::{MinuteCount, Total, hours},
    },
    clock,
    store::{
        counts,
        maintenance::{self, Retention},
    },
};
use serde_json::{Value, json};

use crate::api::{Api, all};

/// An hour's beginning, and its first minute.
const HOUR_MS: i64 = 1_767_225_600_000;
const MINUTE: i64 = HOUR_MS / 60_000;

fn count(endpoint: &str, minute: i64, delivered: u64, failed: u64) -> MinuteCount {
    MinuteCount { endpoint_id: endpoint.into(), minute, delivered, failed }
}

async fn api() -> (Api, String) {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let id = api.endpoint("acme", "hook").await["id"].as_str().expect("id").to_owned();
    (api, id)
}

async fn read(api: &Api, path: &str) -> Value {
    let (status, mut answer) = api.call("GET", &format!("/v1/endpoints/hook/{path}"), None).await;
    assert_eq!(status, 200, "{answer}");
    answer["counts"].take()
}

#[actix_rt::test]
async fn what_two_instances_counted_is_added_up_by_the_minute_and_by_the_hour() {
    let (api, id) = api().await;
    let first = [count(&id, MINUTE, 5, 1), count(&id, MINUTE + 59, 7, 0), count(&id, MINUTE + 60, 2, 2)];
    let second = [count(&id, MINUTE, 10, 0), count("ep_other", MINUTE, 99, 99)];
    for counted in [&first[..], &second[..]] {
        counts::add(&api.pool, &hours(counted)).await.expect("written");
    }
    assert_eq!(api.database.count("delivery_count").await, 3, "a row is an hour of an endpoint");

    let path = "stats?per=minute&since=2026-01-01T00:00:00Z&until=2026-01-01T01:01:00Z";
    let minutes = read(&api, path).await;
    let points = minutes["data"].as_array().expect("points");
    assert_eq!((points.len(), &minutes["delivered"], &minutes["failed_attempts"]), (61, &json!(24), &json!(3)));
    let at = |n: usize| (points[n]["at"].clone(), points[n]["delivered"].clone(), points[n]["failed_attempts"].clone());
    assert_eq!(at(0), (json!("2026-01-01T00:00:00Z"), json!(15), json!(1)));
    assert_eq!(at(1), (json!("2026-01-01T00:01:00Z"), json!(0), json!(0)), "nothing is a point as well");
    assert_eq!((at(59).1, at(60).1), (json!(7), json!(2)));

    let path = "attempts?include=counts&per=hour&since=2026-01-01T00:00:00Z&until=2026-01-01T02:00:00Z";
    let by_hour = read(&api, path).await;
    let told: Vec<&Value> =
        by_hour["data"].as_array().expect("points").iter().map(|point| &point["delivered"]).collect();
    assert_eq!(told, [22, 2]);
    assert_eq!(read(&api, "attempts").await, Value::Null, "only who asks for counts gets them");
    api.refused("GET", "/v1/endpoints/hook/stats?per=day", None, 400, "invalid_query").await;
    api.refused("GET", "/v1/endpoints/hook/attempts?include=all", None, 400, "invalid_query").await;
}

#[actix_rt::test]
async fn each_minute_is_written_once_and_one_that_postgres_refuses_for_now_is_written_later() {
    let (api, id) = api().await;
    let delivered = Arc::new(AtomicU64::new(40));
    let (seen, endpoint) = (Arc::clone(&delivered), Arc::<str>::from(id.as_str()));
    let total = move || vec![Total { endpoint_id: Arc::clone(&endpoint), delivered: seen.load(Relaxed), failed: 3 }];
    let writer = CountWriter::new(api.pool.clone(), Box::new(total));
    let sum = "SELECT coalesce(sum((SELECT sum(m) FROM unnest(delivered) AS m)), 0) FROM delivery_count";
    writer.flush().await;
    writer.flush().await;
    assert_eq!(api.database.value(sum).await.as_deref(), Some("40"), "what was written is not written again");

    delivered.store(50, Relaxed);
    let away = api.database.connect().await;
    away.batch_execute("BEGIN; LOCK TABLE delivery_count").await.expect("locked");
    // Postgres gives the statement up.
    api.database
        .execute(&format!("ALTER ROLE CURRENT_USER IN DATABASE {} SET lock_timeout = '50ms'", name(&api).await))
        .await;
    let hurried = CountWriter::new(api.database.pool(), Box::new(move || vec![total_of("ep_2", 5)]));
    hurried.flush().await;
    away.batch_execute("COMMIT").await.expect("unlocked");
    assert_eq!(api.database.value(sum).await.as_deref(), Some("40"));
    hurried.flush().await;
    writer.flush().await;
    assert_eq!(api.database.value(sum).await.as_deref(), Some("55"));
}

fn total_of(endpoint: &str, delivered: u64) -> Total {
    Total { endpoint_id: endpoint.into(), delivered, failed: 0 }
}

async fn name(api: &Api) -> String {
    api.database.value("SELECT current_database()").await.expect("a name")
}

#[actix_rt::test]
async fn counts_past_their_retention_are_dropped_by_the_day() {
    let (api, id) = api().await;
    let (now, day) = (clock::wall_ms(), 86_400_000);
    let month = Retention { dead_letter_days: 30, attempt_days: 7, count_days: 30 };
    let minute = now / 60_000;
    counts::add(&api.pool, &hours(&[count(&id, minute, 1, 0)])).await.expect("written before there is a day for it");
    assert_eq!(api.database.count("delivery_count_default").await, 1);
    maintenance::once(&api.pool, now, month).await.expect("maintenance");
    assert_eq!(api.database.count("delivery_count_default").await, 0);
    counts::add(&api.pool, &hours(&[count(&id, minute, 1, 0)])).await.expect("added in its day");
    let since = Timestamp::from_millisecond(now - 3_600_000).expect("a time");
    assert_eq!(read(&api, &format!("stats?since={since}")).await["delivered"], 2);
    maintenance::once(&api.pool, now + 30 * day, month).await.expect("maintenance");
    assert_eq!(api.database.count("delivery_count").await, 1);
    maintenance::once(&api.pool, now + 31 * day, month).await.expect("maintenance");
    assert_eq!(api.database.count("delivery_count").await, 0);
}
