//! Monitoring: counters of an instance for the last quarter of an hour, and the sums over the instances.
//!
//! Every five seconds [`sampler`] takes what the rooms have counted and keeps the differences. Whoever is asked over
//! REST asks the other live instances for theirs ([`peers`]) and adds them up.
//!
//! **Invariant:** nobody on an event's way waits for anything here: the rooms add to atomics, and that is all.

pub mod latencies; // ○ how long it took, in buckets
pub mod rolling_rate; // ○ how many within the last minutes
pub mod core_counters; // ○ what a core has delivered
pub mod persistent_diff; // ○ a difference that is no accident
pub mod sampler; // ○ the last quarter of an hour, in steps
pub mod overview; // ○ all instances at one glance
pub mod actor_view; // ○ how one actor is; pages of them
pub mod endpoint_snapshot; // ○ how one endpoint is, added up over instances
pub mod canary; // ○ whether synthetic events come back
pub mod peer_auth; // ○ by which instances know each other
mod peer_address; // ○ where another instance may be
pub mod peers; // ● asks the others
