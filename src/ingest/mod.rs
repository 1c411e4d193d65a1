//! 1. Kafka → Event: reading partitions, decoding records, and which offsets may be committed.

pub use postrider_core::decode; // ○ where tenant, department, type, id and time stand
pub use postrider_core::offsets::{backpressure, begin, tracker as offsets}; // ○ which offsets may be committed
pub use postrider_core::replay::missed; // ○ what a suspended endpoint misses, until it has come back
pub use postrider_core::stall::partitions as stalls; // ○ which partitions are stalled, and why

pub mod consumer; // ● the poll thread
pub mod partition; // ● the poll thread's side of one partition
pub mod rebalance; // ● what happens when partitions come and go
mod rejoin; // ● the second round of a rebalance, without a pause
pub mod topic_name; // ○ which topics may be read
pub mod topic_ids; // ● which logs stand behind the topics' names
pub mod chosen; // ○ which of the chosen topics are there
pub mod membership; // ○ what its group has told this instance
pub mod starts; // ● where an assigned partition begins, asked of Kafka
pub mod first_start; // ● where a group's very first start begins
pub mod log_watch; // ● asks about the logs, on a thread of its own
pub mod topic_holds; // ○ topics that are not read for now
pub mod client_errors; // ○ the client's complaints in few lines
pub mod client_report; // ○ the client's statistics, as far as they are read
pub mod actor; // ● one per assigned partition
#[cfg(test)]
pub mod testing; // ● what tests of the shells are made with
pub mod ledger; // ○ what one assignment of a partition still owes
pub mod retired; // ○ what is still owed of logs that are gone
