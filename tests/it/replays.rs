//! Parts of replays that wait for the owner of their partition.

use postrider::store::{
    Pool,
    replays::{self, NewReplay, NewShare, OpenLimits, ReplayCreation},
};

use crate::postgres::Database;

/// Asks for a replay of four partitions of `orders`.
async fn ask(pool: &Pool, id: &str, endpoint_id: &str) {
    let share = |partition| NewShare { partition, from: 0, end: 10, at_log_start: false };
    let replay = NewReplay {
        id: id.to_owned(),
        endpoint_id: endpoint_id.to_owned(),
        topic: "orders".to_owned(),
        times: None,
        of_gap: false,
        shares: (0..4).map(share).collect(),
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
