//! ○ The subscriptions of one moment, for events that were matched before it.

use std::{collections::HashSet, sync::Arc};

use super::index::SubscriptionIndex;
use crate::model::event::{EndpointKey, Event};

/// Topics of which nobody knows who should get their events.
pub type HeldTopics = Arc<HashSet<Arc<str>>>;

/// Subscriptions of a moment, as one endpoint's events are matched against them.
#[derive(Clone, Debug)]
pub struct Subscribed {
    index: Arc<SubscriptionIndex>,
    held: [HeldTopics; 2],
    endpoint: EndpointKey,
}

/// The claim of an endpoint to an event that it was given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Wanted,
    Unwanted,
    /// A subscription to its topic cannot be read.
    Unknown,
}

impl Subscribed {
    /// `held` has the topics that were held before the index was read, and after: in between it may have become whole.
    #[must_use]
    pub fn new(index: Arc<SubscriptionIndex>, held: [HeldTopics; 2], endpoint: EndpointKey) -> Self {
        Subscribed { index, held, endpoint }
    }

    /// True if these are the subscriptions of the same moment.
    #[must_use]
    pub fn are_as(&self, other: &Subscribed) -> bool {
        Arc::ptr_eq(&self.index, &other.index)
            && self.held.iter().zip(&other.held).all(|(one, two)| Arc::ptr_eq(one, two))
    }

    #[must_use]
    pub fn of(&self, event: &Event) -> Match {
        match self.index.gives(event, self.endpoint) {
            true => Match::Wanted,
            false if self.held.iter().any(|topics| topics.contains(event.topic())) => Match::Unknown,
            false => Match::Unwanted,
        }
    }
}
