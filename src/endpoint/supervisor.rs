//! ● Starts endpoint actors on the least loaded core, rebuilds them after a panic, and notes when they retire.
//!
//! actix's own supervisor restarts neither after a panic nor with fresh state, so this one rebuilds from the
//! settings: no state of a dead actor is used again.

use std::{
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{Actor, ArbiterHandle, AsyncContext, Context, StreamHandler};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    actor::{Core, EndpointActor},
    placement::Placement,
    queue::EndpointQueue,
};
use crate::{
    backlog::writer::BacklogWriter,
    clock,
    model::{disposition::Parked, event::EndpointKey, parking::Parking, receipt::Receipt},
    telemetry::handles::EndpointMetrics,
};

/// A crash this long after the one before it counts as the first again.
const CRASHES_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

const PARK_EVERY: Duration = Duration::from_secs(1);

/// Channel to the supervisor, for any thread. Unbounded, because each endpoint has at most one notice of each kind
/// under way: their number is the bound.
#[derive(Clone, Debug)]
pub struct Notices(UnboundedSender<Notice>);

enum Notice {
    NeedsActor(Arc<EndpointQueue>),
    Died {
        queue: Arc<EndpointQueue>,
        core: usize,
    },
    Replaced {
        queue: Arc<EndpointQueue>,
        core: usize,
    },
    Retired {
        core: usize,
    },
    /// The endpoint is gone, as this version of its settings names it.
    Gone(Arc<EndpointQueue>, i64),
}

/// The other end of [`Notices`].
pub struct NoticeReceiver(UnboundedReceiver<Notice>);

impl Notices {
    #[must_use]
    pub fn channel() -> (Notices, NoticeReceiver) {
        let (sender, receiver) = unbounded_channel();
        (Notices(sender), NoticeReceiver(receiver))
    }

    pub fn needs_actor(&self, queue: &Arc<EndpointQueue>) {
        self.send(Notice::NeedsActor(Arc::clone(queue)));
    }

    pub(super) fn died(&self, queue: &Arc<EndpointQueue>, core: usize) {
        self.send(Notice::Died { queue: Arc::clone(queue), core });
    }

    pub(super) fn replaced(&self, queue: &Arc<EndpointQueue>, core: usize) {
        self.send(Notice::Replaced { queue: Arc::clone(queue), core });
    }

    pub(super) fn retired(&self, core: usize) {
        self.send(Notice::Retired { core });
    }

    /// The endpoint answered 410, with settings of this version.
    pub(super) fn gone(&self, queue: &Arc<EndpointQueue>, version: i64) {
        self.send(Notice::Gone(Arc::clone(queue), version));
    }

    fn send(&self, notice: Notice) {
        // Fails only when the supervisor is gone, which happens when the process ends.
        let _ = self.0.send(notice);
    }
}

thread_local! {
    /// State that the endpoint actors of this thread share; set once, before any of them starts.
    static CORE: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// Makes this thread a core that endpoint actors can run on.
pub fn install_core(core: Core) {
    CORE.with(|slot| *slot.borrow_mut() = Some(Rc::new(core)));
}

/// The settings of rebuilding, from `[delivery]`.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild {
    pub base: Duration,
    pub max: Duration,
}

/// Callback for an endpoint that answered 410.
pub type OnGone = Box<dyn Fn(&Arc<EndpointQueue>, i64)>;

/// One a process.
pub struct Supervisor {
    receiver: Option<UnboundedReceiver<Notice>>,
    arbiters: Vec<ArbiterHandle>,
    placement: Placement,
    /// Events that each core has routed.
    routed: Arc<Vec<AtomicU64>>,
    rebuild: Rebuild,
    crashes: HashMap<EndpointKey, Crashes>,
    /// Endpoints whose actors died and are not rebuilt yet. What comes for them meanwhile goes into the backlog when it has waited
    /// as long as an actor would let it.
    dead: HashMap<EndpointKey, Arc<EndpointQueue>>,
    backlog: BacklogWriter,
    park_after: Duration,
    /// Called when an endpoint answered 410: writes it down as disabled.
    on_gone: OnGone,
    metrics: EndpointMetrics,
}

#[derive(Clone, Copy)]
struct Crashes {
    in_a_row: u32,
    last: Instant,
}

impl Supervisor {
    #[must_use]
    pub fn new(
        NoticeReceiver(receiver): NoticeReceiver,
        arbiters: Vec<ArbiterHandle>,
        routed: Arc<Vec<AtomicU64>>,
        rebuild: Rebuild,
        (backlog, park_after): (BacklogWriter, Duration),
        on_gone: OnGone,
    ) -> Self {
        let placement = Placement::new(arbiters.len(), clock::now());
        Supervisor {
            receiver: Some(receiver),
            arbiters,
            placement,
            routed,
            rebuild,
            crashes: HashMap::new(),
            dead: HashMap::new(),
            backlog,
            park_after,
            on_gone,
            metrics: EndpointMetrics::new(),
        }
    }

    fn start_actor(&mut self, queue: Arc<EndpointQueue>) {
        self.dead.remove(&queue.key);
        let core = self.placement.place(self.routed.iter().map(|routed| routed.load(Relaxed)), clock::now());
        self.show_actors();
        let seed = rand::random();
        let is_started = self.arbiters[core].spawn_fn(move || {
            let core = CORE.with(|slot| slot.borrow().clone()).expect("cores are installed before actors start");
            let new = || EndpointActor::new(Arc::clone(&queue), Rc::clone(&core), seed);
            match catch_unwind(AssertUnwindSafe(new)) {
                Ok(actor) => drop(actor.start()),
                Err(_panic) => {
                    queue.detach_dead();
                    core.notices.died(&queue, core.index);
                }
            }
        });
        if !is_started {
            tracing::error!("an endpoint's core is gone; the process stops");
        }
    }

    fn show_actors(&self) {
        self.metrics.actors.set(self.placement.actors() as f64);
    }

    fn died(&mut self, queue: Arc<EndpointQueue>, core: usize, ctx: &mut Context<Self>) {
        self.placement.ended(core);
        let crashes = note_crash(self.crashes.get(&queue.key).copied(), clock::now());
        self.crashes.insert(queue.key, crashes);
        let wait = rebuild_wait(self.rebuild, crashes.in_a_row);
        self.metrics.restarts.increment(1);
        tracing::error!(
            endpoint.id = %queue.id, crashes = crashes.in_a_row, wait_ms = wait.as_millis(),
            "endpoint actor died of a panic; it is rebuilt from its settings"
        );
        self.dead.insert(queue.key, Arc::clone(&queue));
        ctx.run_later(wait, move |supervisor, _| supervisor.start_actor(queue));
    }

    /// Nobody waits for an actor that is not there: not a partition's commit either.
    fn park_for_the_dead(&self, now: Instant) {
        let Some(before) = now.checked_sub(self.park_after) else { return };
        for queue in self.dead.values() {
            let waiting = queue.take_what_waits_since(before);
            if waiting.is_empty() {
                continue;
            }
            let settings = queue.settings();
            let waiting = self.backlog.skip_missed(&settings, waiting);
            self.backlog.submit(&settings, waiting.into_iter().map(|receipt| parked(&queue.id, receipt)).collect());
        }
    }
}

/// Leaves memory with nothing known of its next attempt.
fn parked(endpoint_id: &Arc<str>, receipt: Receipt) -> Parked {
    let parking = Parking::begin(&receipt.event().source, endpoint_id, None);
    let attempts = receipt.attempts_so_far();
    Parked { receipt, attempts, last: None, in_flight_until: None, not_before: None, parking }
}

fn note_crash(before: Option<Crashes>, now: Instant) -> Crashes {
    let in_a_row = match before {
        Some(before) if now.duration_since(before.last) < CRASHES_FORGOTTEN_AFTER => before.in_a_row.saturating_add(1),
        _ => 1,
    };
    Crashes { in_a_row, last: now }
}

fn rebuild_wait(rebuild: Rebuild, crashes_in_a_row: u32) -> Duration {
    rebuild.base.saturating_mul(1 << crashes_in_a_row.saturating_sub(1).min(20)).min(rebuild.max)
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut receiver) = self.receiver.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |task| receiver.poll_recv(task)));
        }
        ctx.run_interval(PARK_EVERY, |supervisor, _| supervisor.park_for_the_dead(clock::now()));
    }
}

impl StreamHandler<Notice> for Supervisor {
    fn handle(&mut self, notice: Notice, ctx: &mut Context<Self>) {
        match notice {
            Notice::NeedsActor(queue) => self.start_actor(queue),
            Notice::Died { queue, core } => self.died(queue, core, ctx),
            Notice::Replaced { queue, core } => {
                self.placement.ended(core);
                self.crashes.remove(&queue.key);
                self.start_actor(queue);
            }
            Notice::Retired { core } => {
                self.placement.ended(core);
                self.show_actors();
            }
            Notice::Gone(queue, version) => (self.on_gone)(&queue, version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_in_a_row_double_the_wait_up_to_the_maximum() {
        let rebuild = Rebuild { base: Duration::from_millis(100), max: Duration::from_secs(30) };
        assert_eq!(rebuild_wait(rebuild, 1), Duration::from_millis(100));
        assert_eq!(rebuild_wait(rebuild, 3), Duration::from_millis(400));
        assert_eq!(rebuild_wait(rebuild, 60), Duration::from_secs(30));
    }

    #[test]
    fn a_crash_after_a_quiet_minute_is_the_first_again() {
        let start = clock::now();
        let first = note_crash(None, start);
        let second = note_crash(Some(first), start + Duration::from_secs(1));
        assert_eq!(second.in_a_row, 2);
        let later = note_crash(Some(second), start + Duration::from_secs(61));
        assert_eq!(later.in_a_row, 1);
    }
}
