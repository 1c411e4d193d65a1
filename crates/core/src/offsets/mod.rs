//! ○ Offsets of a partition: where reading begins, what may be committed, when it pauses.

pub mod begin; // where an assigned partition begins
pub mod tracker; // the contiguous settled prefix
pub mod backpressure; // when a partition pauses
