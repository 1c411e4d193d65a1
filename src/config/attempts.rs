//! ○ `[attempts]`: how endpoints answered, for people to look at.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptsSection {
    pub retention_days: u32,
    pub delivered_sample_every: u64,
    pub rows_per_second_max: u32,
    pub queue_rows_max: usize,
    pub counts_retention_days: u32,
}
