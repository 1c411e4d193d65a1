//! 2. Event → endpoints: the indexed subscription table.

pub mod subscription; // ○ topic, tenant list, tenant and departments
pub mod index; // ○ immutable snapshots, cost by matches
pub mod table; // ● the snapshot the routers read, and the endpoints behind its keys
pub mod actor; // ● one per core
