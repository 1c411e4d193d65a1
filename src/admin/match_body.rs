//! ○ A sample event, parsed and validated: its topic and fields, or a whole record as Kafka would have it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    customer_body::{is_topic, name},
    fields::{self, Fields, Object},
    problem::Problem,
};
use crate::model::{event::Record, record::RecordParts};

/// The request's body, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchBody {
    pub topic: String,
    pub sample: Sample,
    /// Whether this endpoint (id or uid) gets it, and why.
    pub endpoint: Option<String>,
    pub customer: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// The fields that events are matched by.
    Fields { tenant: Option<String>, department: Option<String> },
    /// To be decoded as a record of its topic is.
    Record(Record),
}

/// `bytes` are the body that `object` was read from: a record's value is taken as it was written.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, bytes: &[u8]) -> Result<MatchBody, Problem> {
    fields::parse(object, |fields| {
        let topic = fields.required_text("topic", 249).filter(|topic| match is_topic(topic) {
            Ok(()) => true,
            Err(message) => {
                fields.wrong("topic", message);
                false
            }
        });
        let tenant = named(fields, "tenant");
        let department = named(fields, "department");
        let endpoint = fields.text("endpoint_id", 128);
        let customer = fields.text("customer_id", 128);
        let record = fields.nested("record", |fields| record(fields, written_value(bytes)));
        if fields.has("record") && (tenant.is_some() || department.is_some()) {
            fields.wrong("record", "stands instead of tenant and department, not beside them");
        }
        let sample = match record {
            Some(record) => Sample::Record(record),
            None => Sample::Fields { tenant, department },
        };
        Some(MatchBody { topic: topic?, sample, endpoint, customer })
    })
}

/// A tenant or a department; numbers are taken as their digits.
fn named(fields: &mut Fields<'_>, field: &'static str) -> Option<String> {
    let value = fields.value(field)?.clone();
    name(&value).map_err(|message| fields.wrong(field, message)).ok()
}

fn record(fields: &mut Fields<'_>, written: Option<String>) -> Option<Record> {
    let key = text_or_base64(fields, "key", "key_base64");
    let value = match (fields.has("value"), fields.value("value").is_some()) {
        // As it was written: digits and repeated names are not changed on the way.
        (true, true) => Some(written.unwrap_or_default().into_bytes()),
        _ => text_or_base64(fields, "value_text", "value_base64"),
    };
    let headers = headers(fields);
    let parts = RecordParts { offset: 0, timestamp_ms: 0, key: key.as_deref(), value: value.as_deref() };
    Some(Record::copy_from(parts, headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref()))))
}

fn text_or_base64(fields: &mut Fields<'_>, text: &'static str, base64: &'static str) -> Option<Vec<u8>> {
    let found = fields.value(text).map(|value| value.as_str().map(|text| text.as_bytes().to_vec()));
    if found == Some(None) {
        fields.wrong(text, "must be a text");
    }
    let encoded = fields.value(base64).map(|value| value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok()));
    if encoded == Some(None) {
        fields.wrong(base64, "must be base64");
    }
    if found.is_some() && encoded.is_some() {
        fields.wrong(base64, format_args!("stands instead of {text}, not beside it"));
    }
    found.flatten().or(encoded.flatten())
}

/// `{"name": "value"}`, or a list of them as dead letters show it.
fn headers(fields: &mut Fields<'_>) -> Vec<(String, Option<Vec<u8>>)> {
    let Some(value) = fields.value("headers").cloned() else { return Vec::new() };
    let read = match &value {
        Value::Object(object) => object.iter().map(|(name, value)| header(name, value)).collect::<Option<Vec<_>>>(),
        Value::Array(list) => list.iter().map(listed_header).collect(),
        _ => None,
    };
    match read {
        Some(headers) if headers.len() <= HEADERS_MAX => headers,
        _ => {
            let wanted = "must be an object of texts, or a list of {\"name\", \"value\" or \"value_base64\"}";
            fields.wrong("headers", format_args!("{wanted}, at most {HEADERS_MAX}"));
            Vec::new()
        }
    }
}

fn header(name: &str, value: &Value) -> Option<(String, Option<Vec<u8>>)> {
    match value {
        Value::Null => Some((name.to_owned(), None)),
        Value::String(text) => Some((name.to_owned(), Some(text.as_bytes().to_vec()))),
        Value::Number(number) => Some((name.to_owned(), Some(number.to_string().into_bytes()))),
        _ => None,
    }
}

fn listed_header(item: &Value) -> Option<(String, Option<Vec<u8>>)> {
    let name = item.get("name")?.as_str()?;
    match item.get("value_base64") {
        Some(encoded) => Some((name.to_owned(), Some(BASE64_STANDARD.decode(encoded.as_str()?).ok()?))),
        None => header(name, item.get("value").unwrap_or(&Value::Null)),
    }
}

/// The text of `record.value`.
fn written_value(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        record: Option<Inner<'a>>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        value: Option<&'a RawValue>,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    body.record?.value.map(|value| value.get().to_owned())
}

const HEADERS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<MatchBody, Vec<String>> {
        let value: Value = serde_json::from_str(body).expect("json");
        let parsed = parse(value.as_object().expect("an object"), body.as_bytes());
        parsed.map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    fn record(body: &str) -> Record {
        match check(body).expect("valid").sample {
            Sample::Record(record) => record,
            Sample::Fields { .. } => panic!("a record"),
        }
    }

    #[test]
    fn numbers_are_names_of_tenants() {
        let body = check(r#"{"topic": "orders", "tenant": 2, "department": "100"}"#).expect("valid");
        let (tenant, department) = (Some("2".to_owned()), Some("100".to_owned()));
        assert_eq!(body.sample, Sample::Fields { tenant, department });
    }

    #[test]
    fn a_records_value_is_taken_as_it_was_written() {
        let found =
            record(r#"{"topic": "t", "record": {"key": "k", "value": {"n": 1.00,  "n": 2}, "headers": {"a": "b"}}}"#);
        assert_eq!(found.value.map(|span| span.of(&found.bytes)), Some(&br#"{"n": 1.00,  "n": 2}"#[..]));
        assert_eq!(found.key.map(|span| span.of(&found.bytes)), Some(&b"k"[..]));
        assert_eq!(found.header("a"), Some(&b"b"[..]));
        let bytes = record(r#"{"topic": "t", "record": {"value_base64": "/w=="}}"#);
        assert_eq!(bytes.value.map(|span| span.of(&bytes.bytes)), Some(&b"\xff"[..]));
        assert_eq!(record(r#"{"topic": "t", "record": {"value": null}}"#).value, None);
    }

    #[test]
    fn headers_may_be_a_list_as_dead_letters_show_it() {
        let list =
            r#"[{"name": "a", "value": "1"}, {"name": "a", "value_base64": "Mg=="}, {"name": "n", "value": null}]"#;
        let found = record(&format!(r#"{{"topic": "t", "record": {{"headers": {list}}}}}"#));
        assert_eq!(found.headers().count(), 3);
        assert_eq!((found.header("a"), found.header("n")), (Some(&b"2"[..]), None));
    }

    #[test]
    fn contradictions_and_wrong_forms_are_named() {
        let refused = |body: &str| check(body).expect_err("refused");
        assert_eq!(refused(r#"{"tenant": true}"#), ["topic", "tenant"]);
        assert_eq!(refused(r#"{"topic": "t", "tenant": "2", "record": {}}"#), ["record"]);
        let record = r#"{"key": 5, "value_text": "a", "value_base64": "YQ==", "headers": 7, "more": 1}"#;
        let found = refused(&format!(r#"{{"topic": "t", "record": {record}}}"#));
        assert_eq!(found, ["record.key", "record.value_base64", "record.headers", "record.more"]);
    }
}
