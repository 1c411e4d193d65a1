//! ○ An API key, as it is made, changed and rotated, and as it is given.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body::{Said, body},
    check::Object,
    customer::CustomerName,
    errors::FieldErrors,
    examples::Example,
    resource::ApiResource,
    shape::NO_CONTROL_CHARACTERS,
    text::{ApiKeyId, IdOrUid, Moment},
};

/// An API key: its role, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = example())]
pub struct ApiKeyBody {
    /// The name that people know it by.
    #[schemars(length(min = 1, max = 200), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub name: String,
    /// The calls that it may make.
    pub role: KeyRole,
    /// The customer (its id, or your own key) whose key it is; for the role `customer`, and for no other.
    #[schemars(with = "Option<IdOrUid>")]
    pub customer_id: Option<String>,
    /// The time from which it is refused; without it the key never ends.
    #[schemars(with = "Option<Moment>")]
    pub expires_at: Option<Timestamp>,
}

body!(ApiKeyBody);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum KeyRole {
    /// Everything, also keys.
    Admin,
    /// Everything may be seen, and nothing changed.
    Operator,
    /// One customer's own part.
    Customer,
}

impl KeyRole {
    const ALL: [KeyRole; 3] = [KeyRole::Admin, KeyRole::Operator, KeyRole::Customer];

    /// The role of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<KeyRole> {
        KeyRole::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The name, as it is stored and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            KeyRole::Admin => "admin",
            KeyRole::Operator => "operator",
            KeyRole::Customer => "customer",
        }
    }
}

/// A change of a key's name, or of when it ends. A role is for life.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = json!({"expires_at": "2030-01-01T00:00:00Z"}))]
pub struct ApiKeyPatch {
    /// The name that people know it by.
    #[schemars(length(min = 1, max = 200), regex(pattern = NO_CONTROL_CHARACTERS), extend("x-not-null" = true))]
    pub name: Option<String>,
    /// The time from which it is refused; `null` for never.
    #[schemars(with = "Option<Moment>")]
    pub expires_at: Option<Timestamp>,
}

body!(ApiKeyPatch);

/// Another token for a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, example = json!({"overlap_ms": 3_600_000}))]
pub struct TokenRotationBody {
    /// The token before holds for so long.
    #[schemars(range(max = 604_800_000))]
    pub overlap_ms: u64,
}

body!(TokenRotationBody);

impl Default for TokenRotationBody {
    fn default() -> Self {
        TokenRotationBody { overlap_ms: 86_400_000 }
    }
}

/// An API key, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKey", example = ApiKeyView::example())]
pub struct ApiKeyView {
    /// Its id.
    #[schemars(with = "ApiKeyId")]
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    /// The calls that it may make.
    pub role: KeyRole,
    /// The customer whose key it is.
    pub customer_id: Option<String>,
    /// The first characters of its token.
    pub token_start: String,
    /// The token before the newest one holds until then.
    #[schemars(with = "Option<Moment>")]
    pub previous_expires_at: Option<Timestamp>,
    /// It is refused from then on; null for never.
    #[schemars(with = "Option<Moment>")]
    pub expires_at: Option<Timestamp>,
    /// Its newest use, to about ten minutes.
    #[schemars(with = "Option<Moment>")]
    pub last_used_at: Option<Timestamp>,
    /// The time of its first write.
    #[schemars(with = "Moment")]
    pub created_at: Timestamp,
    /// The time of its newest write.
    #[schemars(with = "Moment")]
    pub updated_at: Timestamp,
    /// The id of the key that made it.
    pub created_by: String,
}

/// An API key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = ListedApiKey::example())]
pub struct ListedApiKey {
    #[serde(flatten)]
    pub key: ApiKeyView,
    /// Its customer, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerName>,
}

/// An API key with a new token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewApiKey", example = IssuedApiKey::example())]
pub struct IssuedApiKey {
    #[serde(flatten)]
    pub key: ApiKeyView,
    /// The token, shown this once; stored is its hash.
    pub token: String,
}

impl ApiResource for IssuedApiKey {
    type Id = ApiKeyId;

    fn id(&self) -> &str {
        &self.key.id
    }
}

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = CurrentKey::example())]
pub struct CurrentKey {
    /// The key's id.
    pub id: String,
    /// The key's name; null for the key of the configuration.
    pub name: Option<String>,
    /// The calls that it may make.
    pub role: KeyRole,
    /// The customer whose key it is.
    pub customer_id: Option<String>,
    /// It is refused from then on; null for never.
    #[schemars(with = "Option<Moment>")]
    pub expires_at: Option<Timestamp>,
}

fn example() -> Value {
    json!({"name": "Acme, production", "role": "customer", "customer_id": "acme"})
}

/// Reads the body that makes a key. `wall_ms` is now: no key is over before it begins.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, wall_ms: i64) -> Result<ApiKeyBody, FieldErrors> {
    let mut said = Said::of::<ApiKeyBody>(object);
    match (said.text("role") == Some("customer"), said.has("customer_id")) {
        (true, false) => said.require("customer_id"),
        (false, true) if said.has("role") => said.wrong("customer_id", "is for the role \"customer\" only"),
        _ => {}
    }
    check_end(&mut said, wall_ms);
    said.into_body()
}

/// Reads a change of a key: its new name, and its new end (`Some(None)`: never), as far as they were said.
///
/// # Errors
/// Every wrong field.
pub fn parse_change(object: &Object, wall_ms: i64) -> Result<(Option<String>, Option<Option<Timestamp>>), FieldErrors> {
    let mut said = Said::of::<ApiKeyPatch>(object);
    if object.get("name").is_some_and(Value::is_null) {
        said.require("name");
    }
    check_end(&mut said, wall_ms);
    let change: ApiKeyPatch = said.into_body()?;
    Ok((change.name, object.contains_key("expires_at").then_some(change.expires_at)))
}

fn check_end(said: &mut Said, wall_ms: i64) {
    let Some(end) = said.text("expires_at").and_then(|text| text.parse::<Timestamp>().ok()) else { return };
    if end.as_millisecond() <= wall_ms {
        said.wrong("expires_at", "must be in the future");
    } else if end.as_millisecond() > TIME_MS_MAX {
        said.wrong("expires_at", "must be before the year 9999");
    }
}

/// 9999-01-01
const TIME_MS_MAX: i64 = 253_370_764_800_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[track_caller]
    fn refused(body: Value, expected: &[&str]) {
        let errors = parse(body.as_object().expect("an object"), NOW).expect_err("refused");
        let fields: Vec<&str> = errors.listed.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, expected, "{body}");
    }

    #[test]
    fn a_customers_key_names_its_customer_and_no_other_key_does() {
        refused(json!({}), &["name", "role"]);
        refused(json!({"name": "n", "role": "root"}), &["role"]);
        refused(json!({"name": "n", "role": "customer"}), &["customer_id"]);
        refused(json!({"name": "n", "role": "admin", "customer_id": "c"}), &["customer_id"]);
        let body = json!({"name": "n", "role": "customer", "customer_id": "acme"});
        let parsed = parse(body.as_object().expect("an object"), NOW).expect("valid");
        assert_eq!((parsed.role, parsed.customer_id.as_deref()), (KeyRole::Customer, Some("acme")));
    }

    #[test]
    fn a_role_is_stored_by_its_name_in_the_api() {
        for role in KeyRole::ALL {
            assert_eq!((json!(role), KeyRole::of(role.as_str())), (json!(role.as_str()), Some(role)));
        }
        assert_eq!(KeyRole::of("root"), None);
    }

    #[test]
    fn a_key_ends_in_the_future() {
        for time in ["2001-01-01T00:00:00Z", "soon", "9999-12-30T00:00:00Z"] {
            refused(json!({"name": "n", "role": "admin", "expires_at": time}), &["expires_at"]);
        }
    }

    #[test]
    fn a_change_says_what_it_changes() {
        let change = |body: Value| parse_change(body.as_object().expect("an object"), NOW);
        assert_eq!(change(json!({})), Ok((None, None)));
        assert_eq!(change(json!({"expires_at": null})), Ok((None, Some(None))));
        assert!(change(json!({"name": null})).is_err() && change(json!({"role": "admin"})).is_err());
    }
}
