//! Situations of a batch that fills.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use proptest::prelude::*;

use super::*;
use crate::{
    delivery::machine::testing::{TestSource, receipt},
    request,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn limits(events_max: usize, bytes_max: usize) -> BatchLimits {
    BatchLimits { events_max, bytes_max, format: Format::Raw, wait: ms(500), alone_after: ALONE_AFTER }
}

/// Bytes of a body that [`receipt`] makes.
fn sent() -> usize {
    let source = TestSource::new();
    let bytes = request::sent_bytes(receipt(&source, 0, Instant::now()).event(), Format::Raw);
    source.current.store(false, Ordering::Relaxed);
    bytes
}

/// Events of one weight, that of [`receipt`].
fn filled(source: &Arc<TestSource>, count: i64, received_at: Instant) -> BatchBuffer {
    let mut buffer = BatchBuffer::default();
    (0..count).for_each(|offset| buffer.push(receipt(source, offset, received_at)));
    buffer
}

fn offsets(batch: &Batch) -> Vec<i64> {
    batch.events().map(|event| event.offset()).collect()
}

/// Silences the source: events that a test leaves behind are no fault of the buffer's.
struct Silenced(Arc<TestSource>);

impl Drop for Silenced {
    fn drop(&mut self) {
        self.0.current.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_batch_is_due_at_once_when_it_is_full_and_else_when_its_first_event_is_old_enough() {
    let source = TestSource::new();
    let _silenced = Silenced(Arc::clone(&source));
    let now = Instant::now();
    let buffer = filled(&source, 3, now);
    assert_eq!(buffer.due_at(&limits(4, usize::MAX)), Some(now + ms(500)));
    assert_eq!(buffer.due_at(&limits(3, usize::MAX)), Some(now));
    assert_eq!(buffer.due_at(&limits(4, buffer.bytes())), Some(now));
    assert_eq!(BatchBuffer::default().due_at(&limits(1, 1)), None);
}

#[test]
fn a_batch_knows_what_filled_it_until_it_was_tried() {
    let source = TestSource::new();
    let _silenced = Silenced(Arc::clone(&source));
    let now = Instant::now();
    let mut buffer = filled(&source, 10, now);
    let sent = sent();
    let mut taken = |events_max, bytes_max| buffer.take(&limits(events_max, bytes_max)).unwrap();
    assert_eq!(taken(3, usize::MAX).filled_by(), FilledBy::Events);
    assert_eq!(taken(5, 2 * sent + 1).filled_by(), FilledBy::Bytes);
    assert_eq!(taken(1, usize::MAX).filled_by(), FilledBy::Nothing);
    let mut last = taken(5, usize::MAX);
    assert_eq!((last.len(), last.filled_by()), (4, FilledBy::Time));
    last.attempts = 1;
    assert_eq!(last.filled_by(), FilledBy::Nothing);
}

#[test]
fn an_event_heavier_than_a_batch_goes_alone() {
    let source = TestSource::new();
    let _silenced = Silenced(Arc::clone(&source));
    let mut buffer = filled(&source, 2, Instant::now());
    for expected in [[0], [1]] {
        assert_eq!(buffer.next_len(&limits(10, 1)), 1);
        assert_eq!(offsets(&buffer.take(&limits(10, 1)).unwrap()), expected);
    }
    assert!(buffer.take(&limits(10, 1)).is_none());
}

#[test]
fn what_another_instance_owns_is_left_out() {
    let (lost, kept) = (TestSource::new(), TestSource::new());
    let _silenced = Silenced(Arc::clone(&kept));
    let now = Instant::now();
    let mut buffer = BatchBuffer::default();
    for offset in 0..6 {
        buffer.push(receipt(if offset % 2 == 0 { &lost } else { &kept }, offset, now));
    }
    lost.current.store(false, Ordering::Relaxed);
    let batch = buffer.take(&limits(2, usize::MAX)).unwrap();
    assert_eq!(offsets(&batch), [1, 3]);
    assert_eq!(offsets(&buffer.take(&limits(2, usize::MAX)).unwrap()), [5]);
    assert_eq!((buffer.len(), buffer.bytes()), (0, 0));
    assert!(lost.abandoned.lock().is_empty());
}

#[test]
fn a_batch_is_never_larger_than_what_the_rate_limit_lets_through_at_once() {
    let mode = Mode::Batch { events_max: 100, bytes_max: 1 << 20, wait: ms(10) };
    assert_eq!(BatchLimits::new(mode, Format::Raw, Some(30), None).events_max, 30);
    assert_eq!(BatchLimits::new(mode, Format::Raw, None, None).events_max, 100);
    assert_eq!(BatchLimits::new(Mode::Stream, Format::Raw, Some(30), None).events_max, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Take { events_max: usize, bytes_max: usize },
    TakeOut(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u64..50).prop_map(Step::Push),
        3 => (1_usize..6, 1_usize..60).prop_map(|(events_max, bytes_max)| Step::Take { events_max, bytes_max }),
        1 => (2_i64..5).prop_map(Step::TakeOut),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// The naive model: a queue of offsets, and every event weighs the same.
    #[test]
    fn it_does_what_a_plain_queue_would(steps in steps()) {
        let source = TestSource::new();
        let _silenced = Silenced(Arc::clone(&source));
        let start = Instant::now();
        let (weight, sent) = (receipt(&TestSource::new(), 0, start).event().weight_bytes(), sent());
        let (mut buffer, mut model) = (BatchBuffer::default(), VecDeque::new());
        for (offset, step) in (0..).zip(steps) {
            match step {
                Step::Push(at) => {
                    buffer.push(receipt(&source, offset, start + ms(at)));
                    model.push_back((offset, start + ms(at)));
                }
                Step::Take { events_max, bytes_max } => {
                    let limits = limits(events_max, bytes_max);
                    let fit = ((bytes_max - 1) / sent).max(1).min(events_max).min(model.len());
                    let full = model.len() >= events_max || model.len() * weight >= bytes_max;
                    let due = model.front().map(|(_, at)| if full { *at } else { *at + limits.wait });
                    prop_assert_eq!(buffer.due_at(&limits), due);
                    prop_assert_eq!(buffer.next_len(&limits), fit);
                    let expected: Vec<(i64, Instant)> = model.drain(..fit).collect();
                    match buffer.take(&limits) {
                        None => prop_assert!(expected.is_empty()),
                        Some(batch) => {
                            prop_assert_eq!(Some(batch.since), expected.iter().map(|(_, at)| *at).min());
                            prop_assert_eq!(batch.bytes(), weight * fit);
                            prop_assert_eq!(offsets(&batch), expected.iter().map(|(o, _)| *o).collect::<Vec<_>>());
                        }
                    }
                }
                Step::TakeOut(nth) => {
                    let out = buffer.take_out(|event| event.offset() % nth == 0);
                    let out: Vec<i64> = out.iter().map(|receipt| receipt.event().offset()).collect();
                    prop_assert_eq!(out, model.iter().map(|(o, _)| *o).filter(|o| o % nth == 0).collect::<Vec<_>>());
                    model.retain(|(offset, _)| offset % nth != 0);
                }
            }
            prop_assert_eq!((buffer.len(), buffer.bytes()), (model.len(), model.len() * weight));
        }
    }
}

#[test]
fn an_event_that_fails_again_and_again_goes_with_fewer_others_and_then_alone() {
    let company = |attempts_max, attempts| {
        let mode = Mode::Batch { events_max: 64, bytes_max: 1, wait: ms(1) };
        BatchLimits::new(mode, Format::Raw, None, attempts_max).company_max(attempts).min(64)
    };
    assert_eq!([0, 1, 3, 4, 5, 1_000].map(|attempts| company(None, attempts)), [64, 64, 64, 4, 1, 1]);
    assert_eq!([0, 1, 2].map(|attempts| company(Some(3), attempts)), [64, 4, 1], "the last attempt is alone");
    assert_eq!([0, 1].map(|attempts| company(Some(1), attempts)), [64, 1], "or one more");
}

#[test]
fn one_that_must_go_alone_waits_for_the_batch_before_it_and_takes_nobody_along() {
    let (mut buffer, now) = (BatchBuffer::default(), Instant::now());
    let source = TestSource::new();
    for (offset, attempts) in [(0, 0), (1, 0), (2, 7), (3, 0), (4, 0)] {
        buffer.push(receipt(&source, offset, now).with_attempts(attempts));
    }
    let limits = limits(10, usize::MAX);
    let mut lens = Vec::new();
    while !buffer.is_empty() {
        let expected = buffer.next_len(&limits);
        let batch = buffer.take(&limits).expect("a batch");
        assert_eq!(batch.len(), expected, "as the rate limit was told");
        lens.push(batch.len());
    }
    assert_eq!(lens, [2, 1, 2]);
    source.current.store(false, std::sync::atomic::Ordering::Relaxed);
}
