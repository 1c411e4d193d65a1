//! ● One router actor per core: looks each event up and puts its receipts into the endpoints' queues.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actix::{Actor, Context, Handler, Message};
use smallvec::SmallVec;

use super::table::RoutingTable;
use crate::{
    endpoint::{
        queue::{EndpointQueue, Pushed},
        supervisor::Notices,
    },
    event::{EndpointKey, Event},
    ingest::backpressure::Downstream as _,
    ingest::receipt::{Done, Receipt, Settlement},
    telemetry::handles::RoutingMetrics,
};

/// Events of one partition, in offset order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    pub events: Vec<Arc<Event>>,
}

/// Chunks that may wait for one router; beyond it they wait with the ingest actors.
const MAILBOX_CHUNKS_MAX: usize = 256;

pub struct Router {
    table: Arc<RoutingTable>,
    notices: Notices,
    metrics: RoutingMetrics,
    /// Receipts of the chunk at hand, in the order of its events.
    routed: Vec<Receipt>,
}

impl Router {
    #[must_use]
    pub fn new(table: Arc<RoutingTable>, notices: Notices) -> Self {
        Router { table, notices, metrics: RoutingMetrics::new(), routed: Vec::new() }
    }

    fn route(&mut self, events: &[Arc<Event>]) {
        let Some(first) = events.first() else { return };
        let index = self.table.index();
        let topic = index.topic(first.topic());
        let mut matches: SmallVec<[EndpointKey; 8]> = SmallVec::new();
        let mut unmatched: SmallVec<[Done; 16]> = SmallVec::new();
        for event in events {
            matches.clear();
            if let Some(topic) = topic {
                topic.matches(event.tenant(), event.department(), &mut matches);
            }
            if matches.is_empty() {
                unmatched.push(Done { offset: event.offset(), weight_bytes: event.weight_bytes() });
            }
            event.open_receipts(&matches, |_, receipt| self.routed.push(receipt));
        }
        if !unmatched.is_empty() {
            first.origin.events_done(&unmatched);
        }
        self.metrics.routed.increment((events.len() - unmatched.len()) as u64);
        self.metrics.unmatched.increment(unmatched.len() as u64);
        self.metrics.receipts_opened.increment(self.routed.len() as u64);
    }

    /// Runs of one endpoint go into its queue at once.
    fn dispatch(&mut self, chunk_of: &Arc<Event>) {
        let endpoints = self.table.endpoints();
        let mut receipts = self.routed.drain(..).peekable();
        while let Some(first) = receipts.next() {
            let key = first.endpoint();
            let run =
                std::iter::once(first).chain(std::iter::from_fn(|| receipts.next_if(|next| next.endpoint() == key)));
            match endpoints.get(key) {
                Some(queue) => dispatch_run(queue, chunk_of, run, &self.notices),
                // Deleted since the snapshot was taken.
                None => Receipt::settle_all(run, Settlement::Cancelled),
            }
        }
    }
}

/// Puts receipts into a queue, and asks for an actor when none runs.
pub fn push(queue: &Arc<EndpointQueue>, receipts: impl IntoIterator<Item = Receipt>, notices: &Notices) {
    if queue.push(receipts) == Pushed::NeedsActor {
        notices.needs_actor(queue);
    }
}

/// A chunk's worth of one endpoint; tells where it came from when that is more than the endpoint should hold.
fn dispatch_run(queue: &Arc<EndpointQueue>, first: &Arc<Event>, run: impl Iterator<Item = Receipt>, notices: &Notices) {
    push(queue, run, notices);
    if queue.is_full() {
        first.origin.found_full(Arc::clone(queue) as _);
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_CHUNKS_MAX);
    }
}

impl Handler<Route> for Router {
    type Result = ();

    fn handle(&mut self, Route { events }: Route, _: &mut Context<Self>) {
        // A panic here must cost this chunk a second reading, not the core its router.
        let routed = catch_unwind(AssertUnwindSafe(|| {
            fail::fail_point!("route-chunk");
            self.route(&events);
            if let Some(first) = events.first() {
                self.dispatch(first);
            }
        }));
        if routed.is_err() {
            self.routed.clear();
            if let Some(event) = events.first() {
                event.origin.fail();
            }
        }
    }
}
