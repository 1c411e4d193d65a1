//! ○ A subscription: which events of a topic an endpoint gets.

use crate::model::{event::EndpointKey, scope::Scope};

/// A subscription as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    pub endpoint: EndpointKey,
    pub topic: String,
    pub scope: Scope,
}
