//! Fair shares of what the API has little of: connections to Postgres, threads, memory, places to wait. A holder (a
//! customer, or a key that belongs to none) never takes all of it, however much it asks for.

pub use postrider_core::fair_share::{charged, rounds, shares, waiting}; // ○ how much each may hold, and who is next

pub mod turns; // ● turns, waited for and given back
