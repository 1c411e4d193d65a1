//! ○ W3C Trace Context: the `traceparent` that a producer puts on its record, and that a receiver gets with its request.
//!
//! Incoming values are read strictly, and outgoing ones are written again from what was read: nothing of a producer's bytes
//! reaches a receiver but 48 hexadecimal digits and a flag.

/// A trace and one of its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never all zeros.
    pub trace_id: [u8; 16],
    /// Never all zeros.
    pub span_id: [u8; 8],
    /// A caller before us keeps this trace.
    pub sampled: bool,
}

/// The header's name, on records and on requests.
pub const TRACEPARENT: &str = "traceparent";

/// `00-` trace `-` span `-` flags.
const LEN: usize = 55;

impl TraceContext {
    /// Reads a `traceparent`; `None` for whatever the specification does not allow. Of a later version that part is read
    /// which this one knows, as the specification wants it.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<TraceContext> {
        let (known, rest) = text.split_at_checked(LEN)?;
        let (version, known) = known.split_first_chunk::<2>()?;
        let version = hex::<1>(version)?[0];
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        if !fits {
            return None;
        }
        let known = known.strip_prefix(b"-")?;
        let (trace_id, known) = known.split_at_checked(32)?;
        let (span_id, flags) = known.strip_prefix(b"-")?.split_at_checked(16)?;
        let flags = hex::<1>(flags.strip_prefix(b"-")?)?[0];
        let context = TraceContext { trace_id: hex(trace_id)?, span_id: hex(span_id)?, sampled: flags & 1 == 1 };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// As version 00.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(LEN);
        text.push_str("00-");
        self.trace_id.iter().for_each(|byte| push_hex(&mut text, *byte));
        text.push('-');
        self.span_id.iter().for_each(|byte| push_hex(&mut text, *byte));
        text.push_str(if self.sampled { "-01" } else { "-00" });
        text
    }
}

/// Lower case only: so the specification wants it.
fn hex<const BYTES: usize>(digits: &[u8]) -> Option<[u8; BYTES]> {
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_was_read_is_written_again() {
        let context = TraceContext::parse(GIVEN.as_bytes()).unwrap();
        assert_eq!((context.trace_id[0], context.span_id[7], context.sampled), (0x4b, 0xb7, true));
        assert_eq!(context.traceparent(), GIVEN);
        let unsampled = GIVEN.replace("-01", "-00");
        assert_eq!(TraceContext::parse(unsampled.as_bytes()).unwrap().traceparent(), unsampled);
    }

    #[track_caller]
    fn refused(text: &str) {
        assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text:?}");
    }

    #[test]
    fn what_the_specification_does_not_allow_is_no_context() {
        refused("");
        refused(&GIVEN[..54]);
        refused(&format!("{GIVEN}-00"));
        refused(&format!("{GIVEN} "));
        refused(&format!(" {}", &GIVEN[..54]));
        refused(&GIVEN.to_uppercase());
        refused(&GIVEN.replacen("00-", "ff-", 1));
        refused(&GIVEN.replacen("00-", "0x-", 1));
        refused(&GIVEN.replace("00f067aa0ba902b7", "0000000000000000"));
        refused(&GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)));
        refused(&GIVEN.replace("4bf9", "4bg9"));
        refused(&GIVEN.replace("-00f0", "_00f0"));
        refused(&GIVEN.replace("-01", "-0g"));
        refused(&GIVEN.replace("-01", "\r\n1"));
        refused("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx-admin: 1");
    }

    #[test]
    fn of_a_later_version_that_is_read_which_this_one_knows() {
        let later = GIVEN.replacen("00-", "01-", 1);
        for text in [later.clone(), format!("{later}-what-may-come")] {
            assert_eq!(TraceContext::parse(text.as_bytes()).unwrap().traceparent(), GIVEN, "and written as version 00");
        }
        refused(&format!("{later}and"));
    }

    #[test]
    fn flags_that_nobody_knows_yet_are_left_out() {
        let flags = GIVEN.replace("-01", "-fe");
        assert_eq!(TraceContext::parse(flags.as_bytes()).unwrap().traceparent(), GIVEN.replace("-01", "-00"));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_the_header_only_digits_come_out(text in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(context.traceparent().as_bytes()), Some(context));
            }
        }

        #[test]
        fn a_header_with_one_byte_changed_is_read_strictly(place in 0_usize..55, byte in any::<u8>()) {
            let mut text = GIVEN.as_bytes().to_vec();
            text[place] = byte;
            let written = TraceContext::parse(&text).map(|context| context.traceparent());
            prop_assert!(written.is_none_or(|text| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-')));
        }
    }
}
