//! ○ A sample event, of which it is asked who would get it: its topic and fields, or a whole record as Kafka would have it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    body::{Said, body},
    check::Object,
    errors::FieldErrors,
    text::{Base64, IdOrUid, ScopeName, TopicName},
};
use postrider_core::model::{event::Record, record::RecordParts};

/// A sample event.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = json!({"topic": "orders", "tenant": "2", "department": "100"}))]
pub struct MatchBody {
    /// Its topic.
    #[schemars(with = "TopicName")]
    pub topic: String,
    /// Its tenant; a number is taken as its digits.
    #[schemars(with = "Option<ScopeName>")]
    pub tenant: Option<String>,
    /// Its department; a number is taken as its digits.
    #[schemars(with = "Option<ScopeName>")]
    pub department: Option<String>,
    /// The one endpoint (its id, or your own key) to be told of, also when it would not get the event.
    #[schemars(with = "Option<IdOrUid>")]
    pub endpoint_id: Option<String>,
    /// The endpoint's customer (its id, or your own key), where several have an endpoint of that key.
    #[schemars(with = "Option<IdOrUid>")]
    pub customer_id: Option<String>,
    /// The record as Kafka would have it, in place of `tenant` and `department`: it is decoded as those of its topic are.
    pub record: Option<SampleRecord>,
}

body!(MatchBody);

/// A record.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct SampleRecord {
    /// The record's key.
    pub key: Option<String>,
    /// The key's bytes, in place of `key`.
    #[schemars(with = "Option<Base64>")]
    pub key_base64: Option<String>,
    /// The record's value as JSON, taken as it is written here; `null` is none.
    pub value: Option<Value>,
    /// The record's value, where it is no JSON.
    pub value_text: Option<String>,
    /// The value's bytes, in place of `value` and `value_text`.
    #[schemars(with = "Option<Base64>")]
    pub value_base64: Option<String>,
    /// The record's headers: an object of texts, or a list of them as dead letters show it.
    pub headers: Option<SampleHeaders>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum SampleHeaders {
    Named(#[schemars(extend("maxProperties" = 1_000))] std::collections::BTreeMap<String, HeaderValue>),
    Listed(#[schemars(length(max = 1_000))] Vec<ListedHeader>),
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum HeaderValue {
    Text(String),
    Number(serde_json::Number),
    None(()),
}

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct ListedHeader {
    /// Its name.
    pub name: String,
    /// Its value; `null` for none.
    pub value: Option<HeaderValue>,
    /// The value's bytes, in place of `value`.
    #[schemars(with = "Option<Base64>")]
    pub value_base64: Option<String>,
}

/// Reads the body, and the record in it. `bytes` are the body that `object` was read from: a record's value is taken as it was
/// written.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, bytes: &[u8]) -> Result<(MatchBody, Option<Record>), FieldErrors> {
    let mut said = Said::of::<MatchBody>(object);
    if object.get("record").is_some_and(|record| !record.is_null()) && (said.has("tenant") || said.has("department")) {
        said.wrong("record", "replaces tenant and department and cannot be combined with them");
    }
    let record = object.get("record").and_then(Value::as_object);
    let is_said = |name: &str| record.is_some_and(|record| record.get(name).is_some_and(|value| !value.is_null()));
    for (one, other) in
        [("key", "key_base64"), ("value", "value_text"), ("value", "value_base64"), ("value_text", "value_base64")]
    {
        if is_said(one) && is_said(other) {
            said.wrong(&format!("record.{other}"), format_args!("replaces {one} and cannot be combined with it"));
        }
    }
    let body: MatchBody = said.into_body()?;
    let record = body.record.as_ref().map(|record| record.as_kafka_has_it(written_value(bytes)));
    Ok((body, record))
}

impl SampleRecord {
    fn as_kafka_has_it(&self, written: Option<String>) -> Record {
        let of = |text: &Option<String>, base64: &Option<String>| {
            let text = text.as_ref().map(|text| text.clone().into_bytes());
            text.or_else(|| BASE64_STANDARD.decode(base64.as_ref()?).ok())
        };
        let key = of(&self.key, &self.key_base64);
        let value = match self.value {
            // As it was written: digits and repeated names are not changed on the way.
            Some(_) => written.map(String::into_bytes),
            None => of(&self.value_text, &self.value_base64),
        };
        let headers = self.headers.as_ref().map(SampleHeaders::bytes).unwrap_or_default();
        let parts = RecordParts { offset: 0, timestamp_ms: 0, key: key.as_deref(), value: value.as_deref() };
        Record::copy_from(parts, headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())))
    }
}

impl SampleHeaders {
    fn bytes(&self) -> Vec<(&str, Option<Vec<u8>>)> {
        match self {
            SampleHeaders::Named(headers) => {
                headers.iter().map(|(name, value)| (name.as_str(), value.bytes())).collect()
            }
            SampleHeaders::Listed(headers) => headers
                .iter()
                .map(|header| {
                    let encoded = header.value_base64.as_ref().and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
                    (header.name.as_str(), encoded.or_else(|| header.value.as_ref()?.bytes()))
                })
                .collect(),
        }
    }
}

impl HeaderValue {
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            HeaderValue::Text(text) => Some(text.clone().into_bytes()),
            HeaderValue::Number(number) => Some(number.to_string().into_bytes()),
            HeaderValue::None(()) => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<(MatchBody, Option<Record>), Vec<String>> {
        let value: Value = serde_json::from_str(body).expect("json");
        let parsed = parse(value.as_object().expect("an object"), body.as_bytes());
        parsed.map_err(|errors| errors.listed.into_iter().map(|error| error.field).collect())
    }

    fn record(body: &str) -> Record {
        check(body).expect("valid").1.expect("a record")
    }

    #[test]
    fn numbers_are_names_of_tenants() {
        let (body, record) = check(r#"{"topic": "orders", "tenant": 2, "department": "100"}"#).expect("valid");
        assert_eq!((body.tenant.as_deref(), body.department.as_deref()), (Some("2"), Some("100")));
        assert_eq!(record, None);
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
        let named = record(r#"{"topic": "t", "record": {"headers": {"a": 7, "n": null}}}"#);
        assert_eq!((named.header("a"), named.header("n")), (Some(&b"7"[..]), None));
    }

    #[test]
    fn contradictions_and_wrong_forms_are_named() {
        let refused = |body: &str| check(body).expect_err("refused");
        assert_eq!(refused(r#"{"tenant": true}"#), ["topic", "tenant"]);
        assert_eq!(refused(r#"{"topic": "t", "tenant": "2", "record": {}}"#), ["record"]);
        let record = r#"{"key": 5, "value_text": "a", "value_base64": "YQ==", "headers": 7, "more": 1}"#;
        let found = refused(&format!(r#"{{"topic": "t", "record": {record}}}"#));
        assert_eq!(found, ["record.headers", "record.key", "record.more", "record.value_base64"]);
    }
}
