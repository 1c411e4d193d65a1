//! Dead letters once more: by the owner of their partition, each once at a time, until they are delivered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use postrider::{
    dead_letter::{
        letter::Letter,
        redrive::{self, EndpointSink, RedriveOptions},
        writer::{DeadLetterWriter, WriterOptions},
    },
    endpoint::delivery::{GivenUp, Reason},
    event::EndpointKey,
    ingest::receipt::{Receipt, Settlement},
    store::{
        Pool,
        dead_letter_pull::{Filter, Selection},
        redriven::{Progress, progress, redrive as mark},
    },
};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    origin::{Partition, event, given_up},
    postgres::Database,
};

/// Endpoints whose names begin with `ep_`; what is sent to them goes to the test.
struct Endpoints {
    sent: Mutex<mpsc::UnboundedSender<(String, Receipt)>>,
}

impl EndpointSink for Endpoints {
    fn key(&self, endpoint_id: &str) -> Option<EndpointKey> {
        endpoint_id.starts_with("ep_").then_some(EndpointKey(1))
    }

    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>) {
        for receipt in receipts {
            let _ = self.sent.lock().send((endpoint_id.to_owned(), receipt));
        }
    }
}

struct Bench {
    database: Database,
    pool: Pool,
    writer: DeadLetterWriter,
    sent: mpsc::UnboundedReceiver<(String, Receipt)>,
    owned: Arc<AtomicBool>,
}

impl Bench {
    /// `letters` of `ep_1`, marked for a redrive, and a task that redrives what is owned.
    async fn new(letters: i64, endpoint: &str, options: RedriveOptions) -> Bench {
        let database = Database::new().await;
        let pool = database.pool();
        let writer_options =
            WriterOptions { batch_rows_max: 500, batch_wait: Duration::ZERO, queue_bytes_max: usize::MAX };
        let writer = DeadLetterWriter::start(pool.clone(), writer_options, &Handle::current());
        let partition = Partition::new("orders", 3);
        writer.submit((0..letters).map(|offset| Letter {
            endpoint_id: endpoint.into(),
            customer_id: "cus_1".into(),
            given_up: given_up(&event(&partition, offset, b"{}"), Reason::Rejected),
        }));
        writer.flushed().await;
        let (sender, sent) = mpsc::unbounded_channel();
        let owned = Arc::new(AtomicBool::new(true));
        let bench = Bench { database, pool: pool.clone(), writer: writer.clone(), sent, owned: owned.clone() };
        bench.mark(endpoint).await;
        let sink = Arc::new(Endpoints { sent: Mutex::new(sender) });
        let owns = Arc::new(move |topic: &str, partition| {
            topic == "orders" && partition == 3 && owned.load(Ordering::Relaxed)
        });
        tokio::spawn(redrive::run(pool, options, writer, sink, owns));
        bench
    }

    async fn mark(&self, endpoint: &str) {
        let all = Selection::Matching(Filter { before: Some("dl_z".to_owned()), ..Filter::default() });
        mark(&self.pool, endpoint, &all).await.expect("marked");
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
    RedriveOptions { poll: Duration::from_millis(20), in_flight_max: 500, endpoint_in_flight_max: 500 }
}

#[tokio::test]
async fn a_delivered_letter_is_gone_and_was_the_same_event() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    let receipt = bench.next().await;
    let again = receipt.event();
    let first = event(&Partition::new("orders", 3), 0, b"{}");
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
    assert_eq!(progress(&bench.pool, "ep_1", None).await, Ok(Progress { redriving: 0, dead_again: 1 }));
    // And may be asked for again.
    bench.mark("ep_1").await;
    let under_way = progress(&bench.pool, "ep_1", None).await;
    bench.next().await.settle(Settlement::Delivered);
    bench.becomes("SELECT count(*) FROM dead_letter", "0").await;
    assert_eq!(under_way, Ok(Progress { redriving: 1, dead_again: 0 }));
    assert_eq!(progress(&bench.pool, "ep_1", None).await, Ok(Progress { redriving: 0, dead_again: 0 }));
}

#[tokio::test]
async fn a_letter_of_an_endpoint_that_is_gone_is_just_a_letter_again() {
    let mut bench = Bench::new(3, "gone_1", options()).await;
    bench.becomes("SELECT count(*) FROM dead_letter WHERE state = 'dead'", "3").await;
    assert!(bench.sent.try_recv().is_err());
}

#[tokio::test]
async fn a_cancelled_redrive_leaves_the_letter() {
    let mut bench = Bench::new(1, "ep_1", options()).await;
    bench.next().await.settle(Settlement::Cancelled);
    bench.becomes("SELECT state FROM dead_letter", "dead").await;
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
    bench.owned.store(false, Ordering::Relaxed);
    assert!(!receipt.event().origin.is_current());
    drop(receipt);
    assert_eq!(bench.database.value("SELECT state FROM dead_letter").await.as_deref(), Some("redriving"));
    bench.owned.store(true, Ordering::Relaxed);
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
