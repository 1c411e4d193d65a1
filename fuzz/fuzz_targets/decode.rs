//! Whatever a producer writes: decoding ends without a panic, and what it finds is text of the record.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use postrider::{
    ingest::decode::{Decoder, FIELD_BYTES_MAX, FieldSource, FieldSources},
    model::{event::Record, record::RecordParts},
};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    timestamp_ms: i64,
    places: [u8; 5],
    pointer: &'a str,
    name: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let place = |choice: u8| {
        let text = match choice % 5 {
            0 => String::new(),
            1 => "key".to_owned(),
            2 => format!("header:{}", input.name),
            3 => format!("json:/{}", input.pointer),
            _ => "json:/a/0/b".to_owned(),
        };
        FieldSource::parse(&text).unwrap_or_default()
    };
    let [tenant, department, kind, id, time] = input.places.map(place);
    let decoder = Decoder::new(&FieldSources { tenant, department, kind, id, time });
    let parts = RecordParts { offset: 0, timestamp_ms: input.timestamp_ms, key: input.key, value: input.value };
    let record = Record::copy_from(parts, input.headers.iter().map(|(name, value)| (*name, *value)));
    if let Ok(fields) = decoder.decode(&record) {
        for field in [&fields.tenant, &fields.department, &fields.kind, &fields.id] {
            assert!(field.text(&record).is_none_or(|text| !text.is_empty() && text.len() <= FIELD_BYTES_MAX));
        }
    }
});
