//! ○ Offsets of a partition: where reading begins, what may be committed, when it pauses.

pub mod begin; // where an assigned partition begins
pub mod tracker; // the contiguous settled prefix
pub mod arrivals; // when what is not settled came
pub mod gaps; // what was passed over, and what of it was lost
pub mod ledger; // what one assignment owes, and what may be committed
pub mod backpressure; // when a partition pauses
