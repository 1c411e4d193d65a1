//! ○ Instances, as they are given, and how one answers its probes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Moment;

/// A live instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InstanceView {
    /// Its name.
    pub id: String,
    /// The time of its start.
    #[schemars(with = "Moment")]
    pub started_at: Timestamp,
    /// Its newest heartbeat.
    #[schemars(with = "Moment")]
    pub seen_at: Timestamp,
    /// The version of the program; null of an instance of an older version.
    pub version: Option<String>,
}

/// A live instance that did not answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Silent")]
pub struct SilentPeer {
    /// The instance.
    pub id: String,
    /// The reason for which it did not answer.
    pub reason: String,
}

/// The process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct LiveProbe {
    /// The process answers.
    #[schemars(extend("const" = true))]
    pub live: bool,
}

/// The instance does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ReadyProbe {
    /// It does its work.
    #[schemars(extend("const" = true))]
    pub ready: bool,
    /// Partitions that have something to do and do not move, and why.
    pub details: Vec<String>,
}

/// The instance does not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct UnreadyProbe {
    /// It does not do its work now.
    #[schemars(extend("const" = false))]
    pub ready: bool,
    /// The reasons.
    pub reasons: Vec<String>,
    /// Partitions that have something to do and do not move, and why.
    pub details: Vec<String>,
}
