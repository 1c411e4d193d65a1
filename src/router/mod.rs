//! 2. Event → endpoints: the indexed subscription table.

pub use postrider_core::routing::{full_read, index, subscribed, subscription}; // ○ immutable snapshots of the subscriptions

pub mod table; // ● the snapshot the routers read, and the endpoints behind its keys
pub mod actor; // ● one per core
