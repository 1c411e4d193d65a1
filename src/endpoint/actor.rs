//! ● The thin shell around [`Delivery`]: reads the clock once, hands the machine what happened, carries out its effects.
//!
//! **Invariant:** nothing that must survive a panic lives here: events wait in the [`EndpointQueue`], and those the
//! machine holds come back through their receipts.

mod answers; // what came in since the last turn
mod retiring; // when it gives its memory back
mod core; // what those of one core share
mod permits; // whether requests may begin
mod narrowed; // what its subscriptions no longer give it
mod remembering; // what the next one must know
mod gauges; // what others see of it
mod traced; // what a trace hears of it

use std::{rc::Rc, sync::Arc, sync::atomic::Ordering::Relaxed, time::Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};

pub use self::core::Core;
use self::{
    answers::{Answers, OwedAnswer},
    permits::PermitRequest,
};
use super::{
    breaker::BreakerState,
    delivery::{AttemptId, Delivery, Effect, Permits, StateChange},
    queue::{Drain, EndpointQueue, TakenFromQueue, Wake},
    request,
    request_sender::RequestSender,
    subscribed::Subscribed,
};
use crate::{
    clock,
    model::{
        receipt::{
            Receipt, Settlement,
            suspects::{self, Handling},
        },
        settings::Settings,
    },
};

/// Look at the queue, the answers and the settings.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TakeTurn;

impl Message for Drain {
    type Result = ();
}

/// One customer endpoint that has something to do.
pub struct EndpointActor {
    queue: Arc<EndpointQueue>,
    core: Rc<Core>,
    settings: Arc<Settings>,
    delivery: Delivery,
    target: RequestSender,
    answers: Rc<Answers>,
    /// Its place in the queue for permits.
    to_send: Rc<PermitRequest>,
    /// Its place in the queue for its turn to park.
    to_park: Rc<PermitRequest>,
    /// No other actor's, so that no two attempts share a span.
    seed: u64,
    /// Given to the machine at each turn.
    taken: Vec<Receipt>,
    timer: Option<(Instant, SpawnHandle)>,
    idle_since: Option<Instant>,
    /// The trouble is ours, and the machine knows.
    held_back: bool,
    shown_silent_until: Option<Instant>,
    /// Events that count in the read window, as the core's counters know it.
    shown_waiting: usize,
    /// The oldest event held, and when that was looked for.
    shown_oldest: (Option<Instant>, Instant),
    draining: bool,
    retired: bool,
    /// Someone asked for a new actor in its place.
    replaced: bool,
}

impl EndpointActor {
    #[must_use]
    pub fn new(queue: Arc<EndpointQueue>, core: Rc<Core>, seed: u64) -> Self {
        fail::fail_point!("endpoint-new");
        let (settings, now) = (queue.settings(), clock::now());
        let delivery = Delivery::new(Arc::clone(&settings), core.limits, seed, now);
        let remembered = queue.health.remembered.lock().take();
        queue.health.breaker.store(BreakerState::Closed as u32, Relaxed); // a retired actor's breaker is not counted
        let delivery = match remembered {
            Some(remembered) => delivery.remembering(*remembered, now),
            None => delivery,
        };
        let target = RequestSender::new(Arc::clone(&settings));
        EndpointActor {
            queue,
            core,
            settings,
            delivery,
            target,
            answers: Rc::default(),
            to_send: Rc::default(),
            to_park: Rc::default(),
            seed,
            taken: Vec::new(),
            timer: None,
            idle_since: None,
            held_back: false,
            shown_silent_until: None,
            shown_waiting: 0,
            shown_oldest: (None, now),
            draining: false,
            retired: false,
            replaced: false,
        }
    }

    fn turn(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        if self.queue.settings().restarts > self.settings.restarts {
            return self.make_way(ctx);
        }
        self.offer_permits(now);
        let adopted = self.adopt_narrowed();
        self.adopt_settings(now);
        self.adopt_local_outage(now);
        if let Some(count) = self.queue.take_backlog_rows() {
            self.delivery.handle_backlog_rows(count, now);
        }
        if self.queue.health.probe_wanted.swap(false, Relaxed) {
            self.delivery.handle_probe_wanted(now);
        }
        if self.settings.delivery.rate_limit.is_some() {
            self.delivery.handle_instances(self.core.instances.load(Relaxed), now);
        }
        self.take_answers(now);
        let was_narrowed = self.take_events(adopted, now);
        if self.held_back && self.core.local_outage.takes_trial(self.queue.key) {
            self.delivery.handle_trial(now);
        }
        if self.settings.delivery.ordering.is_some() || self.was_handed_something() || was_narrowed {
            self.delivery.handle_timeout(now); // what it waited for may be over
        }
        self.settle_turn(ctx, now);
    }

    /// Ends a turn: effects, health, the timer, and the end of the actor if there is nothing left to live for.
    fn settle_turn(&mut self, ctx: &mut Context<Self>, now: Instant) {
        self.carry_out(ctx, now);
        self.settle_permits(|| ctx.address());
        self.show_health(now);
        if self.queue.is_closed() {
            self.cancel_all();
            self.core.report.breaker(&self.queue.health, BreakerState::Closed);
            return self.retire(ctx);
        }
        if self.held_back && self.delivery.queued_events() > 0 {
            self.core.local_outage.wants_trial(self.queue.key);
        }
        self.arm_timer(ctx, now);
    }

    /// While the trouble is ours the machine holds everything back, before it hears of another answer.
    fn adopt_local_outage(&mut self, now: Instant) {
        let held_back = self.core.local_outage.is_on();
        if held_back != self.held_back {
            self.held_back = held_back;
            self.delivery.handle_local_outage(held_back, now);
        }
    }

    fn adopt_settings(&mut self, now: Instant) {
        let newest = self.queue.settings();
        if !Arc::ptr_eq(&newest, &self.settings) {
            self.settings = Arc::clone(&newest);
            self.target = RequestSender::new(Arc::clone(&newest));
            self.delivery.handle_settings(newest, now);
        }
    }

    /// True if the subscriptions became narrower, of which `adopted` are known to the machine.
    fn take_events(&mut self, adopted: Option<Arc<Subscribed>>, now: Instant) -> bool {
        let TakenFromQueue { mut stored, narrowed } = self.queue.take(&mut self.taken);
        if let Some(subscribed) = &narrowed {
            stored = self.match_again(stored, subscribed, adopted);
        }
        if self.settings.suspended || self.settings.delivery.ordering.is_some() {
            self.taken = self.core.backlog.skip_missed(&self.settings, std::mem::take(&mut self.taken));
        }
        if let Some(first) = self.taken.first() {
            let wait = now.saturating_duration_since(first.event().received_at);
            self.core.counters().waited(self.taken.len(), wait);
            fail::fail_point!("endpoint-turn");
            self.delivery.handle_events(std::mem::take(&mut self.taken), now);
        }
        if !stored.is_empty() {
            self.delivery.handle_stored(stored, now);
        }
        narrowed.is_some()
    }

    fn carry_out(&mut self, ctx: &mut Context<Self>, now: Instant) {
        let mut wall_ms = None;
        while let Some(effect) = self.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => {
                    let wall_ms = *wall_ms.get_or_insert_with(clock::wall_ms);
                    self.send(attempt, ctx.address(), now, wall_ms);
                }
                Effect::Settle { receipts, how } => {
                    if how == Settlement::Delivered {
                        self.queue.health.delivered.fetch_add(receipts.len() as u64, Relaxed);
                    }
                    self.note_cancelled(&receipts, how);
                    self.count_ended(receipts.iter());
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => {
                    self.trace_storing(parked.iter().map(|parked| &parked.receipt), now);
                    self.core.backlog.submit(&self.settings, parked);
                }
                Effect::Unpark(events) => self.core.backlog.remove(&self.settings, &events),
                Effect::DeadLetter(given_up) => {
                    self.core.report.given_up(&given_up);
                    self.queue.health.given_up.fetch_add(given_up.len() as u64, Relaxed);
                    self.count_ended(given_up.iter().map(|given_up| &given_up.receipt));
                    self.trace_storing(given_up.iter().map(|given_up| &given_up.receipt), now);
                    self.core.dead_letters.submit_given_up(&self.settings, given_up);
                }
                Effect::StateChanged(change) => self.state_changed(&change),
            }
        }
    }

    fn send(&mut self, attempt: AttemptId, address: Addr<Self>, now: Instant, wall_ms: i64) {
        let Some(batch) = self.delivery.batch(attempt) else {
            debug_assert!(false, "a batch stays with the machine until its outcome");
            return;
        };
        let handling = Handling::of(batch.events());
        let mut request = request::build(batch.events(), &self.settings, wall_ms);
        if let Some(tracer) = &self.core.tracer {
            let number = self.attempt_number(attempt);
            let alone = batch.events().next().filter(|_| batch.len() == 1);
            request.trace = alone.and_then(|event| tracer.context_of(event, &self.settings, self.queue.key, number));
        }
        let permit = self.take_permit();
        let sending = self.target.send_with(&self.core.client, permit, request);
        handling.over();
        let owed = OwedAnswer { answers: Rc::clone(&self.answers), address, attempt, sent_at: now, sent: None };
        actix_rt::spawn(async move {
            let sent = sending.await;
            owed.arrive(sent);
        });
    }

    fn state_changed(&self, change: &StateChange) {
        self.core.report.state_change(&self.settings, &self.queue.health, change);
        if *change == StateChange::Gone {
            self.core.notices.gone(&self.queue, self.settings.version);
        }
    }

    /// One timer, for whichever comes first: what the machine waits for, or retiring.
    fn arm_timer(&mut self, ctx: &mut Context<Self>, now: Instant) {
        let due = match self.delivery.poll_timeout() {
            Some(due) => {
                self.idle_since = None;
                due
            }
            None => match self.retires_at(now) {
                Some(due) => due,
                None => return,
            },
        };
        // A timer that fires too early costs a look; moving it back at every turn would cost more.
        match self.timer {
            Some((armed, _)) if armed <= due => return,
            Some((_, handle)) => {
                ctx.cancel_future(handle);
            }
            None => {}
        }
        let handle = ctx.run_later(due.saturating_duration_since(now), |actor, ctx| {
            actor.timer = None;
            actor.timed_out(ctx);
        });
        self.timer = Some((due, handle));
    }

    fn timed_out(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        self.offer_permits(now);
        let _ = self.adopt_narrowed(); // the turn that takes what waits is on its way
        self.adopt_local_outage(now);
        let idle_out = self.idle_since.is_some_and(|since| now.duration_since(since) >= self.core.idle_after);
        // An open breaker is remembered: a new actor would begin with a closed one.
        let idle_out = idle_out && self.delivery.silent_until(now).is_none();
        if idle_out && !self.draining && self.delivery.is_idle() && self.try_detach() {
            return self.retire(ctx);
        }
        self.delivery.handle_timeout(now);
        self.settle_turn(ctx, now);
    }

    fn cancel_all(&mut self) {
        let held = self.delivery.take_held().into_iter().map(|parked| parked.receipt);
        Receipt::settle_all(held, Settlement::Cancelled);
    }

    fn retire(&mut self, ctx: &mut Context<Self>) {
        self.retired = true;
        self.queue.show_lagging(false); // the next actor begins with what comes
        self.queue.health.forget_actor();
        ctx.stop();
    }
}

impl Actor for EndpointActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.queue.attach(Arc::new(Waker(ctx.address())));
        self.turn(ctx);
    }
}

impl Handler<TakeTurn> for EndpointActor {
    type Result = ();

    fn handle(&mut self, _: TakeTurn, ctx: &mut Context<Self>) {
        self.turn(ctx);
    }
}

impl Handler<Drain> for EndpointActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Context<Self>) {
        let now = clock::now();
        self.draining = true;
        match drain {
            Drain::Send => self.offer_permits(now),
            Drain::Park => self.delivery.handle_permits(Permits::NONE), // nothing begins that would be parked at once
        }
        let adopted = self.adopt_narrowed();
        self.adopt_local_outage(now);
        self.take_events(adopted, now);
        match drain {
            Drain::Send => self.delivery.handle_stop(now),
            Drain::Park => {
                let held = self.delivery.take_held();
                self.core.backlog.submit(&self.settings, held);
            }
        }
        self.settle_turn(ctx, now);
    }
}

impl Drop for EndpointActor {
    fn drop(&mut self) {
        self.show_waiting(0);
        if self.retired {
            return self.core.notices.retired(self.core.index);
        }
        self.core.report.breaker(&self.queue.health, BreakerState::Closed);
        // After a panic in a handler the receipts that the machine held come back by themselves: now, while it is known which
        // of them were being handled.
        drop(std::mem::take(&mut self.taken));
        self.delivery.abandon();
        suspects::forget();
        self.queue.detach_dead();
        if self.replaced {
            self.core.notices.replaced(&self.queue, self.core.index);
        } else {
            self.core.notices.died(&self.queue, self.core.index);
        }
    }
}

struct Waker(Addr<EndpointActor>);

impl Wake for Waker {
    fn wake(&self) {
        // A full mailbox holds a wake already; a closed one belongs to an actor whose death is being reported.
        let _ = self.0.try_send(TakeTurn);
    }

    fn drain(&self, drain: Drain) {
        // A full mailbox: the one who drains asks again.
        let _ = self.0.try_send(drain);
    }
}
