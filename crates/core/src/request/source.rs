//! ○ Headers that say where a raw value comes from, which has no envelope to say it.

use super::id::write_percent;
use crate::model::event::Event;

/// An event's place in Kafka, as headers can hold it: percent-encoded where they cannot.
#[derive(Debug, Clone)]
pub struct Source {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    /// The producer's own id.
    pub event_id: Option<String>,
}

/// Source of an event that is sent as the bytes of its value.
#[must_use]
pub(super) fn of(event: &Event) -> Source {
    Source {
        topic: encoded(event.topic().as_bytes()).unwrap_or_default(),
        partition: event.partition(),
        offset: event.offset(),
        key: event.key().and_then(encoded),
        event_id: event.own_id().and_then(|id| encoded(id.as_bytes())),
    }
}

/// As a header can hold it; `None` beyond what headers are for.
fn encoded(bytes: &[u8]) -> Option<String> {
    if bytes.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut text = Vec::with_capacity(bytes.len());
    write_percent(bytes, |byte| byte == b'%', &mut text);
    String::from_utf8(text).ok().filter(|text| text.len() <= VALUE_BYTES_MAX)
}

/// Receivers take some 8 KiB of headers in all.
const VALUE_BYTES_MAX: usize = 1024;
