//! ● Knowledge that an actor leaves for the next one.

use std::sync::atomic::Ordering::Relaxed;

use actix::{ActorContext as _, Context};

use super::EndpointActor;
use crate::endpoint::{breaker::BreakerState, delivery::Remembered};

impl EndpointActor {
    /// The next actor may start as soon as this one is detached: what it must know is there before.
    pub(super) fn try_detach(&self) -> bool {
        let health = &self.queue.health;
        let remembered = self.delivery.remember();
        let breaker = remembered.as_ref().map_or(BreakerState::Closed, Remembered::breaker_state);
        self.core.report.breaker(health, BreakerState::Closed);
        health.breaker.store(breaker as u32, Relaxed);
        *health.remembered.lock() = remembered.map(Box::new);
        let is_detached = self.queue.try_detach();
        if !is_detached {
            *health.remembered.lock() = None;
            health.breaker.store(BreakerState::Closed as u32, Relaxed);
            self.core.report.breaker(health, self.delivery.breaker_state());
        }
        is_detached
    }

    /// For a new actor, which begins with nothing of this one: what is held goes to the backlog, and what becomes of the
    /// requests under way changes nothing any more.
    pub(super) fn make_way(&mut self, ctx: &mut Context<Self>) {
        tracing::warn!(endpoint.id = %self.queue.id, "endpoint {} is restarted as asked for", self.queue.id);
        let held = self.delivery.take_held();
        self.core.backlog.submit(&self.settings, held);
        self.replaced = true;
        ctx.stop();
    }
}
