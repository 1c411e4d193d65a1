//! 1. Kafka → Event: reading partitions, decoding records, and which offsets may be committed.

pub mod consumer; // ● the poll thread
pub mod partition; // ● the poll thread's side of one partition
pub mod rebalance; // ● what happens when partitions come and go
pub mod first_start; // ● where a group's very first start begins
pub mod record; // ○ a Kafka record in one allocation
pub mod actor; // ● one per assigned partition
pub mod decode; // ○ where tenant, department, type, id and time stand
pub mod parked; // ○ how much of a partition waits in the backlog
pub mod receipt; // ○ each (event, endpoint) settles exactly once
pub mod ledger; // ○ what one assignment of a partition still owes
pub mod offsets; // ○ the contiguous settled prefix
pub mod backpressure; // ○ when a partition pauses
