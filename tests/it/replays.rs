//! Replays as they are stored and listed, and their parts that wait for the owner of their partition.

use postrider::store::{
    Pool,
    list_row::RowOwner,
    maintenance::{self, Retention},
    replays::{self, LIST_OF_CUSTOMER, NewReplay, NewShare, OpenLimits, ReplayCreation},
};

use crate::postgres::Database;

/// Asks for a replay of four partitions of `orders`.
async fn ask(pool: &Pool, id: &str, endpoint_id: &str) {
    ask_for(pool, id, endpoint_id, &[10; 4]).await;
}

/// Asks for a replay of the first records of each partition.
async fn ask_for(pool: &Pool, id: &str, endpoint_id: &str, ends: &[i64]) {
    let share = |(partition, end): (i32, &i64)| NewShare { partition, from: 0, end: *end, at_log_start: false };
    let replay = NewReplay {
        id: id.to_owned(),
        endpoint_id: endpoint_id.to_owned(),
        topic: "orders".to_owned(),
        times: None,
        of_gap: false,
        shares: (0..).zip(ends).map(share).collect(),
    };
    let created = replays::create(pool, &replay, 100, |_| true).await;
    assert_eq!(created, Ok(ReplayCreation::Created));
}

/// The parts of two partitions that are seen.
async fn seen(pool: &Pool, endpoint_max: usize, all_max: usize) -> Vec<(String, i32)> {
    let limits = OpenLimits { endpoint_max, all_max };
    let open = replays::open(pool, &["orders", "orders"], &[1, 2], limits).await.expect("postgres answers");
    open.into_iter().map(|open| (open.share.replay_id, open.share.partition)).collect()
}

#[tokio::test]
async fn partitions_without_anything_in_the_range_leave_no_row() {
    let database = Database::new().await;
    let pool = database.pool();
    ask_for(&pool, "rep_1", "ep_1", &[0, 10, 0]).await;
    ask_for(&pool, "rep_2", "ep_1", &[0, 0, 0]).await;
    let partitions = async |id| {
        let replay = replays::read(&pool, id, None).await.expect("postgres answers").expect("a replay");
        replay.shares.iter().map(|share| (share.partition, share.open)).collect::<Vec<_>>()
    };
    assert_eq!((partitions("rep_1").await, partitions("rep_2").await), (vec![(1, true)], vec![]));

    // One of nothing goes after a day.
    database.execute("UPDATE replay SET created_at = now() - interval '25 hours'").await;
    let retention = Retention { dead_letter_days: 30, attempt_days: 30, count_days: 30 };
    maintenance::once(&pool, postrider::clock::wall_ms(), retention).await.expect("maintenance");
    let kept = replays::list(&pool, &RowOwner::Endpoint("ep_1".to_owned()), "", 10).await.expect("postgres answers");
    assert_eq!(kept.iter().map(|replay| replay.id.as_str()).collect::<Vec<_>>(), ["rep_1"]);
}

#[tokio::test]
async fn a_customers_replays_are_found_without_a_walk_over_those_of_others() {
    let database = Database::new().await;
    let customer =
        |id: &str| format!("INSERT INTO customer (id, name, grants, version) VALUES ('{id}', '{id}', '{{}}', 1);");
    let endpoint = |id: &str, customer: &str| {
        format!(
            "INSERT INTO endpoint (id, customer_id, state, url, settings, secrets, version)
             VALUES ('{id}', '{customer}', 'enabled', 'https://example.com/', '{{}}', '', 1);"
        )
    };
    let endpoints = [endpoint("ep_greedy", "cus_1"), endpoint("ep_a", "cus_2"), endpoint("ep_b", "cus_2")];
    database.execute(&[customer("cus_1"), customer("cus_2"), endpoints.concat()].concat()).await;
    database
        .execute(
            "INSERT INTO replay (id, endpoint_id, topic)
             SELECT 'rep_' || lpad(n::text, 6, '0'), CASE n % 20000 WHEN 0 THEN 'ep_a' WHEN 1 THEN 'ep_b' ELSE 'ep_greedy' END, 'orders'
             FROM generate_series(2, 60000) AS n; ANALYZE replay",
        )
        .await;
    let pool = database.pool();
    let of_customer = RowOwner::Customer("cus_2".to_owned());
    let page = replays::list(&pool, &of_customer, "rep_020000", 3).await.expect("postgres answers");
    let ids: Vec<_> = page.iter().map(|replay| replay.id.as_str()).collect();
    assert_eq!(ids, ["rep_020001", "rep_040000", "rep_040001"], "of all its endpoints in their order");
    let plan = pool
        .with(async |client| {
            client.batch_execute(&format!("PREPARE page (text, bigint, text) AS {LIST_OF_CUSTOMER}")).await?;
            let execute = "EXPLAIN (ANALYZE, COSTS off, TIMING off) EXECUTE page ('', 100, 'cus_2')";
            let lines = client.query(execute, &[]).await?;
            Ok(lines.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
        })
        .await
        .expect("a plan");
    let numbers = ["rows=", "Removed by Filter: "].into_iter().flat_map(|before| plan.split(before).skip(1));
    let most = numbers.filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    assert!(most.fold(0.0, f64::max) <= 101.0, "{plan}");
}

#[tokio::test]
async fn an_endpoint_with_many_replays_hides_those_of_no_other() {
    let database = Database::new().await;
    let pool = database.pool();
    for n in 0..20 {
        ask(&pool, &format!("rep_{n:02}"), "ep_paused").await;
    }
    ask(&pool, "rep_last", "ep_other").await;
    let part = |id: &str, partition| (id.to_owned(), partition);
    let oldest = [part("rep_00", 1), part("rep_00", 2), part("rep_01", 1)];
    let other = [part("rep_last", 1), part("rep_last", 2)];
    assert_eq!(seen(&pool, 3, 100).await, [&oldest[..], &other].concat(), "in the order of their age");
    assert_eq!(seen(&pool, 100, 4).await, [&oldest[..2], &other].concat(), "as many of each");
    assert_eq!(seen(&pool, 100, 100).await.len(), 42, "all of the partitions that were asked for");
}
