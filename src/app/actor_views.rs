//! ● Views of this instance's actors, its endpoints and itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use parking_lot::Mutex;

use super::{pipeline::Pipeline, readiness::Health};
use crate::{
    admin::actors::ActorReport,
    api::{actor::ActorView, overview::StandingPart},
    backlog::{drainer::Heads, scheduler::BacklogTotals, writer::BacklogWriter},
    clock,
    dead_letter::writer::DeadLetterWriter,
    endpoint::{local_outage::LocalOutage, queue::EndpointQueue},
    ingest::{
        consumer::ConsumerState,
        ledger::PartitionLedger,
        stalls::{PartitionStallGroup, StalledPartition, groups},
    },
    model::settings::{EndpointState, EndpointStateCounts},
    monitoring::{
        actor_view::ActorFilter,
        endpoint_snapshot::{EndpointPart, EndpointStanding, ErrorPart},
        overview::{Breakers, OverviewPart},
        sampler::Sampler,
    },
    replay::runner,
    store::retry::WriterHealth,
};

/// The parts that are looked at; known once they run.
pub struct ObservedParts {
    pub consumer: Arc<ConsumerState>,
    pub local_outage: Arc<LocalOutage>,
    pub sampler: Arc<Mutex<Sampler>>,
    pub heads: Arc<Heads>,
    pub backlog: BacklogWriter,
    pub dead_letters: DeadLetterWriter,
    pub replays: Arc<runner::ReplayShared>,
    pub routed: Arc<Vec<AtomicU64>>,
    pub handed: Arc<Vec<AtomicU64>>,
}

/// Ids of endpoints whose breaker is not closed, at most.
const BREAKERS_MAX: usize = 10_000;

impl ActorReport for Health {
    fn actors(&self, filter: &ActorFilter) -> Vec<ActorView> {
        let mut actors = Vec::new();
        if let Some(parts) = self.parts() {
            parts.add_actors(filter, &mut actors);
        }
        if filter.wants("supervisor") {
            actors.push(self.supervisor());
        }
        if filter.wants("endpoint") {
            let now = clock::now();
            let held_back = self.parts().is_some_and(|parts| parts.local_outage.is_on());
            let sampler = self.parts().map(|parts| parts.sampler.lock());
            let endpoints = self.table().endpoints();
            let is_theirs = |queue: &EndpointQueue| {
                filter.customer.as_deref().is_none_or(|customer| *queue.settings().customer_id == *customer)
            };
            let wanted = endpoints.iter().filter(|queue| filter.may_want("endpoint", &queue.id) && is_theirs(queue));
            actors.extend(wanted.map(|queue| {
                let rates = sampler.as_ref().map(|sampler| sampler.endpoint_rates(queue.key.0)).unwrap_or_default();
                ActorView {
                    events_last_minute: rates.0.last_minute,
                    failed_last_minute: rates.1.last_minute,
                    ..endpoint_actor(queue, held_back, now)
                }
            }));
        }
        for actor in &mut actors {
            self.instance().clone_into(&mut actor.instance);
        }
        filter.page(actors)
    }

    fn overview(&self) -> OverviewPart {
        let (breakers, flow) = (self.breakers(), self.table().flow().view());
        match self.parts() {
            Some(parts) => {
                let part = parts.sampler.lock().part(self.instance(), breakers, flow);
                OverviewPart { standing: standing_parts(&parts.consumer, clock::now()), ..part }
            }
            None => Sampler::default().part(self.instance(), breakers, flow),
        }
    }

    fn endpoints(&self, ids: &[String]) -> Vec<EndpointPart> {
        // In this order everywhere, so that nobody waits for the other's lock.
        let sampler = self.parts().map(|parts| parts.sampler.lock());
        let endpoints = self.table().endpoints();
        let part = |queue: &Arc<EndpointQueue>| {
            let mut part = endpoint_part(queue);
            if let Some(sampler) = &sampler {
                (part.delivered_rates, part.failed_rates) = sampler.endpoint_rates(queue.key.0);
                part.took = sampler.endpoint_took(queue.key.0, &queue.health.took.snapshot());
            }
            part
        };
        ids.iter().filter_map(|id| endpoints.find(id)).map(part).collect()
    }

    fn want_probe(&self, id: &str) -> bool {
        let found = self.table().endpoints().find(id).cloned();
        if let Some(queue) = &found {
            queue.want_probe();
        }
        found.is_some()
    }

    fn endpoint_states(&self) -> EndpointStateCounts {
        let mut counts = EndpointStateCounts::default();
        self.table().endpoints().iter().for_each(|queue| counts.add(queue.settings().state));
        counts
    }
}

impl Health {
    fn breakers(&self) -> Breakers {
        let mut breakers = Breakers::default();
        for queue in self.table().endpoints().iter() {
            let ids = match queue.health.breaker_word() {
                "open" => &mut breakers.open,
                "half_open" => &mut breakers.half_open,
                _ => continue,
            };
            if ids.len() < BREAKERS_MAX {
                ids.push(queue.id.to_string());
            }
        }
        breakers
    }

    /// It holds nothing itself: what it has to show is how many it has started and started again.
    fn supervisor(&self) -> ActorView {
        let endpoints = self.table().endpoints();
        let running = endpoints.iter().filter(|queue| queue.has_actor()).count();
        let rebuilt: u64 = endpoints.iter().map(|queue| queue.health.restarts.load(Relaxed)).sum();
        ActorView {
            kind: "supervisor",
            id: "supervisor".to_owned(),
            state: "running".to_owned(),
            why: Some(format!("{running} endpoint actors, {rebuilt} rebuilt after a panic")),
            ..ActorView::default()
        }
    }
}

impl ObservedParts {
    pub fn of(
        pipeline: &Pipeline,
        heads: &Arc<Heads>,
        (backlog, dead_letters): (&BacklogWriter, &DeadLetterWriter),
        replays: Arc<runner::ReplayShared>,
    ) -> Self {
        ObservedParts {
            consumer: Arc::clone(&pipeline.consumer.state),
            local_outage: Arc::clone(&pipeline.local_outage),
            sampler: Arc::default(),
            heads: Arc::clone(heads),
            backlog: backlog.clone(),
            dead_letters: dead_letters.clone(),
            replays,
            routed: pipeline.cores.routed(),
            handed: pipeline.cores.handed(),
        }
    }

    fn add_actors(&self, filter: &ActorFilter, actors: &mut Vec<ActorView>) {
        let now = clock::now();
        if filter.wants("consumer") {
            actors.push(self.consumer_view(now));
        }
        if filter.wants("ingest") {
            let (sampler, standing) = (self.sampler.lock(), self.consumer.standing());
            actors.extend(self.consumer.assigned().iter().map(|ledger| ActorView {
                events_last_minute: sampler.partition_per_minute(&ledger.topic_name(), ledger.partition()),
                ..ingest_actor(ledger, standing.iter().find(|one| one.is_of(ledger.topic(), ledger.partition())), now)
            }));
        }
        if filter.wants("router") {
            let sampler = self.sampler.lock();
            actors.extend(self.routed.iter().zip(&*self.handed).enumerate().map(|(core, (routed, handed))| {
                ActorView {
                    kind: "router",
                    id: format!("router-{core}"),
                    state: "running".to_owned(),
                    queue_events: handed.load(Relaxed).saturating_sub(routed.load(Relaxed)),
                    events_last_minute: sampler.routed_per_minute(core),
                    ..ActorView::default()
                }
            }));
        }
        if filter.wants("writer") {
            let (backlog, letters) = (&self.backlog, &self.dead_letters);
            let of = |id, health, queue_events, queue_bytes| ActorView {
                queue_events: queue_events as u64,
                queue_bytes: queue_bytes as u64,
                ..writer(id, health)
            };
            actors.push(of("backlog-writer", backlog.health(), backlog.queued_events(), 0));
            actors.push(of("dead-letter-writer", letters.health(), letters.queued_letters(), letters.queued_bytes()));
        }
        if filter.wants("reader") {
            actors.push(self.backlog_reader());
            actors.push(self.replay_reader());
        }
    }

    fn consumer_view(&self, now: Instant) -> ActorView {
        let (trouble, membership) = (self.consumer.trouble(), self.consumer.membership());
        let chosen = membership.chosen();
        let absent = chosen.absent.as_ref().filter(|_| membership.is_topicless(now)).map(ToString::to_string);
        let state = match () {
            () if self.consumer.is_quiet() => "draining",
            () if !membership.has_joined() => "joining",
            () => "running",
        };
        ActorView {
            kind: "consumer",
            id: "kafka-poll".to_owned(),
            state: state.to_owned(),
            why: absent.or_else(|| Some(trouble).filter(|trouble| !trouble.is_empty())),
            oldest_ms: Some(millis(self.consumer.poll_gap(now))),
            ..ActorView::default()
        }
    }

    /// The actor that reads the backlog: rows in Postgres, and the part of them in memory.
    fn backlog_reader(&self) -> ActorView {
        let BacklogTotals { events: waiting, oldest_ms, .. } = self.heads.waiting();
        let (events, bytes) = self.heads.in_memory();
        ActorView {
            kind: "reader",
            id: "backlog-reader".to_owned(),
            state: if waiting > 0 { "running" } else { "idle" }.to_owned(),
            why: (waiting > 0).then(|| format!("{waiting} events wait in the backlog")),
            queue_events: events as u64,
            queue_bytes: bytes as u64,
            oldest_ms: oldest_ms.map(|at| clock::wall_ms().saturating_sub(at).max(0).unsigned_abs()),
            ..ActorView::default()
        }
    }

    fn replay_reader(&self) -> ActorView {
        let parts = self.replays.parts().len();
        ActorView {
            kind: "reader",
            id: "replay-reader".to_owned(),
            state: if parts > 0 { "running" } else { "idle" }.to_owned(),
            why: (parts > 0).then(|| format!("{parts} partitions of replays")),
            in_flight: parts as u64,
            ..ActorView::default()
        }
    }
}

fn standing_parts(consumer: &ConsumerState, now: Instant) -> Vec<StandingPart> {
    let part = |group: PartitionStallGroup| StandingPart {
        topic: group.topic.to_string(),
        why: group.why.as_str().to_owned(),
        words: group.words,
        partitions: group.partitions,
        for_ms: millis(now.saturating_duration_since(group.since)),
        lag: group.lag,
    };
    groups(&consumer.standing()).into_iter().map(part).collect()
}

fn writer(id: &str, health: &WriterHealth) -> ActorView {
    ActorView {
        kind: "writer",
        id: id.to_owned(),
        state: if health.is_retrying() { "retrying" } else { "running" }.to_owned(),
        restarts: health.restarts.load(Relaxed),
        last_error: health.last_error(),
        ..ActorView::default()
    }
}

fn ingest_actor(ledger: &PartitionLedger, standing: Option<&StalledPartition>, now: Instant) -> ActorView {
    let seen = ledger.snapshot(now);
    let (state, why) = match (ledger.has_failed(), standing, ledger.paused()) {
        (true, ..) => ("rereading", Some("events were lost by a panic and are read again".to_owned())),
        (false, Some(standing), _) => ("standing", Some(standing.explained())),
        (false, None, Some(reason)) => ("paused", Some(reason.as_str().to_owned())),
        (false, None, None) => ("running", None),
    };
    ActorView {
        kind: "ingest",
        id: format!("{}/{}", ledger.topic(), ledger.partition()),
        state: state.to_owned(),
        why,
        queue_events: seen.outstanding_events,
        queue_bytes: seen.outstanding_bytes,
        oldest_ms: Some(millis(seen.uncommitted_age)),
        lag: ledger.lag(),
        ..ActorView::default()
    }
}

/// `held_back`: nobody can be reached, so whoever has something to send waits.
fn endpoint_actor(queue: &EndpointQueue, held_back: bool, now: Instant) -> ActorView {
    let health = &queue.health;
    let (state, why) = match (queue.settings().state, queue.has_actor()) {
        (EndpointState::Paused, _) => ("paused", None),
        (EndpointState::Disabled, _) => ("disabled", None),
        (EndpointState::Enabled, true) if held_back => ("held_back", Some("nobody can be reached")),
        (EndpointState::Enabled, true) if queue.is_lagging() => ("lagging", Some("it cannot keep up with what comes")),
        (EndpointState::Enabled, true) => ("running", None),
        (EndpointState::Enabled, false) => ("idle", None),
    };
    let silent_until = *health.silent_until.lock();
    let standing = health.standing.lock().clone();
    let why = standing.as_ref().map(|standing| standing.explained()).or_else(|| why.map(str::to_owned));
    ActorView {
        kind: "endpoint",
        id: queue.id.to_string(),
        state: state.to_owned(),
        why,
        standing_for_ms: standing.map(|standing| millis(now.saturating_duration_since(standing.since))),
        queue_events: (queue.waiting_events() + health.queued_events.load(Relaxed)) as u64,
        queue_bytes: queue.held_bytes() as u64,
        in_flight: u64::from(health.in_flight.load(Relaxed)),
        in_flight_limit: Some(u64::from(health.in_flight_limit.load(Relaxed))).filter(|limit| *limit > 0),
        breaker: Some(health.breaker_word()),
        breaker_why: health.breaker_why(),
        silent_for_ms: silent_until.filter(|until| *until > now).map(|until| millis(until - now)),
        restarts: health.restarts.load(Relaxed),
        delivered: health.delivered.load(Relaxed),
        failed_attempts: health.failed_attempts.load(Relaxed),
        last_error: health.last_error.lock().clone(),
        oldest_ms: health.oldest_received_at.lock().map(|at| millis(now.saturating_duration_since(at))),
        ..ActorView::default()
    }
}

fn endpoint_part(queue: &EndpointQueue) -> EndpointPart {
    let (health, now) = (&queue.health, clock::now());
    let silent_until = health.silent_until.lock().filter(|until| *until > now);
    let standing = health.standing.lock().clone().map(|standing| {
        let (class, excerpt) = standing.said.unzip();
        EndpointStanding {
            why: standing.why.as_str().to_owned(),
            words: standing.why.words().to_owned(),
            for_ms: millis(now.saturating_duration_since(standing.since)),
            class: class.map(str::to_owned),
            excerpt,
        }
    });
    let error = health.last_error.lock().clone().map(|error| ErrorPart {
        at_ms: error.at_ms,
        class: error.class.to_owned(),
        status: error.status,
        excerpt: error.excerpt,
    });
    EndpointPart {
        id: queue.id.to_string(),
        breaker: match health.breaker_word() {
            "closed" => 0,
            "half_open" => 1,
            _ => 2,
        },
        is_lagging: queue.is_lagging(),
        is_unreadable: queue.settings().signing_keys.is_empty(),
        queue_events: (queue.waiting_events() + health.queued_events.load(Relaxed)) as u64,
        queue_bytes: queue.held_bytes() as u64,
        in_flight: u64::from(health.in_flight.load(Relaxed)),
        in_flight_limit: u64::from(health.in_flight_limit.load(Relaxed)),
        delivered: health.delivered.load(Relaxed),
        failed_attempts: health.failed_attempts.load(Relaxed),
        by_class: health.by_class().map(|(class, count)| (class.to_owned(), count)).collect(),
        last_success_ms: Some(health.last_success_ms.load(Relaxed) as i64).filter(|at| *at > 0),
        last_error: error,
        silent_for_ms: silent_until.map(|until| millis(until - now)),
        standing,
        ..EndpointPart::default()
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
