//! ● The table that this instance matches events against: the routers' own, and the decoders of its topics.

use std::sync::Arc;

use crate::{ingest::decode::Decoder, router::table::RoutingTable};

/// Shared with the routers.
#[derive(Clone)]
pub struct RoutingSnapshot {
    pub table: Arc<RoutingTable>,
    /// The version of the settings in the table.
    pub version: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Decoders by topic.
    pub decoder: Arc<dyn Fn(&str) -> Decoder + Send + Sync>,
    /// A larger record is not delivered.
    pub event_bytes_max: usize,
}
