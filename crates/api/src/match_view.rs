//! ○ The endpoints that would get a sample event, as they are given.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{examples::Example, text::Moment};
use postrider_core::model::settings::EndpointState;

/// The endpoints that would get a sample event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Matched", example = MatchView::example())]
pub struct MatchView {
    /// The sample, as it is matched.
    pub event: MatchedEvent,
    /// The version of the settings that it was matched against.
    pub version: i64,
    /// Endpoints that would get it.
    pub matched: usize,
    /// The endpoints, each with the reason.
    pub data: Vec<MatchedEndpoint>,
    /// Goes on with the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// A sample event, as it is matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MatchedEvent {
    /// Its topic.
    pub topic: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Its department.
    pub department: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The producer's id of it.
    pub id: Option<String>,
    /// The reason for which no such record is delivered to anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRecord>,
}

/// The reason for which a record is delivered to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RefusedRecord {
    /// The cause; stable.
    pub code: Cow<'static, str>,
    /// The cause, for people.
    pub detail: String,
}

/// An endpoint, and whether it would get the sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MatchedEndpoint {
    /// The endpoint.
    pub endpoint_id: String,
    /// Your own key.
    pub uid: Option<String>,
    /// Its customer.
    pub customer_id: String,
    /// Its address.
    pub url: String,
    /// Its state.
    pub state: EndpointState,
    /// No request is sent before this time: its breaker is open, or it asked for a pause.
    #[schemars(with = "Option<Moment>")]
    pub silent_until: Option<Timestamp>,
    #[serde(flatten)]
    pub verdict: MatchVerdict,
}

/// The reason why an endpoint gets an event, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MatchVerdict {
    /// True if it gets the event: sent at once, or kept for it.
    pub gets: bool,
    /// The reason; stable: programs may decide by it.
    pub code: Cow<'static, str>,
    /// The reason, for people.
    pub detail: String,
    /// Its subscriptions that match.
    pub subscription_ids: Vec<String>,
}
