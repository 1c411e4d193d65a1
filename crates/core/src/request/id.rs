//! ○ The ids by which a receiver knows a duplicate: derived, never random.

use ring::digest::{self, SHA256};
use smallvec::SmallVec;

use crate::model::event::{Event, KafkaPosition};

/// Writes the id of an event on its way to an endpoint: the event's own id, else one of where it stands in Kafka and
/// for which endpoint. The record's timestamp tells apart the events of a topic that was deleted and created again.
///
/// An id consists of visible ASCII without `.` (which separates the parts of what is signed) and without `"` and `\`, so
/// it can stand in a header and in a JSON string as it is.
pub(super) fn write_event_id(event: &Event, endpoint_id: &str, out: &mut Vec<u8>) {
    write_id(event.position(), event.own_id(), endpoint_id, out);
}

/// The same, of an event that is not there any more.
pub(super) fn write_id(position: KafkaPosition<'_>, own_id: Option<&str>, endpoint_id: &str, out: &mut Vec<u8>) {
    match own_id {
        Some(own) if (1..=OWN_ID_LEN_MAX).contains(&own.len()) => write_encoded(own, out),
        // A longer one is hashed: the header shall stay small whatever a producer writes.
        Some(own) if !own.is_empty() => write_hex(b"own_", &digest::digest(&SHA256, own.as_bytes()), out),
        _ => write_hex(b"evt_", &digest_of(position, endpoint_id), out),
    }
}

fn digest_of(position: KafkaPosition<'_>, endpoint_id: &str) -> digest::Digest {
    let mut bytes: SmallVec<[u8; 128]> = SmallVec::new();
    bytes.extend_from_slice(&position.partition.to_le_bytes());
    bytes.extend_from_slice(&position.offset.to_le_bytes());
    bytes.extend_from_slice(&position.record_ms.to_le_bytes());
    // Neither name can hold a zero byte, so no other pair gives the same bytes.
    bytes.extend_from_slice(endpoint_id.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(position.topic.as_bytes());
    digest::digest(&SHA256, &bytes)
}

/// A batch's id: of its members' ids, in their order.
pub(super) struct BatchId(digest::Context);

impl BatchId {
    #[must_use]
    pub(super) fn new(endpoint_id: &str) -> Self {
        let mut batch = BatchId(digest::Context::new(&SHA256));
        batch.add(endpoint_id.as_bytes());
        batch
    }

    pub(super) fn add(&mut self, event_id: &[u8]) {
        self.0.update(event_id);
        self.0.update(b"\0");
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        write_hex(b"bat_", &self.0.finish(), out);
    }
}

/// 128 bits are plenty: at 50,000 events/s it takes some 10^6 years until two ids are likely to meet.
fn write_hex(prefix: &[u8], digest: &digest::Digest, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix);
    let mut hex = [0; 32];
    for (digits, byte) in hex.chunks_exact_mut(2).zip(digest.as_ref()) {
        digits.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.extend_from_slice(&hex);
}

/// Percent-encoded where it must be. Two different ids stay different, for `%` is encoded as well.
fn write_encoded(own: &str, out: &mut Vec<u8>) {
    write_percent(own.as_bytes(), |byte| matches!(byte, b'.' | b'%' | b'"' | b'\\'), out);
}

/// Visible ASCII as it is, but for what is `special`; the rest percent-encoded.
pub(super) fn write_percent(bytes: &[u8], is_special: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    for &byte in bytes {
        if byte.is_ascii_graphic() && !is_special(byte) {
            out.push(byte);
        } else {
            let (high, low) = (UPPER_HEX[usize::from(byte >> 4)], UPPER_HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'%', high, low]);
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// As RFC 3986 writes it.
const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";
const OWN_ID_LEN_MAX: usize = 128;
