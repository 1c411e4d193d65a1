//! Guarantees to operators and producers when a record is decoded.

use proptest::prelude::*;

use super::*;
use crate::model::record::RecordParts;

fn places(tenant: &str) -> FieldSources {
    FieldSources { tenant: FieldSource::parse(tenant).expect("a place"), ..FieldSources::default() }
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Record {
    Record::copy_from(RecordParts { offset: 0, timestamp_ms: 0, key, value }, headers.iter().copied())
}

fn text<'a>(field: &'a Field, record: &'a Record) -> Option<&'a str> {
    match field {
        Field::Absent => None,
        Field::Literal(span) => Some(std::str::from_utf8(span.of(&record.bytes)).expect("proved by decoding")),
        Field::Owned(text) => Some(text),
    }
}

#[track_caller]
fn check_json(pointer: &str, value: &str, expected: Result<Option<&str>, Undecodable>) {
    let record = record(Some(b"some key"), Some(value.as_bytes()), &[]);
    let fields = Decoder::new(&places(&format!("json:{pointer}"))).decode(&record);
    assert_eq!(fields.as_ref().map(|fields| text(&fields.tenant, &record)).map_err(|error| *error), expected);
}

#[track_caller]
fn check_header(value: Option<&[u8]>, expected: Result<Option<&str>, Undecodable>) {
    let record = record(None, Some(b"not json"), &[("other", Some(b"x")), ("tenant", value)]);
    let fields = Decoder::new(&places("header:tenant")).decode(&record);
    assert_eq!(fields.as_ref().map(|fields| text(&fields.tenant, &record)).map_err(|error| *error), expected);
}

#[track_caller]
fn check_time(text: &str, expected: Option<i64>) {
    let places = FieldSources { time: FieldSource::parse("header:at").expect("a place"), ..FieldSources::default() };
    let fields = Decoder::new(&places).decode(&record(None, None, &[("at", Some(text.as_bytes()))]));
    assert_eq!(fields.expect("a time is never undecodable").occurred_ms, expected);
}

#[test]
fn a_tenant_is_found_in_a_header() {
    check_header(Some(b"42"), Ok(Some("42")));
    check_header(Some("M\u{fc}ller".as_bytes()), Ok(Some("M\u{fc}ller")));
}

#[test]
fn an_empty_or_null_header_is_no_tenant() {
    check_header(Some(b""), Ok(None));
    check_header(None, Ok(None));
}

#[test]
fn a_header_that_is_no_text_names_nobody_and_one_that_is_too_long_makes_the_record_undecodable() {
    check_header(Some(b"\xff\xfe"), Ok(None));
    check_header(Some(&[b'a'; FIELD_BYTES_MAX + 1]), Err(Undecodable::TooLong { field: "tenant" }));
    check_header(Some(&vec![0xff; 1 << 20]), Err(Undecodable::TooLong { field: "tenant" }));
}

#[test]
fn a_header_that_nobody_asked_for_may_be_anything() {
    let record = record(None, None, &[("junk", Some(&[0xff; 2_000])), ("tenant", Some(b"1"))]);
    let fields = Decoder::new(&places("header:tenant")).decode(&record).expect("decodes");
    assert_eq!(text(&fields.tenant, &record), Some("1"));
}

#[test]
fn the_key_can_be_the_tenant() {
    let decoder = Decoder::new(&places("key"));
    let found = record(Some(b"42"), None, &[]);
    assert_eq!(text(&decoder.decode(&found).expect("decodes").tenant, &found), Some("42"));
    assert_eq!(decoder.decode(&record(None, None, &[])).expect("decodes").tenant, Field::Absent);
    let broken = decoder.decode(&record(Some(b"\xc3"), None, &[])).expect("decodes");
    assert_eq!(broken.tenant, Field::Absent);
}

#[test]
fn an_id_of_binary_bytes_is_hashed_the_same_each_time_and_leaves_the_rest_as_it_is() {
    let decoder = Decoder::new(&FieldSources { id: FieldSource::Header("id".into()), ..places("header:tenant") });
    let id_of = |bytes: &[u8]| {
        let record = record(None, None, &[("tenant", Some(b"1")), ("id", Some(bytes))]);
        let fields = decoder.decode(&record).expect("decodes");
        assert_eq!(text(&fields.tenant, &record), Some("1"));
        text(&fields.id, &record).expect("an id").to_owned()
    };
    let uuid = [0xf0, 0x9f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xff];
    assert_eq!(id_of(&uuid), id_of(&uuid));
    assert_eq!(id_of(&uuid).len(), "bin_".len() + 32);
    assert_ne!(id_of(&uuid), id_of(&uuid[1..]));
    assert_eq!(id_of(b"order-1"), "order-1");
}

#[test]
fn a_pointer_leads_through_objects_and_arrays() {
    check_json("/tenant", r#"{"x":[1,{"tenant":"no"}],"tenant":"42","y":0}"#, Ok(Some("42")));
    check_json("/tenant/id", r#" { "tenant" : { "name":"a", "id" : "42" } } "#, Ok(Some("42")));
    check_json("/a/1/b", r#"{"a":[{"b":"0"},{"b":"1"}]}"#, Ok(Some("1")));
    check_json("/100", r#"{"100":"an object's name may be a number"}"#, Ok(Some("an object's name may be a number")));
    check_json("/a~1b/~0", r#"{"a/b":{"~":"escaped"}}"#, Ok(Some("escaped")));
    check_json("/", r#"{"":"the empty name"}"#, Ok(Some("the empty name")));
    check_json("", "42", Ok(Some("42")));
    check_json("/a/01", r#"{"a":["0","1"]}"#, Ok(None));
}

#[test]
fn a_number_is_a_tenant_as_it_is_written() {
    check_json("/t", r#"{"t":2}"#, Ok(Some("2")));
    check_json("/t", r#"{"t":-7}"#, Ok(Some("-7")));
    check_json("/t", r#"{"t":12345678901234567890123}"#, Ok(Some("12345678901234567890123")));
    check_json("/t", r#"{"t":2.50}"#, Ok(Some("2.50")));
}

#[test]
fn an_escaped_text_is_unescaped() {
    check_json("/t", r#"{"t":"a\u0062\n\"c\""}"#, Ok(Some("ab\n\"c\"")));
    check_json("/tenant", r#"{"ten\u0061nt":"the name is escaped"}"#, Ok(Some("the name is escaped")));
    check_json("/t", r#"{"t":"\ud800"}"#, Ok(None));
}

#[test]
fn what_is_neither_text_nor_number_is_no_tenant() {
    for value in ["null", "true", "false", "{}", "[]", "\"\"", r#"{"t":"deeper"}"#] {
        check_json("/t", &format!(r#"{{"t":{value}}}"#), Ok(None));
    }
}

#[test]
fn a_record_without_the_field_still_is_an_event() {
    for value in
        ["{}", "[]", "1", "1e999", "\"text\"", "null", r#"{"other":1}"#, r#"{"t":{"t":1e999}}"#, r#"{"t":1e999}"#]
    {
        check_json("/t/id", value, Ok(None));
    }
}

/// JavaScript writes half a surrogate pair wherever it cuts a text between the two.
#[test]
fn a_field_is_found_behind_half_a_surrogate_pair_and_behind_a_number_beyond_any_f64() {
    let place = |text| FieldSource::parse(text).expect("a place");
    let places = FieldSources { id: place("json:/data/1/id"), ..places("json:/tenant") };
    for before in [
        r#""\ud83d":1"#,
        r#""cut \ude00":{"tenant":"no"}"#,
        r#""data":"cut \ud83d""#,
        r#""data":1e999"#,
        r#""data":["\ud83d",-1e999]"#,
        r#""data":[1e999,{"\ud83d":1e999,"id":"e-1"}]"#,
        r#""data":[0,{"id":"e-1","\ud83d":[]}],"\ud83d\ud83d":0"#,
    ] {
        let value = format!(r#" {{ {before} , "ten\u0061nt" : "2", "tenant":"3" }} "#);
        let record = record(None, Some(value.as_bytes()), &[]);
        let fields = Decoder::new(&places).decode(&record).expect(before);
        assert_eq!(text(&fields.tenant, &record), Some("2"), "{before}");
        assert_eq!(text(&fields.id, &record), before.contains("e-1").then_some("e-1"), "{before}");
    }
}

#[test]
fn what_is_not_json_is_undecodable_behind_half_a_surrogate_pair_as_well() {
    for rest in ["", "}}", "},", r#","tenant":1"#, ",\"\u{1}\":1,\"t\":1}", r#","\ud83":1,"t":1}"#] {
        check_json("/t", &format!(r#"{{"\ud83d":0{rest}"#), Err(Undecodable::NotJson));
    }
}

#[test]
fn a_value_that_is_not_json_is_undecodable() {
    for value in ["", "   ", "hello", "{", r#"{"a":1"#, r#"{"a":1}}"#, "[1,]", "{\"a\":\"\u{1}\"}", "{'t':1}"] {
        check_json("/t", value, Err(Undecodable::NotJson));
    }
    let bytes = record(None, Some(b"{\"t\":\"\xff\"}"), &[]);
    assert_eq!(Decoder::new(&places("json:/t")).decode(&bytes), Err(Undecodable::NotJson));
}

#[test]
fn nothing_is_read_after_the_last_field() {
    check_json("/t", r#"{"t":"1", and then it breaks off"#, Ok(Some("1")));
}

#[test]
fn a_tombstone_is_an_event_without_fields() {
    let decoder = Decoder::new(&places("json:/t"));
    assert_eq!(decoder.decode(&record(Some(b"k"), None, &[])), Ok(Fields::default()));
}

#[test]
fn of_a_name_that_stands_twice_the_first_counts() {
    check_json("/t", r#"{"t":"first","t":"second"}"#, Ok(Some("first")));
    check_json("/t", r#"{"t":null,"t":"second"}"#, Ok(None));
    let place = |text| FieldSource::parse(text).expect("a place");
    let places = FieldSources { tenant: place("json:/t"), department: place("json:/d"), ..FieldSources::default() };
    let record = record(None, Some(br#"{"t":null,"t":null,"d":"5"}"#), &[]);
    let fields = Decoder::new(&places).decode(&record).expect("decodes");
    assert_eq!(text(&fields.department, &record), Some("5"));
}

#[test]
fn all_fields_are_found_in_one_pass() {
    let place = |text| FieldSource::parse(text).expect("a place");
    let places = FieldSources {
        tenant: place("json:/tenant/id"),
        department: place("json:/tenant/department"),
        kind: place("header:type"),
        id: place("json:/id"),
        time: place("json:/at"),
    };
    let value = br#"{"at":"2026-01-02T03:04:05.678Z","tenant":{"department":100,"id":"42"},"id":"e-1"}"#;
    let record = record(None, Some(value), &[("type", Some(b"order.created"))]);
    let fields = Decoder::new(&places).decode(&record).expect("decodes");
    assert_eq!(text(&fields.tenant, &record), Some("42"));
    assert_eq!(text(&fields.department, &record), Some("100"));
    assert_eq!(text(&fields.kind, &record), Some("order.created"));
    assert_eq!(text(&fields.id, &record), Some("e-1"));
    assert_eq!(fields.occurred_ms, Some(1_767_323_045_678));
}

#[test]
fn two_fields_may_stand_at_one_place_or_one_below_the_other() {
    let place = |text| FieldSource::parse(text).expect("a place");
    let places = FieldSources {
        tenant: place("json:/a"),
        department: place("json:/a"),
        kind: place("json:/a/b"),
        ..FieldSources::default()
    };
    let decoder = Decoder::new(&places);
    let flat = record(None, Some(br#"{"a":"x"}"#), &[]);
    let fields = decoder.decode(&flat).expect("decodes");
    assert_eq!((text(&fields.tenant, &flat), text(&fields.department, &flat)), (Some("x"), Some("x")));
    let deep = record(None, Some(br#"{"a":{"b":"y"}}"#), &[]);
    let fields = decoder.decode(&deep).expect("decodes");
    assert_eq!((text(&fields.tenant, &deep), text(&fields.kind, &deep)), (None, Some("y")));
}

#[test]
fn a_time_is_milliseconds_or_rfc_3339() {
    check_time("1767323045678", Some(1_767_323_045_678));
    check_time("-1", Some(-1));
    check_time("2026-01-02T03:04:05Z", Some(1_767_323_045_000));
    check_time("2026-01-02T03:04:05.678+01:00", Some(1_767_319_445_678));
    for unreadable in ["", "yesterday", "1.5", "99999999999999999999", "2026-13-01T00:00:00Z"] {
        check_time(unreadable, None);
    }
}

#[test]
fn a_time_that_is_no_text_is_absent() {
    let places = FieldSources { time: FieldSource::Key, ..FieldSources::default() };
    let fields = Decoder::new(&places).decode(&record(Some(b"\xff"), None, &[]));
    assert_eq!(fields, Ok(Fields::default()));
}

#[test]
fn a_hundred_thousand_levels_do_not_overflow_the_stack() {
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    check_json("/t", &deep, Err(Undecodable::NotJson));
    check_json("/t", &closed, Ok(None));
    check_json("/t", &format!(r#"{{"deep":{closed},"t":"1"}}"#), Ok(Some("1")));
    check_json("/t", &format!(r#"{{"t":{closed}}}"#), Ok(None));
    check_json("/0/0/0", &closed, Ok(None));
    check_json("/t", &r#"{"t":"#.repeat(100_000), Err(Undecodable::NotJson));
}

#[test]
fn a_place_says_how_it_should_look() {
    assert_eq!(FieldSource::parse(""), Ok(FieldSource::Nowhere));
    assert_eq!(FieldSource::parse("key"), Ok(FieldSource::Key));
    assert_eq!(FieldSource::parse("header:X-Tenant:1"), Ok(FieldSource::Header("X-Tenant:1".into())));
    assert_eq!(FieldSource::parse("header:"), Err(FieldSourceError::HeaderName));
    assert_eq!(FieldSource::parse("json:tenant"), Err(FieldSourceError::PointerStart));
    assert_eq!(FieldSource::parse("json:/a~2"), Err(FieldSourceError::PointerEscape));
    assert_eq!(FieldSource::parse("json:/a~"), Err(FieldSourceError::PointerEscape));
    assert_eq!(FieldSource::parse(&format!("json:{}", "/a".repeat(33))), Err(FieldSourceError::PointerDepth));
    for unknown in ["tenant", "Key", "body:/a", " key"] {
        assert_eq!(FieldSource::parse(unknown), Err(FieldSourceError::Unknown));
    }
}

/// Stands in for [`CUT`], as a name or a text, in a value that cannot hold half a surrogate pair.
const CUT_MARK: &str = "C";
const CUT: &str = r"\ud83d";
/// Stands in for [`HUGE`].
const HUGE_MARK: &str = "H";
const HUGE: &str = "1e999";

/// Any JSON, with few names so that pointers hit.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        "[a-z\"\\\\\n\u{e4}]{0,4}".prop_map(serde_json::Value::from),
        "[CH]".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[ab01C]", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_anywhere_never_panic(
        key in any::<Option<Vec<u8>>>(),
        value in any::<Option<Vec<u8>>>(),
        header in any::<Option<Vec<u8>>>(),
        tenant in "(header:h|key|json:/a|)",
    ) {
        let record = record(key.as_deref(), value.as_deref(), &[("h", header.as_deref())]);
        if let Ok(fields) = Decoder::new(&places(&tenant)).decode(&record) {
            text(&fields.tenant, &record);
        }
    }

    #[test]
    fn nearly_json_never_panics(value in r#"[\[\]{}:,"\\ a01-]{0,40}"#) {
        let record = record(None, Some(value.as_bytes()), &[]);
        let _ = Decoder::new(&places("json:/a/0")).decode(&record);
    }

    #[test]
    fn a_pointer_finds_what_a_full_parse_finds(json in any_json(), pointers in prop::array::uniform3("(/[ab01]){1,3}")) {
        let place = |at: usize| FieldSource::parse(&format!("json:{}", pointers[at])).expect("a place");
        let places = FieldSources { tenant: place(0), department: place(1), kind: place(2), ..FieldSources::default() };
        let value = json.to_string().replace(CUT_MARK, CUT).replace(&format!("\"{HUGE_MARK}\""), HUGE);
        let record = record(None, Some(value.as_bytes()), &[]);
        let fields = Decoder::new(&places).decode(&record).expect("it is JSON");
        for (field, pointer) in [&fields.tenant, &fields.department, &fields.kind].into_iter().zip(&pointers) {
            let expected = match json.pointer(pointer) {
                Some(serde_json::Value::String(text)) if text == HUGE_MARK => Some(HUGE.to_owned()),
                Some(serde_json::Value::String(text)) if !text.is_empty() && text != CUT_MARK => Some(text.clone()),
                Some(serde_json::Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            prop_assert_eq!(text(field, &record), expected.as_deref());
        }
    }
}
