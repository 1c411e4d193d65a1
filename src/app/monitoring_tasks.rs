//! ● Background monitoring tasks: they count, compare and tell, and nobody waits for them.

use std::sync::Arc;

use super::{
    actor_views::ObservedParts,
    endpoint_alarms,
    pipeline::plain_client,
    readiness::Health,
    sampler::{self, SampledParts},
    table_metrics,
};
use crate::{
    config::Config,
    monitoring::{core_counters::Flow, peers::Peers},
    notifications::notifier::{self, NotifierOptions},
    store::Pool,
};

/// From now on the parts are seen, until the process ends.
pub(super) fn start(
    config: &Arc<Config>,
    pool: &Pool,
    health: &Arc<Health>,
    peers: &Arc<Peers>,
    (parts, flows): (ObservedParts, Vec<Arc<Flow>>),
) {
    health.consuming(parts);
    tell_operators(config, pool, health, peers.own_id());
    let tables_of = pool.clone();
    actix_rt::spawn(async move {
        let never = table_metrics::watch(tables_of).await;
        match never {}
    });
    actix_rt::spawn(sampler::run(SampledParts::new(config, pool, health, peers, flows)));
}

/// Starts the tasks that detect and deliver operator events.
fn tell_operators(config: &Config, pool: &Pool, health: &Arc<Health>, instance: &str) {
    let told = &config.operator_events;
    if told.is_on() {
        let options = NotifierOptions {
            instance: instance.to_owned(),
            webhook_url: told.webhook_url.clone(),
            webhook_secret: told.webhook_secret.clone(),
            topic: told.topic.clone(),
            kafka: plain_client(config),
            repeat_after: told.repeat_after(),
        };
        let pool = pool.clone();
        actix_rt::spawn(async move {
            let never = notifier::run(options, pool).await;
            match never {}
        });
    }
    actix_rt::spawn(endpoint_alarms::watch(told.clone(), pool.clone(), Arc::clone(health)));
}
