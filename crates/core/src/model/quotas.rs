//! ○ `[quotas]` of `config/default.toml` as a type: how much one customer may have.

use serde::{Deserialize, Serialize};

/// The quotas of every customer that has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    pub endpoints_max: i64,
    pub subscriptions_max: i64,
    pub subscription_entries_max: i64,
    pub backlog_rows_max: i64,
    pub backlog_bytes_max: i64,
    pub dead_letter_bytes_max: i64,
    pub replay_events_max: i64,
}

/// The largest that any of them may be.
pub const QUOTA_MAX: i64 = 1_000_000_000_000_000;

/// A limit of a customer. The names are those of the settings, in the API as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    EndpointsMax,
    SubscriptionsMax,
    SubscriptionEntriesMax,
    BacklogRowsMax,
    BacklogBytesMax,
    DeadLetterBytesMax,
    ReplayEventsMax,
}

impl Quota {
    pub const ALL: [Quota; 7] = [
        Quota::EndpointsMax,
        Quota::SubscriptionsMax,
        Quota::SubscriptionEntriesMax,
        Quota::BacklogRowsMax,
        Quota::BacklogBytesMax,
        Quota::DeadLetterBytesMax,
        Quota::ReplayEventsMax,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Quota::EndpointsMax => "endpoints_max",
            Quota::SubscriptionsMax => "subscriptions_max",
            Quota::SubscriptionEntriesMax => "subscription_entries_max",
            Quota::BacklogRowsMax => "backlog_rows_max",
            Quota::BacklogBytesMax => "backlog_bytes_max",
            Quota::DeadLetterBytesMax => "dead_letter_bytes_max",
            Quota::ReplayEventsMax => "replay_events_max",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Quota::EndpointsMax => "Endpoints",
            Quota::SubscriptionsMax => "Subscriptions",
            Quota::SubscriptionEntriesMax => "Tenants and departments in subscriptions",
            Quota::BacklogRowsMax => "Events in backlogs",
            Quota::BacklogBytesMax => "Size of backlogs",
            Quota::DeadLetterBytesMax => "Size of dead letters",
            Quota::ReplayEventsMax => "Records that replays have to read",
        }
    }

    /// The consequence of exceeding it.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Quota::EndpointsMax => "Endpoints of the customer; one more is refused.",
            Quota::SubscriptionsMax => "Subscriptions of all its endpoints; one more is refused.",
            Quota::SubscriptionEntriesMax => {
                "Tenants or departments that all its subscriptions name, a whole topic as one; more are refused."
            }
            Quota::BacklogRowsMax => "Events that wait for its endpoints; beyond it the fullest ones are suspended.",
            Quota::BacklogBytesMax => "Bytes that wait for its endpoints; beyond it the fullest ones are suspended.",
            Quota::DeadLetterBytesMax => {
                "Bytes of its dead letters; beyond it endpoints that make more of them are suspended."
            }
            Quota::ReplayEventsMax => "Records that its open replays still have to read; a further replay is refused.",
        }
    }
}

impl Quotas {
    #[must_use]
    pub fn of(&self, quota: Quota) -> i64 {
        match quota {
            Quota::EndpointsMax => self.endpoints_max,
            Quota::SubscriptionsMax => self.subscriptions_max,
            Quota::SubscriptionEntriesMax => self.subscription_entries_max,
            Quota::BacklogRowsMax => self.backlog_rows_max,
            Quota::BacklogBytesMax => self.backlog_bytes_max,
            Quota::DeadLetterBytesMax => self.dead_letter_bytes_max,
            Quota::ReplayEventsMax => self.replay_events_max,
        }
    }
}
