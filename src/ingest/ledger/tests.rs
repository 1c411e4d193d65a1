//! Promises of a partition's ledger: who owes what, and what may be committed.

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::*;
use crate::{
    model::{
        event::{EndpointKey, Event, Fields, Record},
        parking::{KeyNumber, Parking},
        receipt::Receipt,
        record::RecordParts,
    },
    telemetry::names,
};

fn ledger(start: Instant) -> (Arc<PartitionLedger>, UnboundedReceiver<Abandoned>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let ledger = Arc::new(PartitionLedger::new("orders".into(), 3, 1, Some(0), sender));
    ledger.track_chunk(&[0, 1, 2], start).expect("within the span");
    (ledger, receiver)
}

/// One event of 4 bytes, with a receipt for each of so many endpoints.
fn receipts(ledger: &Arc<PartitionLedger>, offset: i64, endpoints: u32, now: Instant) -> Vec<Receipt> {
    let parts = RecordParts { offset, timestamp_ms: 0, key: None, value: Some(b"null") };
    let record = Record::copy_from(parts, std::iter::empty::<(&str, Option<&[u8]>)>());
    let event = Arc::new(Event::new(Arc::clone(ledger) as Arc<dyn EventSource>, record, Fields::default(), now));
    ledger.received(1, event.weight_bytes() as u64);
    let mut receipts = Vec::new();
    let endpoints: Vec<_> = (0..endpoints).map(EndpointKey).collect();
    event.open_receipts(&endpoints, |_, receipt| receipts.push(receipt));
    receipts
}

#[test]
fn an_event_is_done_when_all_of_its_receipts_have_settled() {
    let now = Instant::now();
    let (ledger, _abandoned) = ledger(now);
    let mut receipts = receipts(&ledger, 0, 2, now);
    receipts.pop().expect("two").settle(Settlement::Delivered);
    assert_eq!(ledger.committable(), Some(0));
    assert_eq!(ledger.outstanding(), (1, 244));
    receipts.pop().expect("one").settle(Settlement::DeadLettered);
    assert_eq!(ledger.committable(), Some(1));
    assert_eq!(ledger.outstanding(), (0, 0));
    assert_eq!(ledger.snapshot(now).settled, [1, 0, 1, 0, 0]);
}

#[test]
fn a_settle_after_the_revoke_has_no_effect_but_is_counted() {
    let now = Instant::now();
    let (ledger, _abandoned) = ledger(now);
    let receipts = receipts(&ledger, 0, 2, now);
    ledger.revoke();
    Receipt::settle_all(receipts, Settlement::Delivered);
    assert_eq!(ledger.committable(), None);
    let snapshot = ledger.snapshot(now);
    assert_eq!(snapshot.committable, None);
    assert_eq!(snapshot.settled, [0; 5]);
    assert_eq!(snapshot.stale_settles, 2);
    assert_eq!(snapshot.outstanding_events, 1);
}

#[test]
fn a_dropped_receipt_comes_back_and_is_still_owed() {
    let now = Instant::now();
    let (ledger, mut abandoned) = ledger(now);
    drop(receipts(&ledger, 0, 1, now));
    let again = abandoned.try_recv().expect("the drop was reported");
    assert_eq!(again.abandons, 1);
    assert_eq!(ledger.committable(), Some(0));
    drop(again.into_receipt());
    let again = abandoned.try_recv().expect("the second drop was reported");
    assert_eq!(again.abandons, 2);
    again.into_receipt().settle(Settlement::Backlogged);
    assert_eq!(ledger.committable(), Some(1));
    assert_eq!(ledger.snapshot(now).abandoned, 2);
}

#[test]
fn a_receipt_dropped_after_the_revoke_is_silent() {
    let now = Instant::now();
    let (ledger, mut abandoned) = ledger(now);
    let receipts = receipts(&ledger, 0, 1, now);
    ledger.revoke();
    drop(receipts);
    assert!(abandoned.try_recv().is_err());
    assert_eq!(ledger.snapshot(now).abandoned, 0);
}

#[test]
fn an_abandoned_event_without_a_taker_holds_the_commit() {
    let now = Instant::now();
    let (ledger, abandoned) = ledger(now);
    drop(abandoned);
    drop(receipts(&ledger, 0, 1, now));
    assert_eq!(ledger.committable(), Some(0));
    assert_eq!(ledger.unheard_abandons.load(Ordering::Relaxed), 1);
}

#[test]
fn the_lag_counts_from_what_is_settled_or_from_where_the_assignment_begins() {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    let ledger = PartitionLedger::new("orders".into(), 3, 1, Some(10), sender.clone());
    assert_eq!(ledger.lag(), None, "nobody has said where the log ends");
    ledger.saw_log(5, 30);
    assert_eq!(ledger.lag(), Some(20), "before the first event too");
    ledger.track_chunk(&[10, 11], Instant::now()).expect("tracked");
    assert_eq!(ledger.lag(), Some(20));
    ledger.settled(Settlement::Delivered, 0, &[Done { offset: 10, weight_bytes: 0 }]);
    assert_eq!(ledger.lag(), Some(19));

    let unknown = PartitionLedger::new("orders".into(), 3, 1, None, sender);
    unknown.saw_log(5, 30);
    assert_eq!(unknown.lag(), Some(25), "without a start it begins at the beginning");
    unknown.saw_log(-1001, -1001);
    assert_eq!(unknown.lag(), Some(25), "what was known stays known");
}

#[test]
fn rows_of_an_idle_partition_may_be_sent_up_to_where_it_begins_as_soon_as_that_is_known() {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    let held = PartitionLedger::new("orders".into(), 3, 1, None, sender.clone());
    assert_eq!(held.ended_up_to(), None, "what the group committed could not be had yet");
    let begun = PartitionLedger::new("orders".into(), 3, 2, Some(50), sender);
    assert_eq!(begun.ended_up_to(), Some(50), "although nothing is read of it");
}

#[test]
fn an_end_that_was_asked_for_is_known_with_its_time_and_is_never_before_what_was_read() {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    let ledger = PartitionLedger::new("orders".into(), 3, 1, Some(10), sender);
    ledger.saw_log(0, 900);
    assert_eq!(ledger.end_asked(), None, "the client's word may be of long ago");
    ledger.asked_log(0, 12, 7_000);
    assert_eq!((ledger.end_asked(), ledger.extent()), (Some((12, 7_000)), Some((0, 12))));
    ledger.asked_log(-1001, -1001, 8_000);
    assert_eq!(ledger.end_asked(), Some((12, 7_000)), "what was known stays known");
    ledger.track_chunk(&[10, 11, 12, 13], Instant::now()).expect("tracked");
    assert_eq!(ledger.end_asked(), Some((14, 7_000)));
}

#[test]
fn what_retention_has_removed_is_no_lag_and_is_told_once_as_lost() {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    let ledger = PartitionLedger::new("orders".into(), 3, 1, Some(100), sender);
    assert_eq!(ledger.lost(), [], "nobody has said where the log begins");
    ledger.saw_log(700, 1_000);
    assert_eq!(ledger.lag(), Some(300));
    ledger.track_chunk(&[700, 701], Instant::now()).expect("tracked");
    assert_eq!(ledger.lost(), [(100, 699)]);
    ledger.track_chunk(&[703], Instant::now()).expect("tracked");
    assert_eq!(ledger.lost(), [], "a marker is no loss");
    assert_eq!(ledger.next_offset(), Some(704));
}

#[test]
fn a_log_that_is_gone_is_not_committed_and_what_was_read_of_it_still_ends() {
    let now = Instant::now();
    let (ledger, _abandoned) = ledger(now);
    let receipts = receipts(&ledger, 0, 1, now);
    ledger.retire();
    assert_eq!(ledger.committable(), None);
    assert!(ledger.is_current(), "its events are delivered");
    Receipt::settle_all(receipts, Settlement::Delivered);
    assert_eq!(ledger.snapshot(now).settled[0], 1);
}

#[test]
fn a_failure_of_a_log_that_is_gone_is_counted_whichever_comes_first() {
    let (recorder, now) = (PrometheusBuilder::new().build_recorder(), Instant::now());
    metrics::with_local_recorder(&recorder, || {
        let ((before, _abandoned), (after, _other)) = (ledger(now), ledger(now));
        before.fail();
        assert!(!recorder.handle().render().contains(names::GONE_LOG_FAILURES), "it is read again");
        before.retire();
        after.retire();
        after.fail();
    });
    let counted = format!("{}{{topic=\"orders\"}} 2", names::GONE_LOG_FAILURES);
    assert!(recorder.handle().render().contains(&counted), "{}", recorder.handle().render());
}

#[test]
fn records_behind_an_open_transaction_are_waited_for() {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
    let ledger = PartitionLedger::new("orders".into(), 3, 1, Some(10), sender);
    ledger.saw_log(0, 60);
    assert!(!ledger.waits_for_transaction(), "nobody said what may be read");
    ledger.saw_fetch(20, 15);
    assert!(!ledger.waits_for_transaction(), "there is more to read");
    ledger.saw_fetch(20, 20);
    assert!(ledger.waits_for_transaction());
    assert_eq!(ledger.lag(), Some(50), "they count");
    ledger.saw_fetch(60, 60);
    assert!(!ledger.waits_for_transaction());
}

#[test]
fn behind_a_key_that_waits_no_other_does_unless_something_was_missed() {
    let (ledger, _abandoned) = ledger(Instant::now());
    let version = ledger.backlog.lock().version();
    ledger.backlog.lock().all_rows(version, std::iter::empty());
    let (source, id): (Arc<dyn EventSource>, Arc<str>) = (Arc::clone(&ledger) as _, "ep_1".into());
    let [bad, good] = ["bad", "good"].map(|key| KeyNumber::of(Some(key.as_bytes())));
    let parking = Parking::begin(&source, &id, Some(bad));
    assert_eq!(ledger.ahead("ep_1", None).events, Some(1));
    assert_eq!([bad, good].map(|key| ledger.ahead("ep_1", Some(key)).events), [Some(1), Some(0)]);
    assert!(ledger.skips(&id, 100, SkipAt::Arrival { suspended: true }), "it is suspended");
    assert_eq!(ledger.ahead("ep_1", Some(good)).events, Some(1));
    ledger.skipped("ep_1");
    drop(parking);
}

#[test]
fn what_was_to_be_parked_and_is_thrown_away_by_a_panic_does_not_count_for_ever() {
    let (ledger, _abandoned) = ledger(Instant::now());
    let version = ledger.backlog.lock().version();
    ledger.backlog.lock().all_rows(version, std::iter::empty());
    let source: Arc<dyn EventSource> = Arc::clone(&ledger) as _;
    let parking = Parking::begin(&source, &"ep_1".into(), None);
    assert_eq!(ledger.ahead("ep_1", None).events, Some(1));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = parking;
        std::panic::resume_unwind(Box::new("a writer's"));
    }));
    assert!(panicked.is_err());
    assert_eq!(ledger.ahead("ep_1", None).events, Some(0));
}
