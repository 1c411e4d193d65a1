//! Promises of the queue to its router and its actor.

use std::{collections::BTreeMap, sync::atomic::AtomicUsize};

use super::*;
use crate::{
    clock,
    endpoint::delivery::testing::TestSource,
    model::event::{ByteSpan, Event, Fields, Record},
};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn drain(&self, _: Drain) {}
}

fn receipt(source: &Arc<TestSource>) -> Receipt {
    let record = Record {
        offset: 1,
        timestamp_ms: 0,
        bytes: Box::default(),
        key: None,
        value: None,
        headers: ByteSpan { start: 0, len: 0 },
    };
    Arc::new(Event::new(Arc::clone(source) as _, record, Fields::default(), clock::now())).open_receipt(EndpointKey(0))
}

fn queue() -> EndpointQueue {
    queue_counted_by(&Arc::new(FlowCounters::new(1)))
}

fn queue_counted_by(flow: &Arc<FlowCounters>) -> EndpointQueue {
    let settings = Arc::new(crate::endpoint::delivery::testing::stream());
    EndpointQueue::new(EndpointKey(0), settings, Arc::clone(flow), Arc::new(Nobody))
}

/// Nobody subscribes to anything.
struct Nobody;

impl Subscriptions for Nobody {
    fn newest(&self, endpoint: EndpointKey) -> Subscribed {
        Subscribed::new(Arc::default(), Default::default(), endpoint)
    }

    fn narrowings(&self) -> u64 {
        0
    }
}

fn push(queue: &EndpointQueue, receipts: impl IntoIterator<Item = Receipt>) -> Pushed {
    queue.push(receipts, 0)
}

#[test]
fn the_first_push_asks_for_an_actor_and_the_next_ones_do_not() {
    let (queue, source) = (queue(), TestSource::new());
    assert_eq!(push(&queue, [receipt(&source)]), Pushed::NeedsActor);
    assert_eq!(push(&queue, [receipt(&source)]), Pushed::Awake);
    queue.close();
}

#[test]
fn a_push_wakes_the_actor_once_until_it_has_looked() {
    let (queue, source, wakes) = (queue(), TestSource::new(), Arc::new(Wakes::default()));
    let mut taken = Vec::new();
    queue.attach(Arc::clone(&wakes) as _);
    queue.take(&mut taken);
    for _ in 0..3 {
        let _ = push(&queue, [receipt(&source)]);
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    queue.take(&mut taken);
    assert_eq!(taken.len(), 3);
    let _ = push(&queue, [receipt(&source)]);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    Receipt::settle_all(taken, Settlement::Cancelled);
    queue.close();
}

#[test]
fn an_actor_cannot_retire_while_something_waits() {
    let (queue, source) = (queue(), TestSource::new());
    let mut taken = Vec::new();
    queue.attach(Arc::new(Wakes::default()));
    assert!(!queue.try_detach(), "it has not looked yet");
    queue.take(&mut taken);
    let _ = push(&queue, [receipt(&source)]);
    assert!(!queue.try_detach());
    queue.take(&mut taken);
    assert!(queue.try_detach());
    assert_eq!(push(&queue, taken), Pushed::NeedsActor);
    queue.close();
}

#[test]
fn a_closed_queue_cancels_what_waits_and_what_comes() {
    let (queue, source) = (queue(), TestSource::new());
    let _ = push(&queue, [receipt(&source)]);
    queue.close();
    assert_eq!(push(&queue, [receipt(&source)]), Pushed::Awake);
    assert_eq!(*source.settled.lock(), BTreeMap::from([("cancelled", 2)]));
}

#[test]
fn what_waits_for_an_actor_that_died_is_taken_once_it_is_old_and_nobody_is_asked_for_meanwhile() {
    let (queue, source) = (queue(), TestSource::new());
    queue.attach(Arc::new(Wakes::default()));
    queue.detach_dead();
    assert_eq!(push(&queue, [receipt(&source), receipt(&source)]), Pushed::Awake);
    let received_at = std::time::Instant::now();
    assert!(
        queue.take_what_waits_since(received_at - std::time::Duration::from_secs(5)).is_empty(),
        "it may wait a little"
    );
    let taken = queue.take_what_waits_since(received_at + std::time::Duration::from_secs(5));
    assert_eq!((taken.len(), queue.waiting_events(), queue.held_bytes()), (2, 0, 0));
    assert_eq!(push(&queue, taken), Pushed::Awake, "the next actor is on its way");
    queue.close();
}

#[test]
fn what_waits_is_counted_for_the_read_window_until_it_is_taken() {
    let flow = Arc::new(FlowCounters::new(1));
    let queue = queue_counted_by(&flow);
    let (source, mut taken) = (TestSource::new(), Vec::new());
    let push = |events: usize| {
        let _ = push(&queue, (0..events).map(|_| receipt(&source)));
    };
    push(3);
    assert_eq!(flow.waiting(), 3);
    queue.take(&mut taken);
    assert_eq!(flow.waiting(), 0);
    push(2);
    queue.detach_dead();
    push(1);
    assert_eq!(flow.waiting(), 0, "an endpoint whose actor died holds up nobody's reading");
    queue.attach(Arc::new(Wakes::default()));
    assert_eq!(flow.waiting(), 3);
    queue.detach_dead();
    let late = std::time::Instant::now() + std::time::Duration::from_secs(60);
    Receipt::settle_all(queue.take_what_waits_since(late), Settlement::Cancelled);
    queue.attach(Arc::new(Wakes::default()));
    push(1);
    queue.close();
    assert_eq!(flow.waiting(), 0);
    Receipt::settle_all(taken, Settlement::Cancelled);
}

#[test]
fn an_actor_hears_of_narrower_subscriptions_once_and_a_queue_that_holds_nothing_keeps_none() {
    let (queue, wakes) = (queue(), Arc::new(Wakes::default()));
    queue.narrow();
    assert!(queue.narrowed().is_none(), "nobody has anything");
    queue.attach(Arc::clone(&wakes) as _);
    let mut taken = Vec::new();
    drop(queue.take(&mut taken));
    queue.narrow();
    queue.narrow();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(!queue.try_detach(), "its actor has to look");
    assert!(queue.take(&mut taken).narrowed.is_some() && queue.narrowed().is_none());
}

#[test]
fn what_waits_for_an_actor_that_is_not_there_is_matched_by_the_next_one() {
    let (queue, source) = (queue(), TestSource::new());
    let _ = push(&queue, [receipt(&source)]);
    queue.narrow();
    queue.attach(Arc::new(Wakes::default()));
    assert!(queue.narrowed().is_some());
    queue.close();
}

#[test]
fn what_was_matched_before_subscriptions_became_narrower_is_matched_again() {
    let (queue, source) = (queue(), TestSource::new());
    let matched_by = |narrowings: u64| {
        let _ = queue.push([receipt(&source)], narrowings);
        let mut taken = Vec::new();
        let is_matched_again = queue.take(&mut taken).narrowed.is_some();
        Receipt::settle_all(taken, Settlement::Cancelled);
        is_matched_again
    };
    assert!(!matched_by(Nobody.narrowings()));
    assert!(matched_by(MATCHED_LONG_AGO));
}
