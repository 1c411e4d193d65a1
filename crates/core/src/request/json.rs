//! ○ Writing JSON without trusting what is written into it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

/// The bytes of the value without the whitespace around it, if they are exactly one valid JSON value.
#[must_use]
pub(super) fn one_value(bytes: &[u8]) -> Option<&[u8]> {
    serde_json::from_slice::<&RawValue>(bytes).ok().map(|raw| raw.get().as_bytes())
}

/// True if a body is worth the label `application/json`.
#[must_use]
pub(super) fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    matches!((bytes.first(), bytes.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')))
}

/// A proven value. In valid JSON a raw newline stands only between tokens, where a space means the same.
pub(super) fn write_value(value: &[u8], one_line: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(value);
    if one_line {
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written.ok(), Some(out.len() - start), "base64 takes four bytes for three");
    out.push(b'"');
}
