//! Dead letters again: by the owner of their partition, each once at a time, until they are delivered.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use postrider::{
    api::dead_letter_view::RedriveProgress,
    backlog::{drainer::Surroundings, page_read::EndpointReadiness},
    dead_letter::{
        letter::Letter,
        writer::{DeadLetterWriter, DeadLetterWriterOptions},
    },
    flow::drain_rate::Load,
    ingest::{ledger::PartitionLedger, missed::CatchesUp},
    model::{
        disposition::{GivenUp, Parked, Reason},
        event::{EndpointKey, Event},
        parking::{Parking, RowCount},
        receipt::{Receipt, Settlement},
    },
    redrive::{self, RedriveOptions},
    store::{
        Pool,
        dead_letter_read::{DeadLetterFilter, DeadLetterSelection, LetterOwner},
        redrive_progress::{progress, redrive as mark},
    },
};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    partition::{event, given_up},
    postgres::Database,
};
use postrider_core::testing::TestSource;

/// Endpoints owner names begin with `ep_`; what is sent to them goes to the test. One partition is owned.
struct Around {
    sent: Mutex<mpsc::UnboundedSender<(String, Receipt)>>,
    ledgers: Mutex<Arc<Vec<Arc<PartitionLedger>>>>,
    standing: Mutex<EndpointReadiness>,
    subscribes: AtomicBool,
    /// Time to which the settings are known, of all topics but these.
    complete_to_ms: AtomicI64,
    held: Mutex<HashSet<&'static str>>,
    /// A hold of the topic begins before the next event is matched.
    is_held_when_matched: AtomicBool,
}

impl Around {
    fn own(&self) {
        let abandoned = mpsc::unbounded_channel().0;
        let ledger = PartitionLedger::new(Arc::from("orders"), 3, 1, None, abandoned);
        *self.ledgers.lock() = Arc::new(vec![Arc::new(ledger)]);
    }

    fn lose(&self) {
        self.ledgers.lock().iter().for_each(|ledger| ledger.revoke());
        *self.ledgers.lock() = Arc::default();
    }
}

impl Surroundings for Around {
    fn ledgers(&self) -> Arc<Vec<Arc<PartitionLedger>>> {
        self.ledgers.lock().clone()
    }

    fn standing(&self, _: &str, _: Instant) -> EndpointReadiness {
        *self.standing.lock()
    }

    fn catches_up(&self, _: &str) -> CatchesUp {
        CatchesUp::Later
    }

    fn endpoint(&self, endpoint_id: &str) -> Option<(EndpointKey, Arc<str>)> {
        endpoint_id.starts_with("ep_").then(|| (EndpointKey(1), Arc::from("cus_1")))
    }

    fn matches(&self, _: &Event, _: EndpointKey) -> bool {
        if self.is_held_when_matched.swap(false, Ordering::Relaxed) {
            self.held.lock().insert("orders");
            return false;
        }
        self.subscribes.load(Ordering::Relaxed)
    }

    fn settings_complete_to_ms(&self, _topic: &str) -> i64 {
        i64::MAX
    }

    fn settings_complete_to_store_ms(&self, topic: &str) -> i64 {
        if self.held.lock().contains(topic) { 0 } else { self.complete_to_ms.load(Ordering::Relaxed) }
    }

    fn load(&self) -> Load {
        Load::default()
    }

    fn show_drain_rate(&self, _: f64) {}

    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>) {
        for receipt in receipts {
            let _ = self.sent.lock().send((endpoint_id.to_owned(), receipt));
        }
    }

    fn wake(&self, _: &str) {}

    fn rows_wait(&self, _: &str, _: RowCount) {}

    fn wake_ordered(&self) {}
}

struct Bench {
    database: Database,
    pool: Pool,
    writer: DeadLetterWriter,
    sent: mpsc::UnboundedReceiver<(String, Receipt)>,
    around: Arc<Around>,
}

impl Bench {
    /// `letters` of `ep_1`, marked for a redrive, and a task that redrives what is owned.
    async fn new(letters: i64, endpoint: &str, options: RedriveOptions) -> Bench {
        let database = Database::new().await;
        let pool = database.pool();
        let writer_options =
            DeadLetterWriterOptions { batch_rows_max: 500, batch_wait: Duration::ZERO, queue_bytes_max: usize::MAX };
        let writer = DeadLetterWriter::start(pool.clone(), writer_options, &Handle::current());
        let partition = TestSource::of_partition("orders", 3);
        writer.submit((0..letters).map(|offset| Letter {
            endpoint_id: endpoint.into(),
            customer_id: "cus_1".into(),
            given_up: given_up(&event(&partition, offset, b"{}"), Reason::Rejected),
        }));
        writer.flushed().await;
        let (sender, sent) = mpsc::unbounded_channel();
        let around = Arc::new(Around {
            sent: Mutex::new(sender),
            ledgers: Mutex::default(),
            standing: Mutex::new(EndpointReadiness::Takes(500)),
            subscribes: AtomicBool::new(true),
            complete_to_ms: AtomicI64::new(i64::MAX),
            held: Mutex::default(),
            is_held_when_matched: AtomicBool::new(false),
        });
        around.own();
        let bench = Bench { database, pool: pool.clone(), writer: writer.clone(), sent, around: around.clone() };
        bench.mark(endpoint).await;
        tokio::spawn(redrive::run(pool, options, writer, around));
        bench
    }

    /// With one letter that is on no redrive.
    async fn with_a_letter() -> Bench {
        let mut bench = Bench::new(1, "ep_1", options()).await;
        bench.next().await.settle(Settlement::Cancelled);
        bench.becomes("SELECT state FROM dead_letter", "dead").await;
        bench
    }

    async fn mark(&self, endpoint: &str) {
        let all = DeadLetterSelection::Matching(DeadLetterFilter {
            before: Some("dl_z".to_owned()),
            ..DeadLetterFilter::default()
        });
        mark(&self.pool, LetterOwner::all_of(endpoint), &all).await.expect("marked");
    }

    async fn progress(&self) -> RedriveProgress {
        progress(&self.pool, LetterOwner::all_of("ep_1"), None).await.expect("progress")
    }

    /// Several looks of the redrive later, nothing was sent.
    async fn nothing_is_sent(&mut self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(self.sent.try_recv().is_err(), "something was sent");
    }

    async fn next(&mut self) -> Receipt {
        self.sent.recv().await.expect("a receipt").1
    }

    /// Waits until a query answers this.
    async fn becomes(&self, query: &str, expected: &str) {
        while self.database.value(query).await.as_deref() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn options() -> RedriveOptions {
    RedriveOptions {
        poll: Duration::from_millis(20),
        in_flight_max: 500,
        endpoint_in_flight_max: 500,
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
    bench.nothing_is_sent().await;
    assert!(bench.around.held.lock().contains("orders"), "it was matched");
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
    let options = RedriveOptions { in_flight_max: 10, endpoint_in_flight_max: 7, ..options() };
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
