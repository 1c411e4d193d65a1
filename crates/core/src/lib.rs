//! ○ Every decision of Postrider, and nothing that touches the world: told the time and the dice, it says what is to be
//! done. Its dependencies prove it: no runtime, no Kafka, no actors, no log, no metrics, no locks.

// A test begins at any instant and states the times after it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod model; // the values that every room speaks of

#[cfg(any(test, feature = "testing"))]
pub mod testing; // fixtures for tests
