//! Replays: a closed range of a topic, for one endpoint, with the same ids as the first time.
//!
//! The instance that owns a partition runs its part of a replay. What the endpoint takes goes out beside its backlog; what
//! it does not take in time waits in the backlog, and counts as done here.

pub use postrider_core::replay::{progress, range, read_plan, selection}; // ○ what may be asked for, and how far it is

pub mod catch_up; // ● ordered endpoints get what they missed
pub mod replay_partition; // ○ a replay's share of one partition: the source of its events
pub mod positions; // ● where partitions begin and end, and where a time is
pub mod reader; // ● the second consumer, on a thread of its own
pub mod runner; // ● follows ownership, writes progress down
