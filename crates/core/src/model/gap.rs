//! ○ The gap of a suspended endpoint: events that it has not got, and that a replay brings back.

/// State of an endpoint's gap in the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GapState {
    /// Number of events that are in no replay yet.
    pub gap_events: Option<i64>,
    pub has_open_replay: bool,
}
