//! ○ The ids by which a receiver knows a duplicate: derived, never random.

use std::fmt::Write;

use ring::digest;

use crate::event::Event;

/// Derives ids for one endpoint.
pub struct IdHasher {
    /// Fed with the endpoint's id.
    endpoint: digest::Context,
}

impl IdHasher {
    #[must_use]
    pub fn new(endpoint_id: &str) -> Self {
        let mut endpoint = digest::Context::new(&digest::SHA256);
        endpoint.update(endpoint_id.as_bytes());
        endpoint.update(&[0]);
        IdHasher { endpoint }
    }

    /// The event's own id, else one of where it stands in Kafka and for which endpoint. The record's timestamp tells
    /// apart the events of a topic that was deleted and created again.
    #[must_use]
    pub fn event_id(&self, event: &Event) -> String {
        match event.own_id() {
            Some(own) if !own.is_empty() && own.len() <= OWN_ID_LEN_MAX => header_safe(own),
            Some(own) if !own.is_empty() => self.derived("evt_own_", &[own.as_bytes()]),
            _ => self.derived(
                "evt_",
                &[
                    &event.partition().to_le_bytes(),
                    &event.offset().to_le_bytes(),
                    &event.record.timestamp_ms.to_le_bytes(),
                    // The only part of variable length, so it stands last.
                    event.topic().as_bytes(),
                ],
            ),
        }
    }

    #[must_use]
    pub fn batch(&self) -> BatchId {
        BatchId(self.endpoint.clone())
    }

    fn derived(&self, prefix: &str, parts: &[&[u8]]) -> String {
        let mut context = self.endpoint.clone();
        for part in parts {
            context.update(part);
        }
        with_hex(prefix, context)
    }
}

/// A batch's id: of its members' ids, in their order.
pub struct BatchId(digest::Context);

impl BatchId {
    pub fn add(&mut self, event_id: &str) {
        self.0.update(event_id.as_bytes());
        self.0.update(&[0]);
    }

    #[must_use]
    pub fn finish(self) -> String {
        with_hex("bat_", self.0)
    }
}

/// 128 bits are plenty: at 50,000 events/s two ids meet after some 10^7 years.
fn with_hex(prefix: &str, context: digest::Context) -> String {
    let mut id = String::with_capacity(prefix.len() + 32);
    id.push_str(prefix);
    for byte in &context.finish().as_ref()[..16] {
        for nibble in [byte >> 4, byte & 15] {
            id.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    id
}

/// Percent-encoded where it must be: the signature's parts are separated by `.`, and a header holds only visible ASCII.
/// Two different ids stay different, for `%` is encoded as well.
fn header_safe(own: &str) -> String {
    let mut id = String::with_capacity(own.len());
    for byte in own.bytes() {
        if byte.is_ascii_graphic() && byte != b'.' && byte != b'%' {
            id.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(id, "%{byte:02X}");
        }
    }
    id
}

/// A longer own id is hashed: the header shall stay small whatever a producer writes.
const OWN_ID_LEN_MAX: usize = 128;
