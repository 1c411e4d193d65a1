//! ○ Requests as a receiver gets them, byte by byte.

mod ids;

use std::time::Instant;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::*;
use crate::{
    delivery::{
        buffer::{BatchBuffer, BatchLimits},
        machine::testing::{self, TestSource},
    },
    model::{
        event::{ByteSpan, EndpointKey, Field, Fields, Record},
        source::EventSource,
    },
};

/// 2026-01-01T00:00:00.123Z
const AT_MS: i64 = 1_767_225_600_123;

fn owned(text: &str) -> Field {
    Field::Owned(text.into())
}

fn event_with(offset: i64, value: Option<&[u8]>, fields: Fields) -> Arc<Event> {
    keyed_event(offset, None, value, fields)
}

fn keyed_event(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>, fields: Fields) -> Arc<Event> {
    let key_len = key.map_or(0, <[u8]>::len) as u32;
    let record = Record {
        offset,
        timestamp_ms: AT_MS,
        value: value.map(|value| ByteSpan { start: key_len, len: value.len() as u32 }),
        bytes: [key.unwrap_or_default(), value.unwrap_or_default()].concat().into(),
        key: key.map(|_| ByteSpan { start: 0, len: key_len }),
        headers: ByteSpan { start: 0, len: 0 },
    };
    let source = TestSource::new() as Arc<dyn EventSource>;
    Arc::new(Event::new(source, record, fields, Instant::now()))
}

fn event(value: &[u8]) -> Arc<Event> {
    event_with(7, Some(value), Fields::default())
}

fn tombstone() -> Arc<Event> {
    event_with(8, None, Fields::default())
}

fn settings(mode: Mode, format: Format, batch_format: BatchFormat) -> Settings {
    let mut settings = testing::stream();
    settings.delivery.mode = mode;
    settings.delivery.format = format;
    settings.delivery.batch_format = batch_format;
    settings
}

const BATCH: Mode = Mode::Batch { events_max: 100, bytes_max: 1 << 20, wait: testing::secs(1) };

fn streamed(format: Format, event: &Arc<Event>) -> Request {
    build([event].into_iter(), &settings(Mode::Stream, format, BatchFormat::JsonArray), AT_MS)
}

fn batched(format: Format, batch_format: BatchFormat, events: &[Arc<Event>]) -> Request {
    build(events.iter(), &settings(BATCH, format, batch_format), AT_MS)
}

fn text(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

#[test]
fn a_streams_envelope_holds_the_events_own_bytes() {
    let fields = Fields {
        tenant: owned("2"),
        department: owned("1\"00"),
        kind: owned("order.paid"),
        id: owned("o-1"),
        occurred_ms: Some(AT_MS),
    };
    let event = keyed_event(7, Some(b"c-7"), Some(b" {\"n\" : 1.0e0, \"n\":2} \n"), fields);
    let request = streamed(Format::Envelope, &event);
    let expected = r#"{"id":"o-1","type":"order.paid","timestamp":"2026-01-01T00:00:00.123Z","tenant":"2","department":"1\"00","event_id":"o-1","topic":"orders","partition":3,"offset":7,"key":"c-7","data":{"n" : 1.0e0, "n":2}}"#;
    assert_eq!(text(&request), expected);
    assert_eq!(request.content_type, "application/json");
    assert_eq!(request.webhook_id, "o-1");
    assert_eq!(request.webhook_timestamp, 1_767_225_600);
    let keys = [testing::stream().signing_keys.remove(0)];
    assert_eq!(
        signature::verify(&keys, "o-1", "1767225600", &request.webhook_signature, expected.as_bytes(), 1_767_225_600),
        Ok(())
    );
}

#[test]
fn what_an_event_does_not_have_is_null_and_its_type_is_the_topic() {
    let request = streamed(Format::Envelope, &tombstone());
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let id = request.webhook_id.as_str();
    let expected = json!({
        "id": id, "type": "orders", "timestamp": "2026-01-01T00:00:00.123Z", "tenant": null, "department": null,
        "event_id": null, "topic": "orders", "partition": 3, "offset": 8, "key": null, "data": null,
    });
    assert_eq!(body, expected);
}

#[track_caller]
fn check_raw_stream(value: &[u8], content_type: &str) {
    let request = streamed(Format::Raw, &event(value));
    assert_eq!((&request.body[..], request.content_type), (value, content_type));
}

#[test]
fn a_raw_stream_is_the_value_as_it_is() {
    check_raw_stream(b" {\"n\":1}\r\n", "application/json");
    check_raw_stream(b"[1]", "application/json");
    check_raw_stream(b"\x00\x01\xff", "application/octet-stream");
    check_raw_stream(b"{\"n\":1", "application/octet-stream");
    check_raw_stream(b"", "application/octet-stream");
    let request = streamed(Format::Raw, &tombstone());
    assert_eq!((&request.body[..], request.content_type), (&b""[..], "application/octet-stream"));
}

#[test]
fn a_batch_is_one_json_array_or_a_line_for_each_event() {
    let events = [event(b"{\"n\":1}"), tombstone(), event(b"no json")];
    let array = batched(Format::Raw, BatchFormat::JsonArray, &events);
    assert_eq!(
        (text(&array), array.content_type),
        (r#"[{"n":1},null,{"data_base64":"bm8ganNvbg=="}]"#, "application/json")
    );
    let lines = batched(Format::Raw, BatchFormat::Ndjson, &events);
    let expected = "{\"n\":1}\nnull\n{\"data_base64\":\"bm8ganNvbg==\"}\n";
    assert_eq!((text(&lines), lines.content_type), (expected, "application/x-ndjson"));

    let array = batched(Format::Envelope, BatchFormat::JsonArray, &events);
    let items: Vec<Value> = serde_json::from_slice(&array.body).unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!((&items[0]["data"], &items[1]["data"]), (&json!({ "n": 1 }), &Value::Null));
    assert_eq!((&items[2]["data_base64"], items[2].get("data")), (&json!("bm8ganNvbg=="), None));
    let lines = batched(Format::Envelope, BatchFormat::Ndjson, &events);
    let items_again: Vec<Value> = text(&lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items, items_again);
}

/// Payloads that are no single JSON value, and what each of them tries.
const FORGERIES: &[(&str, &[u8])] = &[
    ("a sibling event", br#"{}},{"id":"evt_forged","data":{}"#),
    ("a second value", b"{}{}"),
    ("two elements", b"1,2"),
    ("trailing garbage", b"{}x"),
    ("a closing bracket", b"{}]"),
    ("a second line", b"{}\n{\"forged\":true}"),
    ("an unterminated string", b"\"abc"),
    ("a string that ends in an escape", b"\"abc\\\""),
    ("a raw newline in a string", b"\"a\nb\""),
    ("a control character in a string", b"{\"a\":\"\x01\"}"),
    (
        "a control character deep in a long string",
        b"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x1f\"",
    ),
    ("an unknown escape", br#""\x41""#),
    ("a broken \\u escape", br#""\u12G4""#),
    ("invalid UTF-8", b"\"\xff\xfe\""),
    ("an overlong slash", b"\"\xc0\xaf\""),
    ("a surrogate in UTF-8", b"\"\xed\xa0\x80\""),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
    ("NaN", b"NaN"),
    ("Infinity", b"[-Infinity]"),
    ("a leading zero", b"01"),
    ("a leading plus", b"+1"),
    ("a bare minus", b"[-]"),
    ("a number that ends in a dot", b"1."),
    ("a number without an exponent", b"1e"),
    ("a trailing comma", b"[1,]"),
    ("a missing comma", b"[1 2]"),
    ("a missing colon", b"{\"a\" 1}"),
    ("a key without quotes", b"{a:1}"),
    ("a numeric key", b"{1:2}"),
    ("mismatched brackets", b"{\"a\":[1}]"),
    ("a comment", b"{/*x*/}"),
    ("a shortened literal", b"tru"),
    ("a lengthened literal", b"nullx"),
    ("a zero byte", b"{}\0"),
    ("a vertical tab", b"\x0b1"),
    ("a no-break space", b"\xc2\xa01"),
    ("nothing", b""),
    ("nothing but space", b" \t\r\n"),
];

#[test]
fn a_payload_that_is_not_one_json_value_goes_in_as_base64() {
    for (what, value) in FORGERIES {
        let event = event(value);
        let request = streamed(Format::Envelope, &event);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(body.get("data"), None, "{what}");
        let encoded = body["data_base64"].as_str().unwrap_or_else(|| panic!("{what}"));
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
        assert_eq!(&decoded, value, "{what}");

        let events = [event, tombstone()];
        for format in [Format::Envelope, Format::Raw] {
            let array = batched(format, BatchFormat::JsonArray, &events);
            assert_eq!(serde_json::from_slice::<Vec<Value>>(&array.body).unwrap().len(), 2, "{what}");
            let lines = batched(format, BatchFormat::Ndjson, &events);
            assert_eq!(text(&lines).lines().count(), 2, "{what}");
        }
    }
}

#[test]
fn a_payload_of_many_levels_is_a_payload_like_any_other() {
    let levels = 500_000;
    let arrays = [vec![b'['; levels], vec![b']'; levels]].concat();
    let objects = [b"{\"a\":".repeat(levels), b"1".to_vec(), vec![b'}'; levels]].concat();
    for deep in [arrays, objects] {
        assert_eq!(json::one_value(&deep), Some(&deep[..]));
        assert_eq!(json::one_value(&deep[..deep.len() - 1]), None, "one level is not closed");
    }
    assert_eq!(json::one_value(&vec![b'['; levels]), None);
}

#[test]
fn in_ndjson_a_newline_between_tokens_becomes_a_space() {
    let request = batched(Format::Raw, BatchFormat::Ndjson, &[event(b"\n{\r\n  \"a\": \"x\\ny\"\n}\n")]);
    assert_eq!(text(&request), "{    \"a\": \"x\\ny\" }\n");
    let request = batched(Format::Raw, BatchFormat::JsonArray, &[event(b"{\n}")]);
    assert_eq!(text(&request), "[{\n}]");
}

#[test]
fn beside_a_raw_value_headers_say_where_it_comes_from() {
    let fields = Fields { id: owned("order.1\r\n%"), ..Fields::default() };
    let event = keyed_event(7, Some(b"c 7"), Some(b"text"), fields);
    let source = streamed(Format::Raw, &event).source.expect("a raw stream has no envelope");
    assert_eq!((source.topic.as_str(), source.partition, source.offset), ("orders", 3, 7));
    assert_eq!((source.key.as_deref(), source.event_id.as_deref()), (Some("c%207"), Some("order.1%0D%0A%25")));
    assert!(streamed(Format::Envelope, &event).source.is_none());
    assert!(
        batched(Format::Raw, BatchFormat::Ndjson, &[event]).source.is_none(),
        "of several events there is no one place"
    );
    let large = keyed_event(7, Some(&[b'x'; 2000]), None, Fields::default());
    assert_eq!(streamed(Format::Raw, &large).source.and_then(|source| source.key), None, "a header stays small");
}

#[test]
fn a_stream_never_leaves_out_a_member() {
    let events = [event(b"1"), event(b"2")];
    let settings = settings(Mode::Stream, Format::Raw, BatchFormat::JsonArray);
    assert_eq!(text(&build(events.iter(), &settings, AT_MS)), "[1,2]");
}

proptest! {
    #[test]
    fn whatever_the_bytes_each_event_is_one_element(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)) {
        check_elements(&values)?;
    }

    #[test]
    fn whatever_looks_like_json_each_event_is_one_element(
        values in prop::collection::vec("[\\[\\]{}\",:0-9a-c\\\\ \n\r.eE+-]{0,12}", 1..6),
    ) {
        let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
        check_elements(&values)?;
    }

    #[test]
    fn a_text_comes_back_as_it_was(tenant in "\\PC*|[\u{0}-\u{7f}]*", kind in any::<String>()) {
        let fields = Fields { tenant: owned(&tenant), kind: owned(&kind), ..Fields::default() };
        let request = streamed(Format::Envelope, &event_with(7, None, fields));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(body["tenant"].as_str(), Some(tenant.as_str()));
        prop_assert_eq!(body["type"].as_str(), Some(kind.as_str()));
    }

    #[test]
    fn two_own_ids_stay_two(a in any::<String>(), b in any::<String>()) {
        let id = |own: &str| {
            let fields = Fields { id: owned(own), ..Fields::default() };
            streamed(Format::Raw, &event_with(7, None, fields)).webhook_id
        };
        let (left, right) = (id(&a), id(&b));
        prop_assert_eq!(left == right, a == b);
        prop_assert!(left.bytes().all(|byte| byte.is_ascii_graphic() && !b".\"\\".contains(&byte)));
    }
}

/// Read as JSON alone: a number like `1e310` is one, although no `f64` is as large.
fn check_elements(values: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let events: Vec<_> = values.iter().map(|value| event(value)).collect();
    for format in [Format::Envelope, Format::Raw] {
        let array = batched(format, BatchFormat::JsonArray, &events);
        prop_assert_eq!(serde_json::from_slice::<Vec<IgnoredAny>>(&array.body).unwrap().len(), events.len());
        let lines = batched(format, BatchFormat::Ndjson, &events);
        let lines: Vec<_> = text(&lines).split_terminator('\n').collect();
        prop_assert_eq!(lines.len(), events.len());
        for line in lines {
            prop_assert!(serde_json::from_str::<IgnoredAny>(line).is_ok(), "{}", line);
        }
    }
    Ok(())
}

/// Values as topics have them: JSON, nearly JSON, bytes, nothing.
fn values() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        Just(Some(br#" {"n" : 1} "#.to_vec())),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Some),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Some([b"{", &*bytes, b"}"].concat())),
    ]
}

proptest! {
    #[test]
    fn the_size_of_a_body_is_known_before_it_is_made(
        values in prop::collection::vec((values(), "\\PC{0,9}"), 1..9), raw in any::<bool>(), lines in any::<bool>(),
    ) {
        let format = if raw { Format::Raw } else { Format::Envelope };
        let fields = |text: &str| Fields { tenant: owned(text), kind: owned(text), id: owned(text), ..Fields::default() };
        let of = |(offset, (value, text)): (usize, &(Option<Vec<u8>>, String))| {
            event_with(offset as i64, value.as_deref(), fields(text))
        };
        let events: Vec<_> = values.iter().enumerate().map(of).collect();
        let sent: usize = events.iter().map(|event| sent_bytes(event, format)).sum();
        let batch_format = if lines { BatchFormat::Ndjson } else { BatchFormat::JsonArray };
        let body = batched(format, batch_format, &events).body.len();
        prop_assert_eq!(body, if lines { sent } else { sent + 1 });
        prop_assert!(events.iter().all(|event| sent_bytes(event, format) <= sent_bytes_max(event)));
    }
}

#[test]
fn a_batch_of_bytes_is_no_larger_than_its_endpoint_wants_it() {
    const BYTES_MAX: usize = 1 << 20;
    let value = [0xff; 600];
    for format in [Format::Envelope, Format::Raw] {
        let mut limits = BatchLimits::new(BATCH, format, None, None);
        (limits.events_max, limits.bytes_max) = (1_500, BYTES_MAX);
        let mut buffer = BatchBuffer::default();
        for offset in 0..1_500 {
            let event = event_with(offset, Some(&value), Fields::default());
            buffer.push(event.open_receipt(EndpointKey(1)));
        }
        let mut bodies = Vec::new();
        while let Some(batch) = buffer.take(&limits) {
            let events: Vec<_> = batch.events().cloned().collect();
            bodies.push(batched(format, BatchFormat::JsonArray, &events).body.len());
        }
        assert!(bodies.iter().all(|bytes| *bytes <= BYTES_MAX), "{bodies:?}");
        assert!(bodies[0] > BYTES_MAX - 2_000, "as large as may be: {bodies:?}");
    }
}
