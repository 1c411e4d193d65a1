//! A redrive whose letters are sent to the test.

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
        disposition::Reason,
        event::{EndpointKey, Event},
        parking::RowCount,
        receipt::{Receipt, Settlement},
    },
    redrive::{self, RedriveOptions},
    store::{
        Pool,
        dead_letter_read::{DeadLetterFilter, DeadLetterSelection, LetterOwner},
        redrive_progress::{progress, redrive as mark},
    },
};
use postrider_core::testing::TestSource;
use tokio::{runtime::Handle, sync::mpsc};

use super::options;
use crate::{
    partition::{event, given_up},
    postgres::Database,
};

/// Endpoints owner names begin with `ep_`; what is sent to them goes to the test. One partition is owned.
pub struct Around {
    pub sent: Mutex<mpsc::UnboundedSender<(String, Receipt)>>,
    ledgers: Mutex<Arc<Vec<Arc<PartitionLedger>>>>,
    pub standing: Mutex<EndpointReadiness>,
    pub subscribes: AtomicBool,
    /// Time to which the settings are known, of all topics but these.
    pub complete_to_ms: AtomicI64,
    pub held: Mutex<HashSet<&'static str>>,
    /// A hold of the topic begins before the next event is matched.
    pub is_held_when_matched: AtomicBool,
}

impl Around {
    pub fn own(&self) {
        let abandoned = mpsc::unbounded_channel().0;
        let ledger = PartitionLedger::new(Arc::from("orders"), 3, 1, None, abandoned);
        *self.ledgers.lock() = Arc::new(vec![Arc::new(ledger)]);
    }

    pub fn lose(&self) {
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

pub struct Bench {
    pub database: Database,
    pool: Pool,
    pub writer: DeadLetterWriter,
    pub sent: mpsc::UnboundedReceiver<(String, Receipt)>,
    pub around: Arc<Around>,
}

impl Bench {
    /// `letters` of `ep_1`, marked for a redrive, and a task that redrives what is owned.
    pub async fn new(letters: i64, endpoint: &str, options: RedriveOptions) -> Bench {
        Bench::of(&[("cus_1", endpoint, letters)], b"{}", options).await
    }

    /// Letters of these (customer, endpoint, how many), one after the other.
    pub async fn of(letters: &[(&str, &str, i64)], value: &[u8], options: RedriveOptions) -> Bench {
        let database = Database::new().await;
        let pool = database.pool();
        let writer_options =
            DeadLetterWriterOptions { batch_rows_max: 500, batch_wait: Duration::ZERO, queue_bytes_max: usize::MAX };
        let writer = DeadLetterWriter::start(pool.clone(), writer_options, &Handle::current());
        let partition = TestSource::of_partition("orders", 3);
        for (customer, endpoint, letters) in letters {
            writer.submit((0..*letters).map(|offset| Letter {
                endpoint_id: (*endpoint).into(),
                customer_id: (*customer).into(),
                given_up: given_up(&event(&partition, offset, value), Reason::Rejected),
            }));
            writer.flushed().await;
        }
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
        for (_, endpoint, _) in letters {
            bench.mark(endpoint).await;
        }
        tokio::spawn(redrive::run(pool, options, writer, around));
        bench
    }

    /// With one letter that is on no redrive.
    pub async fn with_a_letter() -> Bench {
        let mut bench = Bench::new(1, "ep_1", options()).await;
        bench.next().await.settle(Settlement::Cancelled);
        bench.becomes("SELECT state FROM dead_letter", "dead").await;
        bench
    }

    pub async fn mark(&self, endpoint: &str) {
        let all = DeadLetterSelection::Matching(DeadLetterFilter {
            before: Some("dl_z".to_owned()),
            ..DeadLetterFilter::default()
        });
        mark(&self.pool, LetterOwner::all_of(endpoint), &all).await.expect("marked");
    }

    pub async fn progress(&self) -> RedriveProgress {
        progress(&self.pool, LetterOwner::all_of("ep_1"), None).await.expect("progress")
    }

    /// Several looks of the redrive later, nothing was sent.
    pub async fn nothing_is_sent(&mut self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(self.sent.try_recv().is_err(), "something was sent");
    }

    pub async fn next(&mut self) -> Receipt {
        self.sent.recv().await.expect("a receipt").1
    }

    /// Waits until a query answers this.
    pub async fn becomes(&self, query: &str, expected: &str) {
        while self.database.value(query).await.as_deref() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
