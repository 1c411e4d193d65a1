//! ○ Whatever producers write: a batch of two events is two events to whoever reads it, in either format, and its headers
//! can be sent.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use postrider::{
    api::endpoint::EndpointSettings,
    clock,
    endpoint::request::build,
    ingest::decode::{Decoder, FieldSource, FieldSources},
    model::{
        event::{Event, Record},
        record::RecordParts,
        settings::Settings,
        source::{SourceKind, SourceName, Unattended},
    },
    store::{
        endpoint_settings::EndpointHead,
        secrets::{EndpointSecrets, StoredAuth, StoredSigningSecret, signing_secret},
    },
};
use serde_json::{json, value::RawValue};

#[derive(Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(super) struct Input<'a> {
    pub(super) values: [Option<&'a [u8]>; 2],
    pub(super) ids: [&'a [u8]; 2],
    pub(super) tenant: &'a [u8],
    pub(super) raw: bool,
    pub(super) ndjson: bool,
}

fn settings(input: &Input<'_>) -> Settings {
    let stored: EndpointSettings = serde_json::from_value(json!({
        "mode": "batch", "format": if input.raw { "raw" } else { "envelope" },
        "batch_format": if input.ndjson { "ndjson" } else { "json_array" },
    }))
    .expect("settings");
    let signing = vec![StoredSigningSecret { secret: signing_secret([1; 32]), expires_ms: None }];
    let head = EndpointHead {
        id: "ep_1".to_owned(),
        customer_id: "cus_1".to_owned(),
        version: 1,
        restarts: 0,
        state: "enabled".to_owned(),
        suspended: false,
        url: "https://example.com/".to_owned(),
    };
    head.parse(&stored, &EndpointSecrets { auth: StoredAuth::None, signing }, 0).expect("settings")
}

pub(super) fn check(input: &Input<'_>) {
    let header = |name: &str| FieldSource::parse(&format!("header:{name}")).expect("a place");
    let places = FieldSources { tenant: header("tenant"), id: header("id"), ..FieldSources::default() };
    let decoder = Decoder::new(&places);
    let mut events = Vec::new();
    for (offset, (value, id)) in input.values.iter().zip(input.ids).enumerate() {
        let parts = RecordParts { offset: offset as i64, timestamp_ms: 1, key: None, value: *value };
        let headers = [("id", Some(id)), ("tenant", Some(input.tenant))];
        let record = Record::copy_from(parts, headers.into_iter());
        let Ok(fields) = decoder.decode(&record) else { return };
        let name = SourceName { kind: SourceKind::Live, topic: "topic".into(), partition: 0 };
        events.push(Arc::new(Event::new(Arc::new(Unattended(name)), record, fields, clock::now())));
    }
    let request = build(events.iter(), &settings(input), 1_767_225_600_000);
    HeaderValue::from_str(&request.webhook_id).expect("an id that can be sent");
    let body = std::str::from_utf8(&request.body).expect("JSON is UTF-8");
    // Numbers beyond any range are values all the same.
    let members: Vec<&RawValue> = if input.ndjson {
        body.lines().map(|line| serde_json::from_str(line).expect("a line is a value")).collect()
    } else {
        serde_json::from_str(body).expect("an array")
    };
    assert_eq!(members.len(), 2, "{body}");
}
