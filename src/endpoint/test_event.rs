//! ● A synthetic event to one endpoint, right now: the request is built, signed and sent as any other, but comes from no
//! topic and leaves no receipt.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{client::CoreClient, request, request_sender::RequestSender};
use crate::{
    clock,
    model::{
        event::{Event, Field, Fields, Record},
        outcome::{self, AttemptNote, Outcome},
        record::RecordParts,
        settings::Settings,
        source::{SourceKind, SourceName, Unattended},
    },
};

/// The `type` that its receiver reads.
pub const KIND: &str = "postrider.test";

/// Result of a test.
#[derive(Debug)]
pub struct TestResult {
    pub webhook_id: String,
    pub outcome: Outcome,
    pub note: AttemptNote,
    pub took: Duration,
}

/// Sends one, whatever the endpoint's state: while it is paused or disabled is when one tests. `number` tells it from
/// every other test.
pub async fn send(client: &Rc<CoreClient>, settings: Arc<Settings>, number: u128) -> TestResult {
    let wall_ms = clock::wall_ms();
    let event = event(number, wall_ms);
    let request = request::build([&event].into_iter(), &settings, wall_ms);
    let webhook_id = request.webhook_id.clone();
    let mut repeated = false;
    let mut target = RequestSender::new(settings);
    loop {
        let (started, again) = (clock::now(), request.clone());
        let sent = target.send(client, again).await;
        let took = clock::now().saturating_duration_since(started).saturating_sub(sent.waited);
        let (outcome, note) = outcome::classify(&sent.answer, clock::wall_ms());
        // A connection that was kept and closed meanwhile says nothing of the endpoint: as with events, again.
        if outcome != Outcome::Disconnected || repeated {
            return TestResult { webhook_id, outcome, note, took };
        }
        repeated = true;
    }
}

fn event(number: u128, wall_ms: i64) -> Arc<Event> {
    let value = serde_json::json!({
        "test": true,
        "type": KIND,
        "message": "This is a test of this endpoint. No event belongs to it.",
    });
    let value = value.to_string();
    let parts = RecordParts { offset: 0, timestamp_ms: wall_ms, key: None, value: Some(value.as_bytes()) };
    let record = Record::copy_from(parts, std::iter::empty::<(&[u8], Option<&[u8]>)>());
    let fields = Fields {
        kind: Field::Owned(KIND.into()),
        id: Field::Owned(format!("test_{number:032x}").into()),
        ..Fields::default()
    };
    let name = SourceName { kind: SourceKind::Test, topic: Arc::from(KIND), partition: 0 };
    // It has no receipts, so its source would never be told anything.
    Arc::new(Event::new(Arc::new(Unattended(name)), record, fields, clock::now()))
}
