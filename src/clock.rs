//! ● The only reader of time. Everything else is told the time, so tests state it instead of waiting for it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time: for timeouts, ages and rates. Follows a paused tokio clock, so actor tests need no sleeps.
#[must_use]
#[allow(clippy::disallowed_methods)] // here it is read
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock, for what is told to others with its fractions. Never for timeouts.
#[must_use]
#[allow(clippy::disallowed_methods)] // here it is read
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in milliseconds since 1970: for signatures, ids and what people read. Never for timeouts.
#[must_use]
#[allow(clippy::disallowed_methods)] // here it is read
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
