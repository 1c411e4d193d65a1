//! ○ Partitions and endpoints that have something to do and do not move: since when, and why.

pub mod endpoints; // nothing ends for an endpoint
pub mod partitions; // nothing of a partition is committed
