//! Pages of the backlog, found by their keys.

use postrider::store::{
    Pool, PoolOptions,
    backlog::HeadKey,
    backlog_ageing::{self, ScannedRows},
    backlog_read::{self, BACKLOG_PLANS, BacklogPage, PAGE},
};

use crate::postgres::Database;

const HEAD: HeadKey<'static> = HeadKey { topic: "orders", partition: 0, endpoint_id: "ep_1" };

/// Statistics say that the backlog is empty, and it holds a hundred thousand rows: what is planned then must not read more
/// than a page.
#[tokio::test]
async fn a_page_of_the_backlog_is_found_by_its_key_whatever_the_statistics_say() {
    let database = Database::new().await;
    let parts = (0..8).map(|part| format!("ALTER TABLE backlog_p{part} SET (autovacuum_enabled = false);"));
    database.execute(&parts.collect::<String>()).await;
    database.execute("ANALYZE").await;
    let rows = "INSERT INTO backlog (topic, partition, endpoint_id, \"offset\", record_ms, received_ms, not_before_ms, attempts,
            occurred_ms, record, bytes)
        SELECT 'orders', 0, 'ep_' || n % 3, n, n, n, 0, 0, n, '\\x00', 1 FROM generate_series(1, 100000) AS n";
    database.execute(rows).await;
    let pool = Pool::open(&PoolOptions { session: BACKLOG_PLANS, ..database.options() }).expect("options");
    let plan = pool
        .with(async |client| {
            let types = "text, int, text, bigint, bigint, bigint, bigint, bigint, bigint, bytea[], bool";
            client.batch_execute(&format!("PREPARE page ({types}) AS {PAGE}")).await?;
            let execute = "EXPLAIN (ANALYZE, COSTS off, TIMING off)
                EXECUTE page ('orders', 0, 'ep_1', 500, 0, 9000000000000, 9000000000000, 100, 1000000, '{}', false)";
            let lines = client.query(execute, &[]).await?;
            Ok(lines.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
        })
        .await
        .expect("a plan");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Sort Method"), "{plan}");
    let most = plan.split("rows=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(most.fold(0.0, f64::max) <= 101.0, "{plan}");
}

#[tokio::test]
async fn a_page_of_the_backlog_leaves_out_the_keys_it_is_told_to() {
    let database = Database::new().await;
    let rows = "INSERT INTO backlog (topic, partition, endpoint_id, \"offset\", record_ms, received_ms, not_before_ms, attempts,
            occurred_ms, record, key_bytes, bytes)
        SELECT 'orders', 0, 'ep_1', n, n, n, 0, 0, n, convert_to(coalesce(key, '') || 'value', 'UTF8'), length(key), 1
        FROM unnest(ARRAY['a', 'ab', NULL, 'b', 'a', '']) WITH ORDINALITY AS k (key, n)";
    database.execute(rows).await;
    let pool = database.pool();
    let offsets = async |without_keys: &[&[u8]], with_key: bool| {
        let page = BacklogPage {
            after: (i64::MIN, i64::MIN),
            due_ms: i64::MAX,
            received_before_ms: i64::MAX,
            rows_max: 10,
            bytes_max: 1_000,
            without_keys,
            with_key,
        };
        let rows = backlog_read::page(&pool, HEAD, page).await.expect("a page");
        rows.iter().map(|row| row.offset).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&[], false).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(offsets(&[b"a", b"b"], false).await, [2, 3, 6], "a key is not the beginning of another one");
    assert_eq!(offsets(&[b""], true).await, [1, 2, 4, 5], "an empty key is one, and none is not");
}

#[tokio::test]
async fn the_oldest_row_of_a_backlog_is_found_in_bounded_steps() {
    let database = Database::new().await;
    let rows = "INSERT INTO backlog (topic, partition, endpoint_id, \"offset\", record_ms, received_ms, not_before_ms, attempts,
            occurred_ms, record, bytes)
        SELECT 'orders', 0, 'ep_1', n, 7, age, 0, 0, 0, 'v', 1
        FROM unnest(ARRAY[500, 300, 400, 900, 800]) WITH ORDINALITY AS r (age, n)";
    database.execute(rows).await;
    let head = "INSERT INTO backlog_head (topic, partition, endpoint_id, events, bytes, oldest_ms)
        VALUES ('orders', 0, 'ep_1', 5, 5, 100)";
    database.execute(head).await;
    let pool = database.pool();
    let scan = async |after| backlog_ageing::scan(&pool, HEAD, after, 2).await.expect("a step");
    let first = scan((i64::MIN, i64::MIN)).await;
    assert_eq!(first, ScannedRows { rows: 2, oldest_ms: Some(300), last: Some((2, 7)) });
    assert_eq!(scan((4, 7)).await, ScannedRows { rows: 1, oldest_ms: Some(800), last: Some((5, 7)) });
    assert_eq!(scan((5, 7)).await, ScannedRows { rows: 0, oldest_ms: None, last: None });

    let set = async |oldest_ms, before_ms| {
        let head = backlog_ageing::set_oldest(&pool, HEAD, oldest_ms, before_ms).await.expect("written");
        head.map(|head| head.oldest_ms)
    };
    assert_eq!(set(300, 200).await, Some(300));
    assert_eq!(set(400, 200).await, None, "whoever looked again has found a younger one already");
}
