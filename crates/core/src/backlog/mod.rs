//! ○ Still to be delivered: what waits in PostgreSQL, and what may be sent of it.

pub mod rows; // as PostgreSQL has them
pub mod blocked_keys; // keys that wait while others of their partition go on
pub mod page_read; // a read of a head, and what of it may be sent
pub mod amount; // how much is in memory
pub mod shard; // what the scheduler knows of partitions, and of rows in memory
pub mod rotation; // partitions that are looked at again, a few at a time
pub mod scheduler; // all heads, and whose turn it is
pub mod counts; // how much of a partition waits, by endpoint
