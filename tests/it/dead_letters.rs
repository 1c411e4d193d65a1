//! Dead letters: written before their receipts settle, once, in the endpoint's order; dropped after their retention.

use std::{sync::Arc, time::Duration};

use postrider::{
    dead_letter::{
        letter::{Letter, LetterKey},
        writer::{DeadLetterWriter, DeadLetterWriterOptions},
    },
    model::{disposition::Reason, receipt::Settlement},
    store::{
        Pool, PoolOptions, StoreError,
        dead_letter_read::{DeadLetterSelection, LetterOwner, acknowledge},
        dead_letters::remove,
        maintenance::{self, Retention},
    },
};
use tokio::runtime::Handle;

use crate::{
    partition::{event, given_up},
    postgres::Database,
};
use postrider_core::testing::TestSource;

fn options() -> DeadLetterWriterOptions {
    DeadLetterWriterOptions { batch_rows_max: 500, batch_wait: Duration::from_millis(5), queue_bytes_max: 10_000 }
}

fn writer(database: &Database) -> DeadLetterWriter {
    DeadLetterWriter::start(database.pool(), options(), &Handle::current())
}

fn letter(partition: &Arc<TestSource>, offset: i64, endpoint: &str) -> Letter {
    Letter {
        endpoint_id: Arc::from(endpoint),
        customer_id: Arc::from("cus_1"),
        given_up: given_up(&event(partition, offset, b"{}"), Reason::Exhausted),
    }
}

const MONTH: Retention = Retention { dead_letter_days: 30, attempt_days: 7, count_days: 30 };

#[tokio::test]
async fn a_letter_settles_once_it_is_stored() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit((0..1_234).map(|offset| letter(&partition, offset, "ep_1")));
    writer.flushed().await;
    assert_eq!(database.count("dead_letter").await, 1_234);
    assert_eq!(partition.count(Settlement::DeadLettered), 1_234);
    assert_eq!(writer.queued_bytes(), 0);
    let order = "SELECT bool_and(o = n) FROM
        (SELECT \"offset\" AS o, row_number() OVER (ORDER BY id) - 1 AS n FROM dead_letter) AS rows";
    assert_eq!(database.value(order).await.as_deref(), Some("t"), "the ids sort as the events were given up");
}

#[tokio::test]
async fn the_same_event_for_the_same_endpoint_is_stored_once_even_on_another_day() {
    let database = Database::new().await;
    maintenance::once(&database.pool(), postrider::clock::wall_ms(), MONTH).await.expect("maintenance");
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit([letter(&partition, 7, "ep_1"), letter(&partition, 7, "ep_1"), letter(&partition, 7, "ep_2")]);
    writer.flushed().await;
    // Long ago, as far as the tables can tell.
    database
        .execute(
            "UPDATE dead_letter_key SET id = 'dl_0' WHERE id = (SELECT id FROM dead_letter WHERE endpoint_id = 'ep_1');
             UPDATE dead_letter SET id = 'dl_0' WHERE endpoint_id = 'ep_1'",
        )
        .await;
    writer.submit([letter(&partition, 7, "ep_1")]);
    writer.flushed().await;
    assert_eq!(database.count("dead_letter").await, 2);
    assert_eq!(partition.count(Settlement::DeadLettered), 4, "a second insert settles as the first");
}

#[tokio::test]
async fn nothing_settles_while_postgres_refuses_and_all_does_when_it_is_back() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    database.execute("ALTER TABLE dead_letter_key RENAME TO away").await;
    writer.submit((0..40).map(|offset| letter(&partition, offset, "ep_1")));
    assert!(tokio::time::timeout(Duration::from_millis(300), writer.flushed()).await.is_err());
    assert_eq!(partition.count(Settlement::DeadLettered), 0);
    assert!(writer.is_beyond_share(&Arc::from("cus_1")), "{} bytes wait", writer.queued_bytes());
    database.execute("ALTER TABLE away RENAME TO dead_letter_key").await;
    writer.flushed().await;
    assert_eq!(partition.count(Settlement::DeadLettered), 40);
    assert_eq!(partition.abandoned.lock().len(), 0);
    assert!(!writer.is_beyond_share(&Arc::from("cus_1")));
}

#[tokio::test]
async fn letters_of_one_customer_or_of_one_partitions_records_leave_room_for_the_others() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    database.execute("ALTER TABLE dead_letter_key RENAME TO away").await;
    let (greedy, modest) = (Arc::from("cus_1"), Arc::from("cus_2"));
    writer.submit((0..100).map(|offset| letter(&partition, offset, "ep_1")));
    assert!(writer.queued_bytes() > options().queue_bytes_max);
    assert!(writer.is_beyond_share(&greedy) && !writer.is_beyond_share(&modest));
    assert!(!writer.is_full() && !writer.holds_up("orders", 0), "nobody else waits for it");
    let room = tokio::time::timeout(Duration::from_millis(100), writer.room(&greedy)).await;
    assert!(room.is_err(), "there is none");
    writer.room(&modest).await;

    let of_record = |offset| Letter::of_record(given_up(&event(&partition, offset, b"{}"), Reason::Undecodable));
    writer.submit((100..200).map(of_record));
    assert!(writer.holds_up("orders", 0), "the operator has a share as well");
    assert!(!writer.holds_up("orders", 1) && !writer.holds_up("others", 0) && !writer.is_full());

    let of = |number: i64| Letter {
        customer_id: format!("cus_{number}").into(),
        ..letter(&partition, 1_000 + number, "ep_2")
    };
    writer.submit((10..20).map(of));
    assert!(!writer.is_full(), "a few letters that find no room are not yet a reason");
    writer.submit((20..90).map(of));
    assert!(writer.is_full());

    database.execute("ALTER TABLE away RENAME TO dead_letter_key").await;
    writer.room(&greedy).await;
    writer.flushed().await;
    assert!(!writer.is_full() && !writer.is_beyond_share(&greedy) && !writer.holds_up("orders", 0));
    assert_eq!((partition.count(Settlement::DeadLettered), writer.queued_bytes()), (280, 0));
}

#[tokio::test]
async fn one_letter_that_cannot_be_stored_costs_only_its_own_data() {
    let database = Database::new().await;
    database.execute("ALTER TABLE dead_letter ADD CHECK (record_value <> 'poison')").await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    let poison = Letter {
        given_up: given_up(&event(&partition, 13, b"poison"), Reason::Rejected),
        ..letter(&partition, 13, "ep_1")
    };
    let before = partition.abandoned.lock().len();
    writer.submit((0..13).map(|offset| letter(&partition, offset, "ep_1")));
    writer.submit([poison]);
    writer.submit((14..40).map(|offset| letter(&partition, offset, "ep_1")));
    writer.flushed().await;
    assert_eq!(database.count("dead_letter").await, 40);
    assert_eq!(database.count("dead_letter WHERE record_value IS NULL").await, 1);
    let excerpt = database.value("SELECT excerpt FROM dead_letter WHERE \"offset\" = 13").await;
    assert!(excerpt.is_some_and(|excerpt| excerpt.contains("could not be stored")));
    assert_eq!(partition.count(Settlement::DeadLettered), 40);
    assert_eq!(partition.abandoned.lock().len(), before);
}

#[tokio::test]
async fn a_letter_that_was_delivered_after_all_is_taken_out_after_its_insert() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit((0..10).map(|offset| letter(&partition, offset, "ep_1")));
    let delivered = LetterKey::of(&event(&partition, 4, b"{}"), "ep_1");
    writer.remove("ep_1", vec![delivered], None);
    writer.submit([letter(&partition, 10, "ep_1")]);
    writer.flushed().await;
    assert_eq!(database.count("dead_letter").await, 10);
    assert_eq!(database.count("dead_letter_key").await, 10);
    assert_eq!(database.count("dead_letter WHERE \"offset\" = 4").await, 0);
}

#[tokio::test]
async fn a_redrive_goes_on_although_the_insert_of_its_letter_is_tried_again() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    let redrive = async |offset: i64| {
        let asked = format!("UPDATE dead_letter SET state = 'redriving' WHERE \"offset\" = {offset}");
        database.execute(&asked).await;
    };
    writer.submit([letter(&partition, 1, "ep_1")]);
    writer.flushed().await;
    redrive(1).await;
    // The first is given up again, which the server cannot store for now; the second is new, and stored by the first try.
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
             CREATE TRIGGER full_disk BEFORE UPDATE ON dead_letter FOR EACH ROW WHEN (NEW.state = 'dead')
                 EXECUTE FUNCTION refuse()",
        )
        .await;
    writer.submit([letter(&partition, 1, "ep_1"), letter(&partition, 2, "ep_1")]);
    while database.count("dead_letter").await < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    redrive(2).await;
    database.execute("DROP TRIGGER full_disk ON dead_letter").await;
    writer.flushed().await;
    assert_eq!(database.count("dead_letter WHERE \"offset\" = 1 AND state = 'dead'").await, 1);
    assert_eq!(database.count("dead_letter WHERE \"offset\" = 2 AND state = 'redriving'").await, 1);
}

#[tokio::test]
async fn a_day_past_its_retention_is_dropped_with_its_keys() {
    let database = Database::new().await;
    let pool = database.pool();
    let today = postrider::clock::wall_ms();
    maintenance::once(&pool, today, MONTH).await.expect("maintenance");
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit((0..10).map(|offset| letter(&partition, offset, "ep_1")));
    writer.flushed().await;
    assert_eq!(database.count("dead_letter_default").await, 0, "each day has its partition");
    let day = 86_400_000;
    maintenance::once(&pool, today + 30 * day, MONTH).await.expect("maintenance");
    assert_eq!(database.count("dead_letter").await, 10);
    maintenance::once(&pool, today + 31 * day, MONTH).await.expect("maintenance");
    assert_eq!((database.count("dead_letter").await, database.count("dead_letter_key").await), (0, 0));
}

#[tokio::test]
async fn a_day_that_cannot_be_dropped_leaves_its_connection_usable() {
    let database = Database::new().await;
    let pool = Pool::open(&PoolOptions { connections_max: 1, ..database.options() }).expect("a pool");
    let today = postrider::clock::wall_ms();
    maintenance::once(&pool, today, MONTH).await.expect("maintenance");
    let day = database
        .value("SELECT max(c.relname) FROM pg_class c WHERE c.relname LIKE 'dead_letter_d2%' AND c.relkind = 'r'");
    let day = day.await.expect("a day's table");
    database.execute(&format!("CREATE VIEW of_an_operator AS SELECT id FROM {day}")).await;
    let kept = maintenance::once(&pool, today + 60 * 86_400_000, MONTH).await;
    assert!(matches!(kept, Err(StoreError::Refused { .. })), "{kept:?}");
    let next = pool.with(async |client| Ok(client.execute("DELETE FROM instance", &[]).await?)).await;
    assert_eq!(next, Ok(0));
}

#[tokio::test]
async fn letters_without_a_partition_move_to_their_day_when_it_comes() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit((0..10).map(|offset| letter(&partition, offset, "ep_1")));
    writer.flushed().await;
    assert_eq!(database.count("dead_letter_default").await, 10);
    let pool = database.pool();
    let now = postrider::clock::wall_ms();
    let (first, second) = tokio::join!(maintenance::once(&pool, now, MONTH), maintenance::once(&pool, now, MONTH));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!((database.count("dead_letter").await, database.count("dead_letter_default").await), (10, 0));
}

#[tokio::test]
async fn a_letter_that_is_acknowledged_while_it_is_delivered_is_locked_in_one_order() {
    let database = Database::new().await;
    let (writer, partition) = (writer(&database), TestSource::of_partition("orders", 0));
    writer.submit([letter(&partition, 1, "ep_1")]);
    writer.flushed().await;
    let key = LetterKey::of(&event(&partition, 1, b"{}"), "ep_1").0;
    let id = database.value("SELECT id FROM dead_letter").await.expect("a letter");
    let (pool, selection) = (database.pool(), DeadLetterSelection::Ids(vec![id]));
    let mut other = database.connect().await;
    let holder = other.transaction().await.expect("a transaction");
    holder.execute("SELECT FROM dead_letter FOR UPDATE", &[]).await.expect("a lock");
    let keys = [key];
    let (removed, acknowledged, ()) =
        tokio::join!(remove(&pool, &keys), acknowledge(&pool, LetterOwner::all_of("ep_1"), &selection), async {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while database.value(waiting).await.as_deref() != Some("2") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // Neither holds the key while it waits for the letter.
            holder.execute("SELECT FROM dead_letter_key FOR UPDATE NOWAIT", &[]).await.expect("free");
            holder.commit().await.expect("committed");
        });
    assert_eq!(removed, Ok(()));
    assert!(acknowledged.is_ok(), "{acknowledged:?}");
    assert_eq!((database.count("dead_letter").await, database.count("dead_letter_key").await), (0, 0));
}
