//! ○ Every decision of Postrider, and nothing that touches the world: told the time and the entropy, it says what is to be
//! done. Its dependencies prove it: no runtime, no Kafka, no actors, no log, no metrics, no locks.

// A test begins at any instant and states the times after it.
#![cfg_attr(any(test, feature = "testing"), allow(clippy::disallowed_methods))]

pub mod model; // the values that every room speaks of
pub mod offsets; // where reading begins, and which offsets may be committed
pub mod decode; // where tenant, department, type, id and time stand in a record
pub mod routing; // event → endpoints
pub mod request; // events → body and headers
pub mod delivery; // one endpoint: batches, retries, breaker, order
pub mod sending; // where a request may go, over which connection, and what is kept of its answer
pub mod outage; // when nobody can be reached, no endpoint is to blame
pub mod stall; // what does not move, and why
pub mod backlog; // events that wait in PostgreSQL
pub mod replay; // Kafka again, for one endpoint
pub mod flow; // how much is read, and how fast the backlog is drained
pub mod fair_share; // how much each may hold of what there is little of

#[cfg(any(test, feature = "testing"))]
pub mod testing; // fixtures for tests
