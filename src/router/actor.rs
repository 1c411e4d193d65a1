//! ● One router actor per core: looks each event up and puts its receipts into the endpoints' queues.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, WrapFuture as _};
use smallvec::SmallVec;

use super::{
    index::{Matches, TopicIndex},
    table::RoutingTable,
};
use crate::{
    dead_letter::{
        letter::{Letter, NO_ENDPOINT},
        writer::DeadLetterWriter,
    },
    endpoint::{
        queue::{EndpointQueue, Pushed},
        supervisor::Notices,
    },
    ingest::{actor::RouteEvents, ledger::PartitionLedger},
    model::{
        disposition::{GivenUp, Reason},
        event::{EndpointKey, Event},
        receipt::{Done, Receipt, Settlement},
    },
    telemetry::handles::RoutingMetrics,
};

/// Chunks that may wait for one router; beyond it they wait with the ingest actors.
const MAILBOX_CHUNKS_MAX: usize = 256;

pub struct Router {
    table: Arc<RoutingTable>,
    notices: Notices,
    metrics: RoutingMetrics,
    /// Events that each core has routed, and which of them is this one.
    load: Arc<Vec<AtomicU64>>,
    core: usize,
    dead_letters: DeadLetterWriter,
    /// The chunk at hand with its ledger, and how many of its events were routed.
    ledger: Option<Arc<PartitionLedger>>,
    events: Vec<Arc<Event>>,
    done: usize,
    /// [`RoutingTable::narrowings`] before the chunk at hand was matched.
    narrowings: u64,
    /// Endpoints that get the events of the chunk at hand: all of them, one after the other.
    matched: Vec<EndpointKey>,
    /// Places in `matched` at which each event's endpoints end.
    ends: Vec<usize>,
    /// Receipts of this turn, in the order of its events.
    routed: Vec<Receipt>,
}

impl Router {
    #[must_use]
    pub fn new(
        table: Arc<RoutingTable>,
        notices: Notices,
        dead_letters: DeadLetterWriter,
        load: Arc<Vec<AtomicU64>>,
        core: usize,
    ) -> Self {
        Router {
            table,
            notices,
            metrics: RoutingMetrics::new(),
            load,
            core,
            dead_letters,
            ledger: None,
            events: Vec::new(),
            done: 0,
            narrowings: 0,
            matched: Vec::new(),
            ends: Vec::new(),
            routed: Vec::new(),
        }
    }

    /// Looks every event up before any receipt is opened: one that makes our own code panic costs the others nothing,
    /// and becomes a dead letter itself.
    fn match_all(&mut self, events: &[Arc<Event>]) {
        let Some(first) = events.first() else { return };
        let table = Arc::clone(&self.table);
        self.narrowings = table.narrowings();
        let index = table.index();
        let topic = index.topic(first.topic());
        let mut matches = Matches::new();
        let all = || events.iter().for_each(|event| self.match_one(event, topic, &mut matches));
        if catch_unwind(AssertUnwindSafe(all)).is_ok() {
            return;
        }
        self.matched.clear();
        self.ends.clear();
        for event in events {
            let one = || self.match_one(event, topic, &mut matches);
            if catch_unwind(AssertUnwindSafe(one)).is_err() {
                tracing::error!(?event, "an event makes the router panic; it becomes a dead letter");
                self.matched.truncate(self.ends.last().copied().unwrap_or(0));
                self.matched.push(NO_ENDPOINT);
                self.ends.push(self.matched.len());
            }
        }
    }

    fn match_one(&mut self, event: &Event, topic: Option<TopicIndex<'_>>, matches: &mut Matches) {
        panic_if_told(event);
        if let Some(topic) = topic {
            topic.matches(event.tenant(), event.department(), matches);
            self.matched.extend_from_slice(matches);
        }
        self.ends.push(self.matched.len());
    }

    /// Number of events from `done` on that are routed in one turn: one that many endpoints want makes nobody wait for
    /// all of them.
    fn helping(&self) -> usize {
        let before = self.done.checked_sub(1).map_or(0, |last| self.ends[last]);
        let fits = self.ends[self.done..].iter().take_while(|end| **end - before <= TURN_RECEIPTS_MAX).count();
        fits.max(1).min(self.ends.len() - self.done)
    }

    /// Opens the receipts of some events that were matched.
    fn open(&mut self, events: &[Arc<Event>]) {
        let Some(first) = events.first() else { return };
        let mut unmatched: SmallVec<[Done; 16]> = SmallVec::new();
        let mut from = self.done.checked_sub(1).map_or(0, |last| self.ends[last]);
        for (event, to) in events.iter().zip(&self.ends[self.done..]) {
            if from == *to {
                unmatched.push(Done { offset: event.offset(), weight_bytes: event.weight_bytes() });
            }
            event.open_receipts(&self.matched[from..*to], |_, receipt| self.routed.push(receipt));
            from = *to;
        }
        if !unmatched.is_empty() {
            first.source.settled(Settlement::Cancelled, 0, &unmatched);
        }
        self.table.flow().core(self.core).routed(events.len(), self.routed.len());
        self.metrics.routed.increment((events.len() - unmatched.len()) as u64);
        self.metrics.unmatched.increment(unmatched.len() as u64);
        self.metrics.receipts_opened.increment(self.routed.len() as u64);
    }

    /// Hands out the receipts; those of one endpoint go into its queue at once.
    fn dispatch(&mut self, events: usize) {
        if self.routed.len() > events {
            // Stable: the events of each stay in their order.
            self.routed.sort_by_key(Receipt::endpoint);
        }
        let endpoints = self.table.endpoints();
        let dead_letters = &self.dead_letters;
        let mut receipts = self.routed.drain(..).peekable();
        while let Some(first) = receipts.next() {
            let key = first.endpoint();
            let run =
                std::iter::once(first).chain(std::iter::from_fn(|| receipts.next_if(|next| next.endpoint() == key)));
            match endpoints.get(key) {
                None if key == NO_ENDPOINT => dead_letters.submit(run.map(letter_of)),
                Some(queue) => push(queue, run, self.narrowings, &self.notices),
                // Deleted since the snapshot was taken.
                None => Receipt::settle_all(run, Settlement::Cancelled),
            }
        }
    }
}

fn letter_of(receipt: Receipt) -> Letter {
    Letter::of_record(GivenUp { receipt, reason: Reason::Internal, attempts: 0, last: None })
}

/// Compiled in for the tests alone: events of this type are poisonous.
fn panic_if_told(_event: &Event) {
    fail::fail_point!("route-event", |kind| assert_ne!(kind.as_deref(), Some(_event.kind()), "a poisonous event"));
}

/// Puts receipts into a queue (see [`EndpointQueue::push`]), and asks for an actor when none runs.
pub fn push(
    queue: &Arc<EndpointQueue>,
    receipts: impl IntoIterator<Item = Receipt>,
    narrowings: u64,
    notices: &Notices,
) {
    if queue.push(receipts, narrowings) == Pushed::NeedsActor {
        notices.needs_actor(queue);
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_CHUNKS_MAX);
    }
}

impl Handler<RouteEvents> for Router {
    type Result = ();

    fn handle(&mut self, RouteEvents { ledger, events }: RouteEvents, ctx: &mut Context<Self>) {
        self.load[self.core].fetch_add(events.len() as u64, Relaxed);
        ledger.routed(events.len());
        // Before as well: the hold may end, and the index be whole, while they are matched against the one before.
        let was_incomplete = self.is_incomplete(&events);
        self.match_all(&events);
        if was_incomplete || self.is_incomplete(&events) {
            // What was under way when the topic was held: it is read again when that is over.
            ledger.fail();
            self.forget_matches();
            return;
        }
        (self.ledger, self.events, self.done) = (Some(ledger), events, 0);
        self.go_on(ctx);
    }
}

impl Router {
    /// True if these, which are of one topic, may match less than they should.
    fn is_incomplete(&self, events: &[Arc<Event>]) -> bool {
        events.first().is_some_and(|first| self.table.holds().is_held(first.topic()))
    }

    /// Routes some of the chunk at hand, and the rest after others had a turn; the next chunk waits until then.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.route_some() {
            ctx.wait(tokio::task::yield_now().into_actor(self).map(|(), router, ctx| router.go_on(ctx)));
        }
    }

    /// True when some of the chunk is left.
    fn route_some(&mut self) -> bool {
        let events = std::mem::take(&mut self.events);
        let count = self.helping();
        // A panic here must cost this chunk a second reading, not the core its router.
        let routed = catch_unwind(AssertUnwindSafe(|| {
            fail::fail_point!("route-chunk");
            self.open(&events[self.done..][..count]);
            self.dispatch(count);
        }));
        self.done += count;
        if routed.is_err() {
            self.routed.clear();
            if let Some(ledger) = &self.ledger {
                ledger.fail();
            }
        } else if self.done < events.len() {
            self.events = events;
            return true;
        }
        self.forget_matches();
        false
    }

    fn forget_matches(&mut self) {
        self.matched.clear();
        self.ends.clear();
        self.done = 0;
    }
}

/// Receipts that a router opens in one turn, if no single event needs more.
const TURN_RECEIPTS_MAX: usize = 2_048;

#[cfg(test)]
mod tests;
