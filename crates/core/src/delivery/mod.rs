//! ○ The delivery of events to one endpoint: [`Delivery`] and what it is made of.

pub mod machine; // the machine: told the time and the entropy, returns effects
pub mod lanes; // what waits in the order of its lanes
pub mod buffer; // what waits to become a batch: full by events, bytes or age
pub mod body_size; // the size of a request's body, while it is put together
pub mod batch; // the members of an attempt
pub mod bisection; // the search for the guilty event of a refused batch
pub mod rate_limit; // GCRA, checked, never awaited
pub mod concurrency; // how many requests at once, where that floats
pub mod retry; // when an attempt is repeated
pub mod breaker; // Closed, Open, HalfOpen
pub mod attempt_record; // the record of an attempt
pub mod auto_disable; // an endpoint that takes nothing for days

#[cfg(any(test, feature = "testing"))]
pub use self::machine::testing;
pub use self::machine::{
    AttemptId, Delivery, DeliveryLimits, Effect, GivenUp, Next, Parked, Permits, Reason, Remembered, StateChange,
};
