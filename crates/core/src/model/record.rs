//! ○ A Kafka record in one allocation: key, value and headers, copied out of the fetch buffer one after the other.

use super::event::{ByteSpan, Record};

/// The parts of a record as Kafka lends them.
#[derive(Clone, Copy, Debug)]
pub struct RecordParts<'a> {
    pub offset: i64,
    /// Milliseconds since 1970; 0 when the record has none.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

impl Record {
    /// Copies a record into one allocation of exactly its size. Header names are bytes: Kafka promises nothing about
    /// them, and a producer's odd header must not stop a partition.
    ///
    /// Kafka's records are below 2 GiB; of a larger one, what lies beyond 4 GiB (whole headers first) is left off.
    #[must_use]
    pub fn copy_from<'h, N: AsRef<[u8]>>(
        parts: RecordParts<'_>,
        headers: impl Iterator<Item = (N, Option<&'h [u8]>)> + Clone,
    ) -> Record {
        let key = clipped(parts.key, 0);
        let value = clipped(parts.value, key.map_or(0, <[u8]>::len));
        let headers_start = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let mut size = headers_start;
        let mut headers_kept = 0;
        for (name, header) in headers.clone() {
            let grown = size.saturating_add(HeaderBlock::encoded_bytes(name.as_ref(), header));
            if grown > BYTES_MAX {
                break;
            }
            size = grown;
            headers_kept += 1;
        }

        let mut bytes = Vec::with_capacity(size);
        let key = key.map(|key| append(&mut bytes, key));
        let value = value.map(|value| append(&mut bytes, value));
        for (name, header) in headers.take(headers_kept) {
            HeaderBlock::encode(&mut bytes, name.as_ref(), header);
        }
        debug_assert_eq!(bytes.len(), size, "the size was computed before the copy");
        let headers = span(headers_start, bytes.len() - headers_start);
        Record {
            offset: parts.offset,
            timestamp_ms: parts.timestamp_ms,
            bytes: bytes.into_boxed_slice(),
            key,
            value,
            headers,
        }
    }

    /// The headers in the producer's order: name, and value (`None` where Kafka has a null).
    #[must_use]
    pub fn headers(&self) -> HeaderBlock<'_> {
        HeaderBlock { record: self, at: self.headers.start as usize }
    }

    /// The value of the last header of this name; `None` when there is none, or when its value is null.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_span(name).map(|span| span.of(&self.bytes))
    }

    /// Position in the record's bytes of the value of the last header of this name.
    #[must_use]
    pub fn header_span(&self, name: &str) -> Option<ByteSpan> {
        self.headers().filter(|header| header.name == name.as_bytes()).last()?.span
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a [u8],
    pub value: Option<&'a [u8]>,
    /// Position of the value in the record's bytes.
    pub span: Option<ByteSpan>,
}

/// The headers of a record, one after the other: length of the name, length of the value (both `u32`, little endian;
/// [`NULL`](HeaderBlock::NULL) for a null value), then name and value.
#[derive(Clone, Debug)]
pub struct HeaderBlock<'a> {
    record: &'a Record,
    at: usize,
}

impl HeaderBlock<'_> {
    /// The length that stands for a null value.
    pub const NULL: u32 = u32::MAX;

    fn encoded_bytes(name: &[u8], value: Option<&[u8]>) -> usize {
        8_usize.saturating_add(name.len()).saturating_add(value.map_or(0, <[u8]>::len))
    }

    fn encode(bytes: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
        bytes.extend_from_slice(&length(name.len()).to_le_bytes());
        bytes.extend_from_slice(&value.map_or(HeaderBlock::NULL, |value| length(value.len())).to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value.unwrap_or_default());
    }
}

impl<'a> Iterator for HeaderBlock<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let block = self.record.headers;
        let end = block.start as usize + block.len as usize;
        let rest = self.record.bytes.get(self.at..end)?;
        let (name_len, rest) = rest.split_first_chunk::<4>()?;
        let (value_len, rest) = rest.split_first_chunk::<4>()?;
        let name = rest.get(..u32::from_le_bytes(*name_len) as usize)?;
        let value_start = self.at + 8 + name.len();
        let (value, span) = match u32::from_le_bytes(*value_len) {
            HeaderBlock::NULL => (None, None),
            len => (Some(rest.get(name.len()..name.len() + len as usize)?), Some(span(value_start, len as usize))),
        };
        self.at = value_start + value.map_or(0, <[u8]>::len);
        Some(Header { name, value, span })
    }
}

/// Spans count in `u32`; the largest length is kept free for [`HeaderBlock::NULL`].
const BYTES_MAX: usize = u32::MAX as usize - 1;

fn clipped(part: Option<&[u8]>, before: usize) -> Option<&[u8]> {
    part.map(|part| &part[..part.len().min(BYTES_MAX.saturating_sub(before))])
}

fn append(bytes: &mut Vec<u8>, part: &[u8]) -> ByteSpan {
    let start = bytes.len();
    bytes.extend_from_slice(part);
    span(start, part.len())
}

/// Everything here was clipped to [`BYTES_MAX`] before.
fn span(start: usize, len: usize) -> ByteSpan {
    ByteSpan { start: length(start), len: length(len) }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(HeaderBlock::NULL - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> Record {
        Record::copy_from(
            RecordParts { offset: 7, timestamp_ms: 1_700_000_000_000, key, value },
            headers.iter().map(|(name, value)| (name, value.as_deref())),
        )
    }

    #[test]
    fn the_last_header_of_a_name_wins() {
        let headers = vec![
            (b"tenant".to_vec(), Some(b"1".to_vec())),
            (b"other".to_vec(), Some(b"x".to_vec())),
            (b"tenant".to_vec(), Some(b"2".to_vec())),
        ];
        let record = record(None, Some(b"{}"), &headers);
        assert_eq!(record.header("tenant"), Some(&b"2"[..]));
        assert_eq!(record.header("Tenant"), None);
    }

    #[test]
    fn a_last_header_with_a_null_value_hides_the_ones_before_it() {
        let headers = vec![(b"tenant".to_vec(), Some(b"1".to_vec())), (b"tenant".to_vec(), None)];
        assert_eq!(record(None, None, &headers).header("tenant"), None);
    }

    #[test]
    fn a_tombstone_is_not_an_empty_value() {
        let none = Headers::new();
        assert_eq!(record(Some(b""), None, &none).value, None);
        assert_eq!(record(Some(b""), None, &none).key, Some(ByteSpan { start: 0, len: 0 }));
        assert_eq!(record(None, Some(b""), &none).value, Some(ByteSpan { start: 0, len: 0 }));
    }

    #[test]
    fn a_record_takes_one_allocation_of_exactly_its_size() {
        let headers = vec![(b"tenant".to_vec(), Some(b"42".to_vec())), (b"n".to_vec(), None)];
        assert_eq!(record(Some(b"key"), Some(b"value"), &headers).bytes.len(), 3 + 5 + (8 + 6 + 2) + (8 + 1));
    }

    proptest! {
        #[test]
        fn what_went_in_comes_out(
            key in any::<Option<Vec<u8>>>(),
            value in any::<Option<Vec<u8>>>(),
            headers in prop::collection::vec((any::<Vec<u8>>(), any::<Option<Vec<u8>>>()), 0..6),
        ) {
            let record = record(key.as_deref(), value.as_deref(), &headers);
            prop_assert_eq!(record.key.map(|span| span.of(&record.bytes)), key.as_deref());
            prop_assert_eq!(record.value.map(|span| span.of(&record.bytes)), value.as_deref());
            let read: Headers = record.headers().map(|h| (h.name.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(read, headers);
            for header in record.headers() {
                prop_assert_eq!(header.span.map(|span| span.of(&record.bytes)), header.value);
            }
        }

        #[test]
        fn a_damaged_header_block_ends_early_and_never_panics(bytes in any::<Vec<u8>>(), start in 0_u32..40, len in any::<u32>()) {
            let record = Record {
                offset: 0, timestamp_ms: 0, bytes: bytes.into_boxed_slice(), key: None, value: None,
                headers: ByteSpan { start, len },
            };
            prop_assert!(record.headers().count() <= 40);
        }
    }
}
