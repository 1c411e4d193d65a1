//! ○ Kinds of text with rules of their own. Each is named by its `format` in a shape; its pattern there and its check here say
//! the same.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{endpoint_auth, shape::NO_CONTROL_CHARACTERS};
use postrider_core::model::{
    id::{self as ids, ResourceKind},
    topic,
    url::{self, EndpointUrl},
};

/// Each is a shape and no value: a field of a body is a `String` with such a shape.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {
        $(
            $(#[$doc])*
            pub enum $name {}

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    $schema
                }
            }
        )*
    };
}

texts! {
    /// A topic's name.
    TopicName = json_schema!({
        "type": "string", "format": "topic", "pattern": r"^(?!\.{1,2}$)(?!__)[A-Za-z0-9._-]{1,249}$",
    });
    /// A topic's name, or the star that is all of them.
    GrantedTopic = json_schema!({
        "type": ["string", "integer"], "format": "granted-topic",
        "pattern": r"^(\*|(?!\.{1,2}$)(?!__)[A-Za-z0-9._-]{1,249})$",
    });
    /// A tenant or a department; numbers are taken as their digits.
    ScopeName = json_schema!({
        "type": ["string", "integer"], "format": "name", "minLength": 1, "maxLength": 256,
        "pattern": NO_CONTROL_CHARACTERS,
    });
    /// A moment.
    Moment = json_schema!({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]});
    /// An id, or a key of the caller's.
    IdOrUid = json_schema!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_CONTROL_CHARACTERS});
    /// A customer's key of the caller's.
    CustomerUid = uid(ResourceKind::Customer);
    /// An endpoint's key of the caller's.
    EndpointUid = uid(ResourceKind::Endpoint);
    /// A subscription's key of the caller's.
    SubscriptionUid = uid(ResourceKind::Subscription);
    /// The id of a customer.
    CustomerId = id(ResourceKind::Customer);
    /// The id of an endpoint.
    EndpointId = id(ResourceKind::Endpoint);
    /// The id of a subscription.
    SubscriptionId = id(ResourceKind::Subscription);
    /// The id of a replay.
    ReplayId = id(ResourceKind::Replay);
    /// The id of an API key.
    ApiKeyId = id(ResourceKind::ApiKey);
    /// The id of a dead letter.
    DeadLetterId = {
        let mut id = id(ResourceKind::DeadLetter);
        id.insert("format".to_owned(), "dead-letter-id".into());
        id
    };
    /// An address that events are sent to.
    Url = json_schema!({"type": "string", "format": "uri", "minLength": 1, "maxLength": url::BYTES_MAX});
    /// A certificate or a key.
    Pem = json_schema!({"type": "string", "format": "pem", "minLength": 1, "maxLength": PEM_BYTES_MAX});
    /// A secret that signs requests.
    SigningSecret = json_schema!({
        "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$", "writeOnly": true,
        "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    });
    /// A header's name.
    HeaderName = json_schema!({
        "type": "string", "format": "header-name", "minLength": 1, "maxLength": endpoint_auth::NAME_BYTES_MAX,
        "pattern": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    });
    /// A header's value.
    HeaderText = json_schema!({
        "type": "string", "format": "header-text", "minLength": 1, "maxLength": endpoint_auth::VALUE_BYTES_MAX,
        "pattern": "^[!-~]([ -~]*[!-~])?$", "writeOnly": true,
    });
    /// A bearer token.
    Token = json_schema!({
        "type": "string", "format": "token", "minLength": 1, "maxLength": endpoint_auth::VALUE_BYTES_MAX,
        "pattern": "^[!-~]+$",
    });
    /// A name of basic authentication.
    Username = json_schema!({
        "type": "string", "format": "username", "maxLength": endpoint_auth::VALUE_BYTES_MAX,
        "pattern": r"^[^:\x00-\x1f\x7f-\x9f]*$",
    });
    /// A password of basic authentication.
    Password = json_schema!({
        "type": "string", "format": "password", "maxLength": endpoint_auth::VALUE_BYTES_MAX,
        "pattern": super::shape::NO_CONTROL_CHARACTERS,
    });
    /// Bytes.
    Base64 = json_schema!({"type": "string", "format": "base64", "contentEncoding": "base64"});
}

fn id(kind: ResourceKind) -> Schema {
    let prefix = kind.prefix();
    json_schema!({
        "type": "string", "pattern": format!("^{prefix}[0-9a-hjkmnp-tv-z]{{26}}$"),
        "examples": [format!("{prefix}01jd8kz3m5x0c2v9q4t7w1y6ab")],
    })
}

fn uid(kind: ResourceKind) -> Schema {
    let prefix = kind.prefix();
    json_schema!({
        "type": "string", "format": format!("uid-{prefix}"), "minLength": 1, "maxLength": UID_CHARS_MAX,
        "pattern": format!(r"^(?!{prefix})(?!\.{{1,2}}$)[A-Za-z0-9._:-]+$"),
    })
}

/// The shape of one of them.
#[must_use]
pub fn shape<T: JsonSchema>() -> Value {
    T::json_schema(&mut SchemaGenerator::default()).to_value()
}

/// The value of this format, as a body has it from then on; `None` for a format that has no rules of its own.
pub fn checked(format: &str, value: &Value) -> Option<Result<Value, String>> {
    let as_it_is = |check: &dyn Fn(&str) -> Result<(), String>| {
        let text = value.as_str().ok_or(NO_TEXT)?;
        check(text).map(|()| Value::from(text))
    };
    Some(match format {
        "topic" => as_it_is(&topic::check),
        "granted-topic" => name(value).and_then(|name| match name.as_str() {
            "*" => Ok(name.into()),
            topic => topic::check(topic).map(|()| name.into()),
        }),
        "name" => name(value).map(Value::from),
        "date-time" => value.as_str().ok_or(NO_TEXT.to_owned()).and_then(|text| Ok(time(text)?.to_string().into())),
        "dead-letter-id" => as_it_is(&|id| match ids::is(ResourceKind::DeadLetter, id) {
            true => Ok(()),
            false => Err("must be the id of a dead letter".to_owned()),
        }),
        "uri" => value.as_str().ok_or(NO_TEXT.to_owned()).and_then(|text| match EndpointUrl::parse(text) {
            Ok(url) => Ok(url.as_str().into()),
            Err(error) => Err(error.to_string()),
        }),
        "pem" => as_it_is(&check_pem),
        "header-name" => as_it_is(&endpoint_auth::check_header_name),
        "header-text" => as_it_is(&endpoint_auth::check_header_text),
        "token" => as_it_is(&endpoint_auth::check_token),
        "username" => as_it_is(&endpoint_auth::check_username),
        "password" => as_it_is(&endpoint_auth::check_password),
        "base64" => as_it_is(&|text| BASE64_STANDARD.decode(text).map(drop).map_err(|_| "must be base64".to_owned())),
        format => {
            let prefix = format.strip_prefix("uid-")?;
            as_it_is(&|text| check_uid(text, prefix))
        }
    })
}

/// A name of a tenant or department; whole numbers are taken as their digits.
fn name(value: &Value) -> Result<String, String> {
    match value.as_i64().map(|number| number.to_string()).or(value.as_u64().map(|number| number.to_string())) {
        Some(digits) => Ok(digits),
        None => {
            let text = value.as_str().ok_or("must be a text or a whole number")?;
            check(text, 1..=256).map(|()| text.to_owned())
        }
    }
}

/// A text of so many characters without control characters (Postgres refuses NUL, people refuse the others).
pub fn check(text: &str, chars: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    if !chars.contains(&text.chars().count()) {
        return Err(format!("must have {} to {} characters", chars.start(), chars.end()));
    }
    match text.chars().any(char::is_control) {
        true => Err("must not contain control characters".to_owned()),
        false => Ok(()),
    }
}

/// The form of PEM; whoever needs a certificate or a key of it looks at the rest.
fn check_pem(text: &str) -> Result<(), String> {
    if text.len() > PEM_BYTES_MAX {
        Err(format!("must have at most {PEM_BYTES_MAX} characters"))
    } else if text.bytes().any(|byte| byte == 0 || !byte.is_ascii()) {
        Err("must be PEM, which is ASCII".to_owned())
    } else {
        Ok(())
    }
}

/// A caller's own key: letters, digits and `. _ : -`, not like an id of ours.
///
/// # Errors
/// Says what to write instead.
pub fn check_uid(text: &str, prefix: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
    if text.is_empty() || text.len() > UID_CHARS_MAX || !text.chars().all(allowed) {
        return Err(format!("must have 1 to {UID_CHARS_MAX} letters, digits or any of . _ : -"));
    }
    if matches!(text, "." | "..") {
        return Err("must not be . or .., which mean other paths".to_owned());
    }
    if text.starts_with(prefix) {
        return Err(format!("must not begin with {prefix}, which ids begin with"));
    }
    Ok(())
}

/// A moment, as it is written in JSON and in queries.
///
/// # Errors
/// Says what to write instead.
pub fn time(text: &str) -> Result<Timestamp, &'static str> {
    match text.parse() {
        Ok(time) => Ok(time),
        // The last day of the calendar is beyond what can be reckoned with in every time zone: as late as can be.
        Err(_) if text.strip_prefix("9999-12-31T").is_some_and(is_time_of_day) => Ok(Timestamp::MAX),
        Err(_) if text.contains(' ') => {
            Err("must be an RFC 3339 time, such as 2026-01-31T12:00:00Z; in a URL, + is written as %2B")
        }
        Err(_) => Err("must be an RFC 3339 time, such as 2026-01-31T12:00:00Z"),
    }
}

/// True if this is what follows a date and a T.
fn is_time_of_day(text: &str) -> bool {
    format!("2026-01-31T{text}").parse::<Timestamp>().is_ok()
}

pub const NO_TEXT: &str = "must be a text";
const UID_CHARS_MAX: usize = 128;
const PEM_BYTES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_no_path_can_name_is_refused() {
        for uid in [".", "..", "", "a/b", "a b", "cus_1"] {
            assert!(check_uid(uid, "cus_").is_err(), "{uid}");
        }
        for uid in ["...", ".a", "a.", "a..b", "cus", "my:endpoint-1.x_y"] {
            assert_eq!(check_uid(uid, "cus_"), Ok(()), "{uid}");
        }
    }

    #[test]
    fn a_time_is_read_to_the_end_of_the_calendar_and_a_lost_plus_is_explained() {
        assert_eq!(time("9999-12-31T23:59:59Z"), Ok(Timestamp::MAX));
        assert!(time("2026-01-31T12:00:00+02:00").is_ok());
        let lost = time("2026-01-31T12:00:00 02:00").expect_err("no time");
        assert!(lost.contains("%2B"), "{lost}");
        for text in ["", "yesterday", "9999-12-31", "9999-12-32T00:00:00Z"] {
            assert!(time(text).is_err(), "{text}");
        }
        let last = checked("date-time", &json!("9999-12-31T23:59:59Z")).expect("a format").expect("a time");
        assert_eq!(serde_json::from_value::<Timestamp>(last).ok(), Some(Timestamp::MAX));
    }

    #[test]
    fn a_text_that_postgres_would_refuse_is_refused_here() {
        assert!(check("a\u{0}b", 1..=5).is_err());
        assert_eq!(check("ab", 1..=2), Ok(()));
    }

    #[test]
    fn whole_numbers_are_names_by_their_digits() {
        for number in [json!(2), json!(-7), json!(18_446_744_073_709_551_615_u64)] {
            assert_eq!(checked("name", &number), Some(Ok(number.to_string().into())));
        }
        assert!(checked("name", &json!(1.5)).is_some_and(|checked| checked.is_err()));
    }

    #[test]
    fn what_is_in_a_shape_has_its_check() {
        let shapes = [
            shape::<TopicName>(),
            shape::<GrantedTopic>(),
            shape::<ScopeName>(),
            shape::<Moment>(),
            shape::<CustomerUid>(),
            shape::<Url>(),
            shape::<Pem>(),
            shape::<HeaderName>(),
            shape::<HeaderText>(),
            shape::<Token>(),
            shape::<Username>(),
            shape::<Password>(),
            shape::<DeadLetterId>(),
            shape::<Base64>(),
        ];
        for shape in shapes {
            let format = shape["format"].as_str().expect("a format");
            assert!(checked(format, &json!("")).is_some(), "{format}");
        }
    }
}
