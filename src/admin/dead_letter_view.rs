//! ○ A dead letter as it is answered. What the producer wrote is shown as JSON where it is JSON, as text where it is text, and
//! else in base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::value::RawValue;

use super::conceal::{EXCERPT, UNREACHABLE, is_concealed};
use crate::{
    api::{
        dead_letter_view::{HeaderView, LetterView, RecordView},
        resource::time,
    },
    dead_letter::letter::record,
    endpoint::request,
    model::event::KafkaPosition,
    store::dead_letter_read::{LetterData, LetterHead},
};

/// The letter as it is answered. `for_customer`: some failures are not told apart.
#[must_use]
pub(super) fn view(head: LetterHead, data: Option<LetterData>, for_customer: bool) -> LetterView {
    let conceals = for_customer && head.last_class.as_deref().is_some_and(is_concealed);
    let shown = |text: Option<String>, instead: &str| if conceals { Some(instead.to_owned()) } else { text };
    let webhook_id = (!head.endpoint_id.is_empty()).then(|| {
        let (partition, offset, record_ms) = (head.partition, head.offset, head.record_ms);
        let position = KafkaPosition { topic: &head.topic, partition, offset, record_ms };
        request::event_id(position, head.event_id.as_deref(), &head.endpoint_id)
    });
    LetterView {
        id: head.id,
        endpoint_id: Some(head.endpoint_id).filter(|id| !id.is_empty()),
        customer_id: Some(head.customer_id).filter(|id| !id.is_empty()),
        topic: head.topic,
        partition: head.partition,
        offset: head.offset,
        timestamp: time(head.record_ms),
        occurred_at: time(head.occurred_ms),
        webhook_id,
        event_id: head.event_id,
        kind: head.kind,
        tenant: head.tenant,
        department: head.department,
        reason: head.reason,
        attempts: head.attempts,
        last_status: head.last_status,
        last_class: shown(head.last_class, UNREACHABLE),
        last_excerpt: shown(head.excerpt, EXCERPT),
        received_at: head.received_at,
        created_at: head.created_at,
        state: head.state,
        redrive_requested_at: head.redrive_requested_at,
        data_bytes: head.data_bytes,
        record: data.map(record_view),
    }
}

fn record_view(data: LetterData) -> RecordView {
    let whole = record(0, 0, None, None, &data.headers);
    let headers = whole.headers().map(|header| {
        let (value, value_base64) = text_or_bytes(header.value.map(<[u8]>::to_vec));
        HeaderView { name: String::from_utf8_lossy(header.name).into_owned(), value, value_base64 }
    });
    let (key, key_base64) = text_or_bytes(data.key);
    let (json, data_base64) = match data.value {
        None => (Some(None), None),
        Some(value) => match as_json(&value) {
            Some(json) => (Some(Some(json)), None),
            None => (None, Some(BASE64_STANDARD.encode(value))),
        },
    };
    RecordView { key, key_base64, data: json, data_base64, headers: headers.collect() }
}

/// Bytes as text, where they are UTF-8 or nothing; else in base64.
fn text_or_bytes(bytes: Option<Vec<u8>>) -> (Option<Option<String>>, Option<String>) {
    match bytes.map(String::from_utf8).transpose() {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    }
}

fn as_json(value: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(std::str::from_utf8(value).ok()?.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Option<&[u8]>, key: Option<&[u8]>) -> String {
        // One header `n` with a null value, one `b` that is not text.
        let headers = b"\x01\0\0\0\xff\xff\xff\xffn\x01\0\0\0\x01\0\0\0b\xff".to_vec();
        let data = LetterData { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers };
        serde_json::to_string(&record_view(data)).expect("json")
    }

    const HEADERS: &str = r#""headers":[{"name":"n","value":null},{"name":"b","value_base64":"/w=="}]"#;

    #[test]
    fn json_is_shown_as_it_was_written() {
        let data = br#"{"a": 1.00, "a": 12345678901234567890123}"#;
        assert_eq!(
            shown(Some(data), Some(b"k")),
            format!(r#"{{"key":"k","data":{{"a": 1.00, "a": 12345678901234567890123}},{HEADERS}}}"#)
        );
    }

    #[test]
    fn what_is_not_json_is_shown_in_base64() {
        for data in [&b"\xff"[..], b"{", b"", b"{} {}"] {
            let encoded = BASE64_STANDARD.encode(data);
            assert_eq!(shown(Some(data), None), format!(r#"{{"key":null,"data_base64":"{encoded}",{HEADERS}}}"#));
        }
    }

    #[test]
    fn a_tombstone_is_null_and_a_key_of_bytes_is_base64() {
        assert_eq!(shown(None, Some(b"\xff")), format!(r#"{{"key_base64":"/w==","data":null,{HEADERS}}}"#));
    }

    #[test]
    fn deeply_nested_json_is_shown_without_harm() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(shown(Some(deep.as_bytes()), None).contains("[[["));
    }
}
