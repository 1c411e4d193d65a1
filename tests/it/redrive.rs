//! Dead letters again: by the owner of their partition, each once at a time, until they are delivered.

mod bench; // a redrive whose letters are sent to the test

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use postrider::{
    api::dead_letter_view::RedriveProgress,
    backlog::page_read::EndpointReadiness,
    clock,
    dead_letter::letter::Letter,
    model::{
        disposition::{GivenUp, Parked, Reason},
        event::{Event, Field, Fields},
        parking::Parking,
        receipt::{Receipt, Settlement},
    },
    redrive::RedriveOptions,
    store::dead_letter_read::{DeadLetterFilter, DeadLetterPosition, DeadLetterQuery, list},
};
use postrider_core::testing::TestSource;

use self::bench::Bench;
use crate::partition::{event, given_up};

fn options() -> RedriveOptions {
    RedriveOptions {
        poll: Duration::from_millis(20),
        in_flight_max: 1_000,
        bytes_max: 1_000_000,
        endpoint_in_flight_max: 500,
        page_rows: 1_000,
        age_max: Duration::from_secs(3600),
    }
}

fn parked(receipt: Receipt, attempts: u32, not_before: Option<Instant>) -> Parked {
    let parking = Parking::begin(&receipt.event().source, &Arc::from("ep_1"), None);
    Parked { receipt, attempts, last: None, in_flight_until: None, not_before, parking }
}

#[tokio::test]
async fn a_delivered_letter_is_gone_and_was_the_same_event() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    let receipt = bench.next().await;
    let again = receipt.event();
    let first = event(&TestSource::of_partition("orders", 3), 0, b"{}");
    assert_eq!((again.topic(), again.partition(), &again.record), (first.topic(), first.partition(), &first.record));
    assert_eq!((again.kind(), again.occurred_ms), (first.kind(), first.occurred_ms));
    receipt.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
    assert_eq!(bench.database.count("dead_letter_key").await, 0);
    assert!(bench.sent.try_recv().is_err(), "it is sent once");
}

#[tokio::test]
async fn a_redriven_event_has_the_ids_that_it_had_whatever_bytes_they_hold() {
    let mut bench = Bench::new(0, "ep_1", options()).await;
    let field = |text: &str| Field::Owned(text.into());
    let fields = Fields { id: field("or\0der"), tenant: field("\0"), kind: field("type"), ..Fields::default() };
    let record = event(&TestSource::of_partition("orders", 3), 0, b"{}").record.clone();
    let event = Arc::new(Event::new(TestSource::of_partition("orders", 3), record, fields, clock::now()));
    let given_up = given_up(&event, Reason::Rejected);
    bench.writer.submit([Letter { endpoint_id: "ep_1".into(), customer_id: "cus_1".into(), given_up }]);
    bench.writer.flushed().await;
    let filter = DeadLetterFilter::default();
    let of = DeadLetterQuery { endpoint_id: "ep_1", filter: &filter };
    let list = list(&bench.database.pool(), of, &DeadLetterPosition::default(), 10).await.expect("letters");
    bench.mark("ep_1").await;
    let receipt = bench.next().await;
    let again = receipt.event();
    assert_eq!((again.own_id(), again.tenant()), (Some("or\0der"), Some("\0")));
    assert_eq!((again.department(), again.kind()), (None, "type"));
    assert_eq!((list.rows[0].event_id.as_deref(), list.rows[0].tenant.as_deref()), (again.own_id(), again.tenant()));
    receipt.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn a_letter_given_up_again_is_dead_with_all_its_attempts() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    let receipt = bench.next().await;
    let given_up = GivenUp { receipt, reason: Reason::Exhausted, attempts: 5, last: None };
    bench.writer.submit([Letter { endpoint_id: "ep_1".into(), customer_id: "cus_1".into(), given_up }]);
    bench.becomes("SELECT state || ' ' || reason || ' ' || attempts FROM dead_letter", "dead exhausted 17").await;
    assert_eq!(bench.progress().await, RedriveProgress { dead_again: 1, ..RedriveProgress::default() });
    // And may be asked for again.
    bench.mark("ep_1").await;
    let under_way = bench.progress().await;
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
    assert_eq!(under_way, RedriveProgress { waiting: 1, ..RedriveProgress::default() });
    assert_eq!(bench.progress().await, RedriveProgress { delivered: 1, ..RedriveProgress::default() });
}

#[tokio::test]
async fn a_letter_of_an_endpoint_that_is_gone_is_just_a_letter_again() {
    let mut bench = Bench::new(3, "gone_1", options()).await;
    bench.becomes("SELECT count(*) FROM dead_letter WHERE state = 'dead'", "3").await;
    assert!(bench.sent.try_recv().is_err());
}

#[tokio::test]
async fn a_cancelled_redrive_leaves_the_letter() {
    let bench = Bench::with_a_letter().await;
    assert_eq!(bench.progress().await, RedriveProgress { cancelled: 1, ..RedriveProgress::default() });
}

#[tokio::test]
async fn a_letter_of_what_its_endpoint_no_longer_subscribes_to_is_never_sent() {
    let mut bench = Bench::new(2, "ep_2", options()).await;
    bench.around.subscribes.store(false, Ordering::Relaxed);
    while let Ok((_, receipt)) = bench.sent.try_recv() {
        receipt.settle(Settlement::Cancelled);
    }
    bench.becomes("SELECT count(*) FROM dead_letter WHERE state = 'dead'", "2").await;
    bench.mark("ep_2").await;
    bench.becomes("SELECT count(*) FROM dead_letter WHERE redrive_end = 'cancelled'", "2").await;
    bench.nothing_is_sent().await;
}

#[tokio::test]
async fn a_letter_is_matched_against_settings_as_new_as_its_redrive() {
    let mut bench = Bench::with_a_letter().await;
    bench.around.complete_to_ms.store(0, Ordering::Relaxed);
    bench.mark("ep_1").await;
    bench.nothing_is_sent().await;
    bench.around.complete_to_ms.store(i64::MAX, Ordering::Relaxed);
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn a_letter_of_a_topic_with_a_subscription_that_cannot_be_read_waits_until_it_can_be() {
    let mut bench = Bench::with_a_letter().await;
    bench.around.held.lock().insert("orders");
    bench.around.subscribes.store(false, Ordering::Relaxed);
    bench.mark("ep_1").await;
    bench.nothing_is_sent().await;
    assert_eq!(bench.progress().await, RedriveProgress { waiting: 1, ..RedriveProgress::default() });
    bench.around.subscribes.store(true, Ordering::Relaxed);
    bench.around.held.lock().clear();
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn a_letter_whose_topic_is_held_while_it_is_matched_stays_on_its_redrive() {
    let mut bench = Bench::with_a_letter().await;
    bench.around.is_held_when_matched.store(true, Ordering::Relaxed);
    bench.mark("ep_1").await;
    while !bench.around.held.lock().contains("orders") {
        tokio::time::sleep(Duration::from_millis(10)).await; // until it was matched
    }
    bench.nothing_is_sent().await;
    assert_eq!(bench.progress().await, RedriveProgress { waiting: 1, ..RedriveProgress::default() });
    bench.around.held.lock().clear();
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn a_letter_whose_endpoint_takes_nothing_waits_and_counts_as_waiting() {
    let mut bench = Bench::with_a_letter().await;
    *bench.around.standing.lock() = EndpointReadiness::Waits;
    bench.mark("ep_1").await;
    bench.nothing_is_sent().await;
    assert_eq!(bench.progress().await, RedriveProgress { waiting: 1, ..RedriveProgress::default() });
    *bench.around.standing.lock() = EndpointReadiness::Takes(1);
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
    assert_eq!(bench.progress().await, RedriveProgress { delivered: 1, ..RedriveProgress::default() });
}

#[tokio::test]
async fn a_letter_that_leaves_memory_undelivered_stays_that_letter_and_keeps_its_attempts() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    let receipt = bench.next().await;
    assert!(receipt.event().source.is_letter());
    bench.writer.postpone("ep_1", [parked(receipt, 0, None)]);
    let receipt = bench.next().await;
    let later = postrider::clock::now() + Duration::from_millis(300);
    bench.writer.postpone("ep_1", [parked(receipt, 4, Some(later))]);
    bench.writer.flushed().await;
    assert_eq!(bench.progress().await, RedriveProgress { waiting: 1, ..RedriveProgress::default() });
    let receipt = bench.next().await;
    assert!(postrider::clock::now() + Duration::from_millis(20) >= later, "its next attempt was not due");
    assert_eq!(receipt.attempts(), 4);
    receipt.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn a_letter_that_waits_for_its_endpoint_for_too_long_is_given_up_again() {
    let options = RedriveOptions { age_max: Duration::ZERO, ..options() };
    let bench = Bench::new(1, "ep_1", options).await;
    bench
        .becomes("SELECT state || ' ' || reason || ' ' || redrive_end FROM dead_letter", "dead exhausted given_up")
        .await;
}

#[tokio::test]
async fn an_abandoned_redrive_is_tried_again_and_given_up_after_the_third_time() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    for _ in 0..3 {
        drop(bench.next().await);
    }
    bench.becomes("SELECT state || ' ' || reason FROM dead_letter", "dead internal").await;
}

#[tokio::test]
async fn a_letter_of_a_lost_partition_waits_for_the_new_owner() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    let receipt = bench.next().await;
    bench.around.lose();
    assert!(!receipt.event().source.is_current());
    drop(receipt);
    assert_eq!(bench.database.value("SELECT state FROM dead_letter").await.as_deref(), Some("redriving"));
    bench.around.own();
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
}

#[tokio::test]
async fn no_more_is_in_flight_than_may_be_and_all_are_delivered_once() {
    let options = RedriveOptions { in_flight_max: 14, endpoint_in_flight_max: 7, ..options() };
    let mut bench = Bench::new(100, "ep_1", options).await;
    let mut offsets = std::collections::BTreeSet::new();
    let mut held = Vec::new();
    while offsets.len() < 100 {
        let receipt = bench.next().await;
        assert!(offsets.insert(receipt.event().offset()), "sent twice at once: {receipt:?}");
        held.push(receipt);
        assert!(held.len() <= 7, "{} in flight", held.len());
        if held.len() == 7 || offsets.len() == 100 {
            held.drain(..).for_each(|receipt| receipt.settle(Settlement::Delivered));
        }
    }
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
    assert!(bench.sent.try_recv().is_err());
}

#[tokio::test]
async fn a_customer_whose_letters_fill_what_may_be_in_flight_holds_up_nobody_elses() {
    let many = [("cus_1", "ep_1", 30), ("cus_1", "ep_2", 30), ("cus_1", "ep_3", 30), ("cus_2", "ep_other", 1)];
    let by_count = RedriveOptions { in_flight_max: 6, endpoint_in_flight_max: 2, ..options() };
    let by_bytes = RedriveOptions { bytes_max: 10_000, ..options() };
    // Behind more letters than one turn looks at.
    let by_pages = RedriveOptions { in_flight_max: 6, page_rows: 2, ..options() };
    for options in [by_count, by_bytes, by_pages] {
        let mut bench = Bench::of(&many, &[b'x'; 1_000], options.clone()).await;
        let mut held = Vec::new();
        let found = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let (endpoint_id, receipt) = bench.sent.recv().await.expect("a receipt");
                held.push(receipt);
                if endpoint_id == "ep_other" {
                    return;
                }
            }
        });
        assert!(found.await.is_ok(), "{options:?}: {} of the others are in flight", held.len());
        while let Ok((_, receipt)) = bench.sent.try_recv() {
            held.push(receipt);
        }
        assert!(held.len() < 8, "{options:?}: {} in flight", held.len());
        held.into_iter().for_each(|receipt| receipt.settle(Settlement::Cancelled));
    }
}
