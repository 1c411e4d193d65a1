//! Promises of the poll thread's side of a partition.

use tokio::sync::mpsc;

use super::*;
use crate::{
    ingest::{
        begin::Hold,
        testing::{RECORD_BYTES_MAX, ledger, partition, record, record_of_size},
    },
    model::{receipt::Done, source::EventSource as _},
};

fn queue(taken: u64, end: u64) -> QueuePosition {
    QueuePosition { taken, end }
}

/// Lets the actors work until `holds`.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what}");
}

#[actix_rt::test]
async fn a_chunk_that_finds_no_room_waits_and_goes_on_when_there_is_some() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    let now = clock::now();
    // While this test does not wait, nobody takes anything out of the mailbox.
    let mut read = 0;
    loop {
        partition.receive(record(read));
        read += 1;
        if !partition.hand_on(now) {
            break;
        }
        assert!(read < 10_000, "mailboxes are bounded");
    }
    assert_eq!(partition.waiting(), 1);
    until("the mailbox has room again", || partition.hand_on(now)).await;
    assert_eq!(partition.waiting(), 0);
    until("nobody wants any of it, so all of it is done", || ledger.committable() == Some(read)).await;
    assert_eq!(ledger.outstanding(), (0, 0));
}

#[actix_rt::test]
async fn what_was_lost_behind_it_is_read_again_from_the_first_that_is_not_settled() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    (0..3).for_each(|offset| partition.receive(record(offset)));
    assert!(partition.hand_on(clock::now()));
    assert_eq!(partition.must_reread_from(), None);
    ledger.settled(Settlement::Delivered, 0, &[Done { offset: 0, weight_bytes: 0 }]);
    ledger.fail();
    assert_eq!(partition.must_reread_from(), Some(Reread::From(1)));
    partition.receive(record(3));
    assert!(!partition.hand_on(clock::now()), "it is read again in a moment");
}

#[actix_rt::test]
async fn what_failed_before_anything_was_read_is_read_from_where_it_begins() {
    let failed = |start, hold: Option<Hold>| {
        let ledger = PartitionLedger::new("orders".into(), 3, 1, start, mpsc::unbounded_channel().0);
        hold.into_iter().for_each(|hold| ledger.hold(hold));
        ledger.fail();
        partition(&Arc::new(ledger)).must_reread_from()
    };
    assert_eq!(failed(Some(7), None), Some(Reread::From(7)));
    assert_eq!(failed(None, None), Some(Reread::Beginning));
    assert_eq!(failed(None, Some(Hold::Commit)), None, "its beginning is still asked for");
}

#[actix_rt::test]
async fn a_log_that_was_cut_is_read_from_where_it_goes_on() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    (10..13).for_each(|offset| partition.receive(record(offset)));
    assert!(partition.hand_on(clock::now()));
    assert_eq!(partition.was_cut_at(), None);
    partition.receive(record(4));
    assert!(!partition.hand_on(clock::now()));
    assert_eq!((partition.was_cut_at(), partition.must_reread_from()), (Some(13), Some(Reread::From(4))));
}

#[actix_rt::test]
async fn what_is_no_event_at_the_end_of_the_log_is_committed_over_once_the_client_has_said_twice_that_it_is_there() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    partition.receive(record(0));
    assert!(partition.hand_on(clock::now()));
    until("it is done", || ledger.committable() == Some(1)).await;
    assert_eq!(partition.newly_committable(queue(1, 1)), Some(1));
    ledger.saw_fetch(12, 12);
    assert_eq!(partition.newly_committable(queue(1, 9)), None);
    ledger.saw_fetch(12, 12);
    assert_eq!(partition.newly_committable(queue(8, 12)), None, "records below it may wait in the client's queue");
    ledger.saw_fetch(12, 12);
    assert_eq!(partition.newly_committable(queue(9, 12)), Some(12));
}

#[actix_rt::test]
async fn what_is_dropped_before_the_beginning_is_known_is_not_committed_over() {
    let ledger = ledger();
    ledger.hold(Hold::Commit);
    let mut partition = partition(&ledger);
    for _ in 1..5 {
        ledger.saw_fetch(12, 12);
        assert_eq!(partition.newly_committable(queue(0, 0)), None);
    }
}

#[actix_rt::test]
async fn records_that_cannot_be_decoded_take_no_room_from_the_others() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    (0..3).for_each(|offset| partition.receive(record_of_size(offset, RECORD_BYTES_MAX + 1)));
    partition.receive(record(3));
    assert!(partition.hand_on(clock::now()));
    assert_eq!(ledger.unrouted_events(), 4);
    until("none of them is on its way to a router", || ledger.unrouted_events() == 0).await;
}

#[actix_rt::test]
async fn while_a_record_waits_nothing_beyond_it_is_committed() {
    let ledger = ledger();
    let mut partition = partition(&ledger);
    for _ in 1..3 {
        ledger.saw_fetch(12, 12);
        assert_eq!(partition.newly_committable(queue(0, 0)), None);
        partition.receive(record(5));
    }
    ledger.saw_fetch(12, 12);
    assert_eq!(partition.newly_committable(queue(0, 0)), None);
}

#[actix_rt::test]
async fn what_comes_before_its_beginning_is_known_is_not_taken() {
    let ledger = ledger();
    ledger.hold(Hold::NoLeader);
    let mut partition = partition(&ledger);
    partition.receive(record(7));
    assert_eq!(partition.waiting(), 0);
}
