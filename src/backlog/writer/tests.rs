//! ● Settling of stored rows.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    dead_letter::writer::DeadLetterWriterOptions,
    endpoint::delivery::testing::{TestSource, receipt, stream},
    model::parking::Parking,
    store::PoolOptions,
};

fn waiting(source: &Arc<TestSource>, offset: i64) -> Waiting {
    let (receipt, endpoint_id) = (receipt(source, offset, Instant::now()), Arc::from("ep_1"));
    let key = event_row::key(receipt.event(), &endpoint_id);
    let parking = Parking::begin(&receipt.event().source, &endpoint_id, None);
    let parked = Parked { receipt, attempts: 1, not_before: None, in_flight_until: None, last: None, parking };
    Waiting { key, customer_id: Arc::from("cu_1"), parked }
}

#[test]
fn a_receipt_whose_row_was_refused_becomes_a_letter_and_does_not_settle_as_stored() {
    let source = TestSource::new();
    let rows = (0..3).map(|offset| waiting(&source, offset)).collect();
    let (receipts, letters) = stored(rows, &[(1, StoreError::Unreadable("its data".to_owned()))]);
    assert_eq!(receipts.iter().map(|receipt| receipt.event().offset()).collect::<Vec<_>>(), [0, 2]);
    let letters: Vec<i64> = letters.iter().map(|letter| letter.given_up.receipt.event().offset()).collect();
    assert_eq!(letters, [1]);
    source.current.store(false, Ordering::Relaxed);
}

#[test]
fn what_another_instance_owns_by_now_is_not_stored_and_a_row_is_written_once_in_a_statement() {
    let (ours, lost) = (TestSource::new(), TestSource::new());
    lost.current.store(false, Ordering::Relaxed);
    let rows = vec![waiting(&ours, 2), waiting(&lost, 1), waiting(&ours, 1), waiting(&ours, 2)];
    let offsets = |rows: &[Waiting]| rows.iter().map(|waiting| waiting.key.offset).collect::<Vec<_>>();
    let (once, again) = in_order(rows);
    assert_eq!((offsets(&once), offsets(&again)), (vec![1, 2], vec![2]));
    ours.current.store(false, Ordering::Relaxed);
}

#[test]
fn nobody_waits_for_the_row_of_an_event_that_was_never_sent() {
    let source = TestSource::new();
    let is_urgent = |attempts: u32, in_flight_until: Option<Instant>| {
        let mut waiting = waiting(&source, 1);
        (waiting.parked.attempts, waiting.parked.in_flight_until) = (attempts, in_flight_until);
        write_queue::WriteOp::is_urgent(&Write::Insert(waiting))
    };
    assert!(!is_urgent(0, None));
    assert!(is_urgent(1, None) && is_urgent(0, Some(Instant::now())));
    source.current.store(false, Ordering::Relaxed);
}

struct Nobody;

impl HeadWatch for Nobody {
    fn changed(&self, _: Vec<HeadRow>) {}
    fn gone(&self, _: &[RowKey]) {}
}

/// A writer whose Postgres is away.
fn cut_off() -> BacklogWriter {
    let options = PoolOptions {
        // Nothing listens there.
        url: "postgres://postrider@127.0.0.1:1/postrider".to_owned().into(),
        connections_max: 1,
        connect_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        session: "",
    };
    let pool = Pool::open(&options).expect("a pool");
    let runtime = Handle::current();
    let letters =
        DeadLetterWriterOptions { batch_rows_max: 10, batch_wait: Duration::ZERO, queue_bytes_max: usize::MAX };
    let letters = DeadLetterWriter::start(pool.clone(), letters, &runtime);
    let options = BacklogWriterOptions {
        batch_rows_max: 10,
        batch_wait: Duration::ZERO,
        queues: 1,
        inserts_per_second_max: 1_000,
    };
    BacklogWriter::start(pool, options, letters, Arc::new(Nobody), &runtime)
}

async fn retrying(writer: &BacklogWriter) {
    while !writer.health().is_retrying() {
        tokio::task::yield_now().await;
    }
}

/// Once its partition is another instance's, the writer gives up what it tries to store of it.
async fn ends_with_its_partition(writer: &BacklogWriter, source: &TestSource) {
    source.current.store(false, Ordering::Relaxed);
    tokio::time::timeout(Duration::from_secs(20), writer.flushed()).await.expect("it is not tried again");
    assert_eq!((writer.queued_events(), writer.held_receipts(), writer.stored_events()), (0, 0, 0));
    assert!(source.settled.lock().is_empty(), "{:?}", source.settled.lock());
}

#[tokio::test]
async fn what_moved_to_another_instance_while_it_could_not_be_stored_is_not_tried_again() {
    let (writer, source) = (cut_off(), TestSource::new());
    writer.submit(&stream(), vec![waiting(&source, 1).parked]);
    retrying(&writer).await;
    ends_with_its_partition(&writer, &source).await;
}

#[tokio::test]
async fn nothing_settles_as_skipped_while_its_position_cannot_be_stored() {
    let (writer, source) = (cut_off(), TestSource::new());
    let suspended = Settings { suspended: true, ..stream() };
    assert!(writer.skip_missed(&suspended, vec![receipt(&source, 1, Instant::now())]).is_empty());
    retrying(&writer).await;
    assert!(source.settled.lock().is_empty(), "{:?}", source.settled.lock());
    ends_with_its_partition(&writer, &source).await;
}
