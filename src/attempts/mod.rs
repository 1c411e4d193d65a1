//! Attempts at endpoints for people to look at: failures in full and successes sampled, and their numbers by the
//! minute.
//!
//! These records are not events. They are kept in memory for a moment and written in groups; what finds no room is
//! dropped and counted, for no delivery ever waits for them.

pub mod writer; // ● in groups into Postgres, at a bounded rate
pub mod counts; // ○ how many, by the minute
pub mod count_writer; // ● once a minute into Postgres

pub use writer::AttemptWriter;
