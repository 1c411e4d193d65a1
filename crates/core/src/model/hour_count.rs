//! ○ The deliveries and failures of an endpoint within an hour, by the minute.

use std::sync::Arc;

/// Minutes of an hour.
pub const MINUTES: usize = 60;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// An hour of one endpoint, by its minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourCount {
    pub endpoint_id: Arc<str>,
    /// Since 1970.
    pub hour: i64,
    pub delivered: [i32; MINUTES],
    pub failed: [i32; MINUTES],
}
