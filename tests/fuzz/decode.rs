//! ○ Whatever a producer writes: decoding ends without a panic, and what it finds is text of the record.

use postrider::{
    ingest::decode::{Decoder, FIELD_BYTES_MAX, FieldSource, FieldSources},
    model::{event::Record, record::RecordParts},
};

#[derive(Debug)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub(super) struct Input<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    pub(super) timestamp_ms: i64,
    pub(super) places: [u8; 5],
    pub(super) pointer: &'a str,
    pub(super) name: &'a str,
}

pub(super) fn check(input: &Input<'_>) {
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
}
