//! ○ Flow control: how much is read from Kafka, and how fast the backlog is drained.
//!
//! Kafka is the cheapest place to wait. The process reads no more than it delivers within a target time, so a burst or a
//! catch-up stays lag in Kafka and never becomes a storm of rows in PostgreSQL. An endpoint that is slow compared with the
//! others does not hold reading back: its share of the window follows the rate at which it takes events, and what waits
//! for it longer than `delivery.park_after_ms` goes to the backlog.

pub mod pace; // at most so many a second
pub mod placement; // the core that an endpoint's actor starts on
pub mod counters; // what the cores count for it
pub mod drain_rate; // rows of the backlog a second
mod late_share; // live events that are late, with the backlog and without
pub mod rate; // events a second, smoothed
pub mod read_window; // events that may wait at once

#[cfg(test)]
mod model; // cores, endpoints and arrivals in virtual time
