//! 4. Still to be delivered: parked in Postgres, read again when its endpoint takes events.

pub use postrider_core::backlog::{amount, blocked_keys, page_read, rotation, scheduler, shard}; // ○ whose turn it is, and what may be sent
pub use postrider_core::flow::pace; // ○ at most so many a second

pub mod head; // ○ what waits of one partition for one endpoint
pub mod key_lanes; // ○ the rows in memory of each key, for an endpoint that is ordered by key
pub mod shared_scheduler; // ○ all heads, and whose turn it is
pub mod orphans; // ○ partitions that nobody reads any more
pub mod writer; // ● batches into Postgres, settles after COMMIT
pub mod drainer; // ● back on its way
