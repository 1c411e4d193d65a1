//! ○ Dead letters, as they are given, and the results of commands about them. What the producer wrote is shown as JSON where it is
//! JSON, as text where it is text, and else in base64.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    examples::Example,
    text::{DeadLetterId, Moment},
};
use postrider_core::model::disposition::Reason;

/// A dead letter, with the record's data where it was asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter", example = LetterView::example())]
pub struct LetterView {
    /// Its id.
    #[schemars(with = "DeadLetterId")]
    pub id: String,
    /// The endpoint; null for a record that never got as far as one.
    pub endpoint_id: Option<String>,
    /// The endpoint's customer.
    pub customer_id: Option<String>,
    /// The record's topic.
    pub topic: String,
    /// The record's partition.
    #[schemars(with = "u32")]
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The record's timestamp.
    #[schemars(with = "Option<Moment>")]
    pub timestamp: Option<Timestamp>,
    /// The time that the event says of itself.
    #[schemars(with = "Option<Moment>")]
    pub occurred_at: Option<Timestamp>,
    /// The event's id at its endpoint, which the endpoint was or will be shown.
    pub webhook_id: Option<String>,
    /// The producer's own id.
    pub event_id: Option<String>,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The event's tenant.
    pub tenant: Option<String>,
    /// The event's department.
    pub department: Option<String>,
    /// The reason for which it was given up.
    #[schemars(with = "Reason")]
    pub reason: String,
    /// Attempts that were made.
    #[schemars(with = "u32")]
    pub attempts: i32,
    /// The status of the last answer.
    #[schemars(with = "Option<u16>")]
    pub last_status: Option<i16>,
    /// The kind of the last answer or failure.
    pub last_class: Option<String>,
    /// The beginning of the last answer.
    pub last_excerpt: Option<String>,
    /// The time at which the record was received.
    #[schemars(with = "Moment")]
    pub received_at: Timestamp,
    /// The time of its first write.
    #[schemars(with = "Moment")]
    pub created_at: Timestamp,
    /// Its state: dead, or tried again.
    #[schemars(with = "LetterState")]
    pub state: String,
    /// The time at which that was asked for.
    #[schemars(with = "Option<Moment>")]
    pub redrive_requested_at: Option<Timestamp>,
    /// Bytes of the record's key, value and headers.
    #[schemars(with = "u64")]
    pub data_bytes: i64,
    #[serde(flatten)]
    pub record: Option<RecordView>,
}

/// The state of a dead letter.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "a shape and no value")]
enum LetterState {
    /// It was given up.
    Dead,
    /// It is tried again.
    Redriving,
}

/// A record's key, value and headers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RecordView {
    /// The record's key; null where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-or-null" = true))]
    pub key: Option<Option<String>>,
    /// In place of key, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
    /// The record's value as it was written, where it is JSON; null is a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub data: Option<Option<Box<RawValue>>>,
    /// In place of data, where the value is anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
    /// The record's headers.
    pub headers: Vec<HeaderView>,
}

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct HeaderView {
    /// The header's name.
    pub name: String,
    /// Its value; null for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-or-null" = true))]
    pub value: Option<Option<String>>,
    /// In place of value, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
}

/// A page of a list of dead letters.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "DeadLetterPage", example = LetterPage::example())]
pub struct LetterPage {
    /// The rows of this page.
    pub data: Vec<LetterView>,
    /// Goes on with the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Comes back later: as cursor it goes on with whatever was not shown before, however late it was written. A letter that may
    /// still have others before it is shown again, and so are those of the pages after it. null as long as there is nothing to go past.
    pub resume_cursor: Option<String>,
}

/// The result of removing dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Acknowledged::example())]
pub struct Acknowledged {
    /// Letters that were removed.
    pub acknowledged: u64,
    /// Ask again for the rest.
    pub more: bool,
}

/// The result of asking for dead letters again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Redriving::example())]
pub struct Redriving {
    /// Letters that are tried again.
    pub redriving: u64,
    /// Ask again for the rest.
    pub more: bool,
    /// Pass it as since to read how it goes.
    #[schemars(with = "Moment")]
    pub requested_at: Timestamp,
}

/// Progress of letters that were asked for again. Those in none of these were acknowledged meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = RedriveProgress::example())]
pub struct RedriveProgress {
    /// Their endpoint answered 2xx.
    #[schemars(with = "u64")]
    pub delivered: i64,
    /// On their way, or waiting for the endpoint to take events.
    #[schemars(with = "u64")]
    pub waiting: i64,
    /// Given up again.
    #[schemars(with = "u64")]
    pub dead_again: i64,
    /// The endpoint no longer subscribes to them; they are dead letters as before.
    #[schemars(with = "u64")]
    pub cancelled: i64,
}
