//! ● The state that every handler shares.

use std::sync::Arc;

use super::{
    actors::ActorReport, endpoint_body::EndpointRules, endpoint_test::Tester, health::Readiness, memory::Memory,
    routing_snapshot::RoutingSnapshot, scans::Scans, work::Work,
};
use crate::{
    clock,
    model::{
        id::{self, ResourceKind},
        quotas::Quotas,
    },
    monitoring::peers::Peers,
    replay::positions::OffsetLookup,
    store::{Pool, secret_box::SecretBox, secrets::EndpointSecrets},
};

/// The parts that the handlers work with.
#[derive(Clone)]
pub struct AdminState {
    /// Connections for whoever calls, apart from those that Postrider itself needs.
    pub pool: Pool,
    /// Beside the threads that answer.
    pub work: Work,
    pub scans: Scans,
    /// The budget of bodies and answers.
    pub memory: Memory,
    pub secrets: SecretBox,
    pub rules: EndpointRules,
    /// Quotas of customers that have none of their own.
    pub quotas: Quotas,
    pub actors: Arc<dyn ActorReport>,
    /// The other instances.
    pub peers: Arc<Peers>,
    pub readiness: Arc<dyn Readiness>,
    /// Look-ups of Kafka's ranges.
    pub positions: OffsetLookup,
    /// The table that events are matched against.
    pub live: RoutingSnapshot,
    /// Sends tests.
    pub tester: Tester,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl AdminState {
    /// An endpoint's secrets as they are stored.
    pub(super) fn sealed(&self, endpoint_id: &str, secrets: &EndpointSecrets) -> Vec<u8> {
        self.secrets.seal(endpoint_id, &secrets.to_bytes(), rand::random())
    }
}

/// Makes an id that nobody has.
pub(super) fn new_id(kind: ResourceKind) -> String {
    id::new(kind, clock::wall_ms(), rand::random())
}
