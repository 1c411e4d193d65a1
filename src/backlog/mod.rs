//! 4. Still to be delivered. Not built yet.
//!
//! [`Effect::Park`](crate::endpoint::delivery::Effect::Park) already says
//! which events belong here, and until this room stands the endpoint's shell makes them dead letters (`exhausted`).
