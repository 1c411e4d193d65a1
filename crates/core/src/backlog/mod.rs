//! ○ Still to be delivered: what waits in PostgreSQL, and what may be sent of it.

pub mod counts; // how much of a partition waits, by endpoint
