//! Dead letters: waited for, filtered, acknowledged and redriven by filter.

use std::time::Duration;

use awc::http::StatusCode;
use postrider::model::id::{self, ResourceKind};
use serde_json::{Value, json};

use crate::api::{Api, all};

const LETTERS: &str = "/v1/endpoints/hook/dead-letters";

async fn api() -> (Api, String) {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let id = api.endpoint("acme", "hook").await["id"].as_str().expect("id").to_owned();
    (api, id)
}

async fn count(api: &Api, query: &str) -> usize {
    let (status, page) = api.call("GET", &format!("{LETTERS}{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    page["data"].as_array().expect("data").len()
}

#[actix_rt::test]
async fn who_waits_for_a_letter_is_answered_when_there_is_one() {
    let (api, endpoint) = api().await;
    // Somebody else's letter wakes nobody up for long.
    let coming = async {
        api.letters("ep_other", &[b"{}"]).await;
        api.letters(&endpoint, &[b"{}", b"{}"]).await;
    };
    let path = format!("{LETTERS}?wait=30s");
    let answered = tokio::time::timeout(Duration::from_secs(25), api.call("GET", &path, None));
    let (answered, ()) = tokio::join!(answered, coming);
    let (status, page) = answered.expect("before the wait is over");
    assert_eq!((status, page["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{page}");

    // What is there is answered at once, and what was seen is not waited for again.
    let last = page["data"][1]["id"].as_str().expect("id");
    let (_, first) = api.call("GET", &format!("{LETTERS}?limit=1&wait=30s"), None).await;
    let cursor = first["next_cursor"].as_str().expect("another page");
    let (_, next) = api.call("GET", &format!("{LETTERS}?cursor={cursor}&wait=30s"), None).await;
    assert_eq!(next["data"][0]["id"].as_str(), Some(last));
}

#[actix_rt::test]
async fn a_wait_in_vain_ends_with_an_empty_page_and_costs_no_letter() {
    let (api, endpoint) = api().await;
    api.letters(&endpoint, &[b"{}"]).await;
    // There is one, but not of this reason: it is seen once and waited past.
    assert_eq!(count(&api, "?reason=rejected&wait=1s").await, 0);
    assert_eq!(count(&api, "?reason=exhausted&wait=30s").await, 1);
    let (status, problem) = api.call("GET", &format!("{LETTERS}?wait=20"), None).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_query")));
}

/// A page's letters by their offsets, and where to resume.
async fn follow(api: &Api, resume: Option<&str>) -> (Vec<i64>, Option<String>) {
    let query = resume.map_or(String::new(), |cursor| format!("?cursor={cursor}"));
    let (status, page) = api.call("GET", &format!("{LETTERS}{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    let offsets =
        page["data"].as_array().expect("data").iter().map(|letter| letter["offset"].as_i64().expect("offset"));
    (offsets.collect(), page["resume_cursor"].as_str().map(ToOwned::to_owned))
}

/// All letters, and the cursor that goes past them: whatever else runs on this server holds it up for a moment.
async fn passed(api: &Api) -> (Vec<i64>, String) {
    let all_passed = async {
        loop {
            let (shown, resume) = follow(api, None).await;
            if let Some(resume) = resume
                && follow(api, Some(&resume)).await.0.is_empty()
            {
                return (shown, resume);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_passed).await.expect("no transaction lasts as long")
}

/// A letter with the offset 7 in a transaction that is still open.
async fn uncommitted_letter(api: &Api, endpoint: &str) -> tokio_postgres::Client {
    let late = api.database.connect().await;
    let id = id::new(ResourceKind::DeadLetter, postrider::clock::wall_ms() - 60_000, [0; 10]);
    late.batch_execute("BEGIN").await.expect("a transaction");
    late.batch_execute(&format!(
        "INSERT INTO dead_letter (id, key, endpoint_id, customer_id, topic, partition, \"offset\", record_ms, occurred_ms,
            record_headers, reason, attempts, received_at, created_at)
         VALUES ('{id}', 'k', '{endpoint}', 'cus_1', 'orders', 0, 7, 0, 0, '', 'exhausted', 1, now(), now())"
    ))
    .await
    .expect("a letter");
    late
}

#[actix_rt::test]
async fn a_letter_that_is_committed_after_a_later_one_is_not_missed_by_who_follows() {
    let (api, endpoint) = api().await;
    let late = uncommitted_letter(&api, &endpoint).await;
    api.letters(&endpoint, &[b"{}"]).await;
    // It is shown, and not passed: the other one was written before it.
    assert_eq!(follow(&api, None).await, (vec![0], None));
    late.batch_execute("COMMIT").await.expect("committed");
    let (shown, resume) = passed(&api).await;
    assert_eq!(shown, [7, 0], "in the order in which they were written");
    api.letters(&endpoint, &[b"{}", b"{}"]).await;
    assert_eq!(follow(&api, Some(&resume)).await.0, [1], "of an event that was given up twice there is one letter");
}

#[actix_rt::test]
async fn a_letter_that_is_committed_between_two_pages_is_not_missed_by_who_follows() {
    let (api, endpoint) = api().await;
    let late = uncommitted_letter(&api, &endpoint).await;
    api.letters(&endpoint, &[b"{}", b"{}", b"{}"]).await;
    let (_, first) = api.call("GET", &format!("{LETTERS}?limit=2"), None).await;
    assert_eq!((first["data"].as_array().map(Vec::len), &first["resume_cursor"]), (Some(2), &Value::Null), "{first}");
    late.batch_execute("COMMIT").await.expect("committed");
    passed(&api).await;
    let (shown, resume) = follow(&api, first["next_cursor"].as_str()).await;
    assert_eq!(shown, [2], "the last page, settled by now");
    assert_eq!(follow(&api, resume.as_deref()).await.0, [7, 0, 1, 2], "the late one lies before the first page");
}

#[actix_rt::test]
async fn a_letter_that_is_given_up_once_more_comes_again_to_who_follows() {
    let (api, endpoint) = api().await;
    api.letters(&endpoint, &[b"{}", b"{}"]).await;
    let (_, resume) = passed(&api).await;
    api.database.execute("UPDATE dead_letter SET state = 'redriving' WHERE \"offset\" = 0").await;
    api.letters(&endpoint, &[b"{}"]).await;
    assert_eq!(api.database.count("dead_letter WHERE state = 'redriving'").await, 0);
    assert_eq!(follow(&api, Some(&resume)).await.0, [0]);
}

#[actix_rt::test]
async fn letters_are_listed_acknowledged_and_redriven_by_filter() {
    let (api, endpoint) = api().await;
    api.letters(&endpoint, &[b"1", b"2", b"3"]).await;
    api.database
        .execute(
            "UPDATE dead_letter SET tenant = '7' WHERE \"offset\" = 0;
             UPDATE dead_letter SET topic = 'bills' WHERE \"offset\" = 1;
             UPDATE dead_letter SET reason = 'rejected' WHERE \"offset\" = 2;",
        )
        .await;
    let queries = [("?tenant=7", 1), ("?topic=bills", 1), ("?reason=rejected", 1), ("?topic=orders&tenant=7", 1)];
    for (query, expected) in [("", 3), ("?topic=bills&tenant=7", 0)].into_iter().chain(queries) {
        assert_eq!(count(&api, query).await, expected, "{query}");
    }
    assert_eq!(count(&api, "?since=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count(&api, "?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z").await, 3);

    let of = |filter: Value| Some(json!({ "filter": filter }));
    let (status, done) = api.call("POST", &format!("{LETTERS}/redrive"), of(json!({"topic": "bills"}))).await;
    assert_eq!((status.as_u16(), &done["redriving"]), (202, &json!(1)));
    assert_eq!(api.database.count("dead_letter WHERE state = 'redriving' AND topic = 'bills'").await, 1);
    let until = json!({"until": "2020-01-01T00:00:00Z"});
    assert_eq!(api.call("POST", &format!("{LETTERS}/ack"), of(until)).await.1["acknowledged"], 0);
    let (_, done) =
        api.call("POST", &format!("{LETTERS}/ack"), of(json!({"tenant": "7", "reason": "exhausted"}))).await;
    assert_eq!((&done["acknowledged"], &done["more"]), (&json!(1), &json!(false)));
    assert_eq!(count(&api, "").await, 2);
    let (_, done) = api.call("POST", &format!("{LETTERS}/ack"), Some(json!({"all": true}))).await;
    assert_eq!((&done["acknowledged"], api.database.count("dead_letter_key").await), (&json!(2), 0));
    api.refused("POST", &format!("{LETTERS}/ack"), of(json!({})), 422, "validation_failed").await;
}

/// `count` letters in one transaction; from the number `last` on their tenant is `last`.
async fn many_letters(api: &Api, endpoint: &str, count: i64, last: i64) {
    api.database
        .execute(&format!(
            "INSERT INTO dead_letter (id, key, endpoint_id, customer_id, topic, partition, \"offset\", record_ms, occurred_ms,
                tenant, record_headers, reason, attempts, received_at, created_at)
             SELECT 'dl_' || lpad(n::text, 26, '0'), 'k', '{endpoint}', 'cus_1', 'orders', 0, n, 0, 0,
                CASE WHEN n >= {last} THEN 'last' ELSE 'other' END, '', 'exhausted', 1, now(), now()
             FROM generate_series(1, {count}) AS n"
        ))
        .await;
}

/// A first page in which none of so many letters is found: asked for until they are settled, because no older
/// transaction runs.
async fn nothing_found(api: &Api) -> Value {
    let nothing = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let nothing = api.call("GET", &format!("{LETTERS}?tenant=nosuch"), None).await.1;
            if !nothing["resume_cursor"].is_null() {
                return nothing;
            }
        }
    });
    nothing.await.expect("it goes on from where it stopped")
}

#[actix_rt::test]
async fn a_filter_passes_no_letter_that_it_has_not_tried_when_others_are_removed_meanwhile() {
    let (api, endpoint) = api().await;
    many_letters(&api, &endpoint, 26_000, 20_500).await;
    nothing_found(&api).await;
    let (first, second) = (api.database.connect().await, api.database.connect().await);
    let lock = "BEGIN; LOCK TABLE dead_letter IN ACCESS EXCLUSIVE MODE";
    let waiting = async |count| {
        let waiting = "pg_locks WHERE NOT granted AND relation = 'dead_letter'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while api.database.count(waiting).await < count {}
    };
    first.batch_execute(lock).await.expect("locked");
    let path = format!("{LETTERS}?tenant=nosuch");
    let asked = api.call("GET", &path, None);
    // Behind the first statement of the list, and before the next one, should it be another transaction.
    let removed = async {
        waiting(1).await;
        let remove = format!("{lock}; DELETE FROM dead_letter WHERE \"offset\" <= 5000; COMMIT");
        let let_go = async {
            waiting(2).await;
            first.batch_execute("COMMIT").await
        };
        let (removed, let_go) = tokio::join!(second.batch_execute(&remove), let_go);
        removed.and(let_go).expect("locked and removed");
    };
    let ((_, page), ()) = tokio::join!(asked, removed);
    let cursor = page["next_cursor"].as_str().expect("there are more than one statement tries");
    let (_, page) = api.call("GET", &format!("{LETTERS}?tenant=last&limit=1&cursor={cursor}"), None).await;
    assert_eq!(page["data"][0]["offset"], 20_500, "the first one that was not tried");
}

#[actix_rt::test]
async fn a_filter_reads_on_past_more_letters_than_one_statement_tries_though_they_are_not_settled() {
    let (api, endpoint) = api().await;
    let late = uncommitted_letter(&api, &endpoint).await;
    many_letters(&api, &endpoint, 21_000, 20_500).await;
    let (_, page) = api.call("GET", &format!("{LETTERS}?tenant=last"), None).await;
    assert_eq!((&page["data"], &page["resume_cursor"]), (&json!([]), &Value::Null));
    let cursor = page["next_cursor"].as_str().expect("there are more than one statement tries");
    late.batch_execute("COMMIT").await.expect("committed");
    let (_, page) = api.call("GET", &format!("{LETTERS}?tenant=last&limit=1&cursor={cursor}"), None).await;
    assert_eq!((&page["data"][0]["offset"], &page["resume_cursor"]), (&json!(20_500), &Value::Null));
}

#[actix_rt::test]
async fn a_filter_that_matches_nothing_looks_at_a_bounded_number_of_letters_at_once() {
    let (api, endpoint) = api().await;
    many_letters(&api, &endpoint, 21_000, 20_501).await;
    let page = async |query: &str| api.call("GET", &format!("{LETTERS}?{query}"), None).await.1;
    let nothing = nothing_found(&api).await;
    assert_eq!(nothing["data"], json!([]));
    let cursor = nothing["next_cursor"].as_str().expect("a cursor");
    assert_eq!(page(&format!("tenant=nosuch&cursor={cursor}")).await["next_cursor"], Value::Null);
    let found = page(&format!("tenant=last&limit=100&cursor={cursor}")).await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(100), "whoever goes on finds what is further back");
    let filtered = async |command: &str, tenant: &str| {
        let filter = json!({"filter": {"tenant": tenant}});
        api.call("POST", &format!("{LETTERS}/{command}"), Some(filter)).await.1
    };
    assert_eq!(filtered("redrive", "nosuch").await["redriving"], 0);
    assert_eq!(filtered("redrive", "last").await["redriving"], 500, "behind all that one statement tries");
    let done = filtered("ack", "last").await;
    assert_eq!((&done["acknowledged"], &done["more"]), (&json!(500), &json!(false)));
    assert_eq!(filtered("ack", "other").await["acknowledged"], 20_500, "of several pages");
}
