//! ○ What waits to become a batch: full by events, bytes or age.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    batch::{Batch, FilledBy, Members, attempts_before},
    body_size::BodySize,
    settings::{Format, Mode},
};
use crate::{event::Event, ingest::receipt::Receipt};

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub events_max: usize,
    /// Of the body that is sent; a single event may make a larger one, and then goes alone.
    pub bytes_max: usize,
    pub format: Format,
    /// How old the first event may get before the batch goes as it is.
    pub wait: Duration,
    /// An event with so many attempts behind it goes alone: the next one may be its last.
    pub alone_after: u32,
}

/// An endpoint that sets no end to attempts gets an event alone after so many: often enough for a failure that passes, and
/// soon enough for those that share a batch with an event that never will.
const ALONE_AFTER: u32 = 5;
/// Before it goes alone, an event goes with a part of a batch: few requests find the one that fails all others.
const PARTS: usize = 16;

impl BatchLimits {
    /// `burst_events` is the most that a rate limit lets through at once, `attempts_max` what ends an event's attempts.
    #[must_use]
    pub fn new(mode: Mode, format: Format, burst_events: Option<u32>, attempts_max: Option<u32>) -> Self {
        let alone_after = attempts_max.map_or(ALONE_AFTER, |attempts| attempts.saturating_sub(1).clamp(1, ALONE_AFTER));
        let limits = match mode {
            Mode::Stream => {
                BatchLimits { events_max: 1, bytes_max: usize::MAX, format, wait: Duration::ZERO, alone_after }
            }
            Mode::Batch { events_max, bytes_max, wait } => {
                BatchLimits { events_max: events_max.max(1) as usize, bytes_max, format, wait, alone_after }
            }
        };
        let burst = burst_events.map_or(usize::MAX, |burst| burst.max(1) as usize);
        BatchLimits { events_max: limits.events_max.min(burst), ..limits }
    }

    /// How many events may share a batch with this one. One whose handling panicked goes alone: if it does so again, nobody else
    /// is suspected.
    #[must_use]
    pub fn company_of(&self, receipt: &Receipt) -> usize {
        if receipt.abandons() > 0 { 1 } else { self.company_max(attempts_before(receipt)) }
    }

    /// How many events may share a batch with one that has so many attempts behind it, as far as these say.
    #[must_use]
    pub fn company_max(&self, attempts: u32) -> usize {
        match self.alone_after.saturating_sub(attempts) {
            _ if attempts == 0 => usize::MAX,
            0 => 1,
            1 => (self.events_max / PARTS).max(1),
            _ => usize::MAX,
        }
    }
}

/// Events that are in no batch yet, in the order they came. Batches are formed when they can be sent, not before:
/// what waits for a free request or for the rate limit keeps filling up.
#[derive(Debug, Default)]
pub struct BatchBuffer {
    queue: VecDeque<Receipt>,
    bytes: usize,
}

impl BatchBuffer {
    pub fn push(&mut self, receipt: Receipt) {
        self.bytes += receipt.event().weight_bytes();
        self.queue.push_back(receipt);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next batch is due: at once when it is full, else when its first event is old enough.
    #[must_use]
    pub fn due_at(&self, limits: &BatchLimits) -> Option<Instant> {
        let first = self.queue.front()?.event().received_at;
        let full = self.queue.len() >= limits.events_max || self.bytes >= limits.bytes_max;
        Some(if full { first } else { first + limits.wait })
    }

    /// How many events the next batch has, at most.
    #[must_use]
    pub fn next_len(&self, limits: &BatchLimits) -> usize {
        if limits.events_max == 1 {
            return self.queue.len().min(1);
        }
        let (mut size, mut events, mut events_max) = (BodySize::default(), 0, limits.events_max);
        let fits = |receipt: &&Receipt| {
            events_max = events_max.min(limits.company_of(receipt));
            let fits = events < events_max && size.add(receipt.event(), limits, self.queue.iter().take(events));
            events += 1;
            fits
        };
        let fitting = self.queue.iter().take_while(fits).count();
        fitting.max(1).min(self.queue.len())
    }

    /// The next batch, whether it is due or not. Events that another instance owns by now are dropped on the way (silently:
    /// the new owner has them), so `None` means that nothing is left.
    pub fn take(&mut self, limits: &BatchLimits) -> Option<Batch> {
        let mut members = Members::new();
        if limits.events_max > 1 {
            members.reserve(limits.events_max.min(self.queue.len()));
        }
        let (mut bytes, mut size) = (0, BodySize::default());
        let mut oldest = None;
        let mut events_max = limits.events_max;
        while members.len() < events_max
            && let Some(next) = self.queue.front()
        {
            let weight = next.event().weight_bytes();
            let company_max = limits.company_of(next);
            let is_ours = next.event().origin.is_current();
            let has_room = members.is_empty() || members.len() < company_max;
            if is_ours && !(has_room && size.add(next.event(), limits, members.iter())) {
                break;
            }
            let Some(receipt) = self.queue.pop_front() else {
                break;
            };
            self.bytes -= weight;
            if is_ours {
                let received_at = receipt.event().received_at;
                oldest = Some(oldest.map_or(received_at, |oldest: Instant| oldest.min(received_at)));
                bytes += weight;
                events_max = events_max.min(company_max);
                members.push(receipt);
            }
        }
        let filled_by = FilledBy::of(members.len(), size.bytes(), !self.queue.is_empty(), limits);
        let mut batch = Batch::new(members, bytes, oldest?);
        batch.filled_by = filled_by;
        Some(batch)
    }

    /// Takes out those that `leaves` picks, in order.
    pub fn take_out(&mut self, leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        self.take_some(usize::MAX, leaves)
    }

    /// Takes out those that `leaves` picks, in order, at most so many.
    pub fn take_some(&mut self, events_max: usize, mut leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        let mut out = Vec::new();
        // As a rule the oldest leave first.
        while out.len() < events_max && self.queue.front().is_some_and(|first| leaves(first.event())) {
            out.extend(self.queue.pop_front());
        }
        if out.len() < events_max && self.queue.iter().any(|receipt| leaves(receipt.event())) {
            for receipt in std::mem::take(&mut self.queue) {
                if out.len() < events_max && leaves(receipt.event()) {
                    out.push(receipt);
                } else {
                    self.queue.push_back(receipt);
                }
            }
        }
        self.bytes -= out.iter().map(|receipt| receipt.event().weight_bytes()).sum::<usize>();
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.queue.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, atomic::Ordering},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::{
        delivery::testing::{TestOrigin, receipt},
        request,
    };

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn limits(events_max: usize, bytes_max: usize) -> BatchLimits {
        BatchLimits { events_max, bytes_max, format: Format::Raw, wait: ms(500), alone_after: ALONE_AFTER }
    }

    /// What [`receipt`] makes of a body.
    fn sent() -> usize {
        let origin = TestOrigin::new();
        let bytes = request::sent_bytes(receipt(&origin, 0, Instant::now()).event(), Format::Raw);
        origin.current.store(false, Ordering::Relaxed);
        bytes
    }

    /// Events of one weight, that of [`receipt`].
    fn filled(origin: &Arc<TestOrigin>, count: i64, received_at: Instant) -> BatchBuffer {
        let mut buffer = BatchBuffer::default();
        (0..count).for_each(|offset| buffer.push(receipt(origin, offset, received_at)));
        buffer
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch.events().map(|event| event.offset()).collect()
    }

    /// What a test leaves behind is no fault of the buffer's.
    struct Silenced(Arc<TestOrigin>);

    impl Drop for Silenced {
        fn drop(&mut self) {
            self.0.current.store(false, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_batch_is_due_at_once_when_it_is_full_and_else_when_its_first_event_is_old_enough() {
        let origin = TestOrigin::new();
        let _silenced = Silenced(Arc::clone(&origin));
        let now = Instant::now();
        let buffer = filled(&origin, 3, now);
        assert_eq!(buffer.due_at(&limits(4, usize::MAX)), Some(now + ms(500)));
        assert_eq!(buffer.due_at(&limits(3, usize::MAX)), Some(now));
        assert_eq!(buffer.due_at(&limits(4, buffer.bytes())), Some(now));
        assert_eq!(BatchBuffer::default().due_at(&limits(1, 1)), None);
    }

    #[test]
    fn a_batch_knows_what_filled_it_until_it_was_tried() {
        let origin = TestOrigin::new();
        let _silenced = Silenced(Arc::clone(&origin));
        let now = Instant::now();
        let mut buffer = filled(&origin, 10, now);
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
        let origin = TestOrigin::new();
        let _silenced = Silenced(Arc::clone(&origin));
        let mut buffer = filled(&origin, 2, Instant::now());
        for expected in [[0], [1]] {
            assert_eq!(buffer.next_len(&limits(10, 1)), 1);
            assert_eq!(offsets(&buffer.take(&limits(10, 1)).unwrap()), expected);
        }
        assert!(buffer.take(&limits(10, 1)).is_none());
    }

    #[test]
    fn what_another_instance_owns_is_left_out() {
        let (lost, kept) = (TestOrigin::new(), TestOrigin::new());
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
            let origin = TestOrigin::new();
            let _silenced = Silenced(Arc::clone(&origin));
            let start = Instant::now();
            let (weight, sent) = (receipt(&TestOrigin::new(), 0, start).event().weight_bytes(), sent());
            let (mut buffer, mut model) = (BatchBuffer::default(), VecDeque::new());
            for (offset, step) in (0..).zip(steps) {
                match step {
                    Step::Push(at) => {
                        buffer.push(receipt(&origin, offset, start + ms(at)));
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
        let origin = TestOrigin::new();
        for (offset, attempts) in [(0, 0), (1, 0), (2, 7), (3, 0), (4, 0)] {
            buffer.push(receipt(&origin, offset, now).with_attempts(attempts));
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
        origin.current.store(false, std::sync::atomic::Ordering::Relaxed);
    }
}
