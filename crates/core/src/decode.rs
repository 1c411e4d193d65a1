//! ○ Finding tenant, department, type, id and time in a record.
//!
//! JSON is read lazily: one pass over the value for all pointers, nothing built, and no further than the last field
//! found. So a value that breaks off after its fields still is an event; one that cannot be read up to them is not.

mod json;
mod place;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ring::digest::{SHA256, digest};
use smallvec::SmallVec;

pub use self::place::{FieldSource, FieldSourceError, FieldSources, Pointer};
use crate::model::{
    event::{ByteSpan, Field, Fields, Record},
    hex,
};

/// A longer text is nobody's tenant, department, type or id: it would only burden every index, log and header.
pub const FIELD_BYTES_MAX: usize = 1024;

/// Finds the fields of a topic's records. Made once a topic, used by every ingest actor of it.
#[derive(Clone, Debug)]
pub struct Decoder {
    headers: SmallVec<[(Box<str>, What); 5]>,
    keys: SmallVec<[What; 1]>,
    json: json::Tree,
}

/// A record that cannot be decoded at all: a dead letter for the operator, with its raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("decode: the value is not JSON, but fields are configured to stand in it")]
    NotJson,
    #[error("decode: the {field} is longer than {FIELD_BYTES_MAX} bytes")]
    TooLong { field: &'static str },
}

impl Decoder {
    #[must_use]
    pub fn new(places: &FieldSources) -> Self {
        let mut decoder = Decoder { headers: SmallVec::new(), keys: SmallVec::new(), json: json::Tree::default() };
        let wanted = [
            (&places.tenant, What::Tenant),
            (&places.department, What::Department),
            (&places.kind, What::Kind),
            (&places.id, What::Id),
            (&places.time, What::Time),
        ];
        for (place, what) in wanted {
            match place {
                FieldSource::Nowhere => {}
                FieldSource::Key => decoder.keys.push(what),
                FieldSource::Header(name) => decoder.headers.push((name.clone(), what)),
                FieldSource::Json(pointer) => decoder.json.add(pointer, what),
            }
        }
        decoder
    }

    /// Finds the fields of a record. What is not there, is empty, or is no text or number (JSON null, true, an object)
    /// is absent; such a record still is an event. So is one whose tenant, department or type is no UTF-8: whoever wants the
    /// whole topic gets it. An id that is none is hashed. A time that cannot be read is absent as well.
    ///
    /// # Errors
    /// [`Undecodable`], when a field should stand in JSON and the value is not JSON; when a text that was found is too long.
    /// A tombstone (null value) is no error: it has no fields in it.
    pub fn decode(&self, record: &Record) -> Result<Fields, Undecodable> {
        let mut found = Found::default();
        if !self.headers.is_empty() {
            self.look_into_headers(record, &mut found);
        }
        for what in &self.keys {
            found.put(*what, record.key.map(Text::Bytes));
        }
        if let (false, Some(value)) = (self.json.is_empty(), record.value) {
            json::look_into(&self.json, record, value, &mut found)?;
        }
        Ok(Fields {
            occurred_ms: found.time_ms(record),
            tenant: found.field(What::Tenant, record)?,
            department: found.field(What::Department, record)?,
            kind: found.field(What::Kind, record)?,
            id: found.field(What::Id, record)?,
        })
    }

    /// One pass over the headers for all fields; the last header of a name counts.
    fn look_into_headers(&self, record: &Record, found: &mut Found) {
        for header in record.headers() {
            for (name, what) in &self.headers {
                if name.as_bytes() == header.name {
                    found.put(*what, header.span.map(Text::Bytes));
                }
            }
        }
    }
}

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Tenant,
    Department,
    Kind,
    Id,
    Time,
}

impl What {
    const COUNT: usize = 5;

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The word in configuration and errors.
    fn as_str(self) -> &'static str {
        match self {
            What::Tenant => "tenant",
            What::Department => "department",
            What::Kind => "type",
            What::Id => "id",
            What::Time => "time",
        }
    }
}

/// A text as it was found.
#[derive(Debug)]
enum Text {
    /// Any bytes.
    Bytes(ByteSpan),
    /// Proved to be UTF-8.
    Utf8(ByteSpan),
    Unescaped(Box<str>),
    /// An escaped JSON string of something that is no text (half a surrogate pair).
    Broken,
}

#[derive(Debug, Default)]
struct Found([Option<Text>; What::COUNT]);

impl Found {
    fn put(&mut self, what: What, text: Option<Text>) {
        self.0[what as usize] = text;
    }

    fn field(&mut self, what: What, record: &Record) -> Result<Field, Undecodable> {
        let Some(text) = self.0[what as usize].take() else { return Ok(Field::Absent) };
        let field = what.as_str();
        let len = match &text {
            Text::Bytes(span) | Text::Utf8(span) => span.len as usize,
            Text::Unescaped(text) => text.len(),
            Text::Broken => return Ok(Field::Absent),
        };
        if len > FIELD_BYTES_MAX {
            return Err(Undecodable::TooLong { field });
        }
        match text {
            _ if len == 0 => Ok(Field::Absent),
            Text::Bytes(span) if std::str::from_utf8(span.of(&record.bytes)).is_err() => {
                Ok(of_binary(what, span.of(&record.bytes)))
            }
            Text::Bytes(span) | Text::Utf8(span) => Ok(Field::Literal(span)),
            Text::Unescaped(text) => Ok(Field::Owned(text)),
            Text::Broken => Ok(Field::Absent),
        }
    }

    /// Milliseconds since 1970, or RFC 3339.
    fn time_ms(&self, record: &Record) -> Option<i64> {
        let text = match self.0[What::Time as usize].as_ref()? {
            Text::Bytes(span) | Text::Utf8(span) => String::from_utf8_lossy(span.of(&record.bytes)),
            Text::Unescaped(text) => Cow::Borrowed(&**text),
            Text::Broken => return None,
        };
        if text.len() > FIELD_BYTES_MAX {
            return None;
        }
        text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond))
    }
}

/// Bytes that are no text name nobody. As an id they still tell an event from others, so their hash stands for them.
fn of_binary(what: What, bytes: &[u8]) -> Field {
    if what != What::Id {
        return Field::Absent;
    }
    let hash = digest(&SHA256, bytes);
    let id = format!("bin_{}", hex::encode(&hash.as_ref()[..16]));
    Field::Owned(id.into())
}
