//! Postrider delivers events from Kafka to customers' HTTP endpoints: at least once, each endpoint on its own.
//!
//! The rooms stand in the order an event meets them. They touch the world (Kafka, Postgres, HTTP, actors); what they decide
//! by is in `crates/core`, and each names in its `mod.rs` the modules of the core that it is the shell of. A few of their
//! files are pure as well, and say so in their first line.

// A test begins at any instant and states the times after it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub use postrider_api as api; // resources as the API and Postgres have them: limits, defaults and descriptions on their fields
pub use postrider_core::model; // the values that every room speaks of

pub mod ingest; // 1. Kafka → Event, and which offsets may be committed
pub mod router; // 2. Event → endpoints
pub mod endpoint; // 3. events → HTTP
pub use postrider_core::flow; // how much is read, and how fast the backlog is drained
pub mod backlog; // 4. still to be delivered
pub mod dead_letter; // 5. given up
pub mod redrive; // dead letters on their way to the endpoint again
pub mod trace; // where the time of a sampled event went
pub mod attempts; // how endpoints answered, for people to look at
pub mod replay; // 6. Kafka again, for one endpoint

pub mod store; // Postgres: the only place with SQL
pub mod admin; // REST
pub mod dashboard; // the web page

pub mod app; // builds it all; the order of start and drain
pub mod fair_share; // what the API has little of, shared between its callers
pub mod clock; // the only reader of time
pub mod command; // what the command line offers
pub mod monitoring; // how it goes, of this instance and of all
pub mod notifications; // what operators are told by name
pub mod config; // every setting, its default and its unit
pub mod telemetry; // logs and metrics
