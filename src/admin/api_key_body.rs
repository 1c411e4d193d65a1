//! ○ The body that makes an API key, parsed and validated, and a key as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fields::{self, Fields, Object},
    problem::Problem,
};
use crate::store::api_keys::{ApiKey, KeyChange, NewRole, StoredRole};

/// The request's body, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyBody {
    pub name: String,
    pub role: RoleBody,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleBody {
    Admin,
    Operator,
    /// Of the customer of this id or key of the caller's.
    Customer(String),
}

impl RoleBody {
    #[must_use]
    pub fn as_new(&self) -> NewRole<'_> {
        match self {
            RoleBody::Admin => NewRole::Admin,
            RoleBody::Operator => NewRole::Operator,
            RoleBody::Customer(name) => NewRole::Customer(name),
        }
    }
}

#[derive(Clone, Copy)]
enum RoleName {
    Admin,
    Operator,
    Customer,
}

/// `wall_ms` is now: no key is over before it begins.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, wall_ms: i64) -> Result<ApiKeyBody, Problem> {
    fields::parse(object, |fields| {
        let name = fields.required_text("name", 200);
        fields.require("role");
        let roles = [("admin", RoleName::Admin), ("operator", RoleName::Operator), ("customer", RoleName::Customer)];
        let role = fields.word("role", &roles);
        let customer = fields.text("customer_id", 128);
        let expires_at = expires_at(fields, wall_ms);
        let role = match (role?, customer) {
            (RoleName::Customer, Some(customer)) => RoleBody::Customer(customer),
            (RoleName::Customer, None) => {
                fields.require("customer_id");
                return None;
            }
            (RoleName::Admin, None) => RoleBody::Admin,
            (RoleName::Operator, None) => RoleBody::Operator,
            (RoleName::Admin | RoleName::Operator, Some(_)) => {
                fields.wrong("customer_id", "is for the role \"customer\" only");
                return None;
            }
        };
        Some(ApiKeyBody { name: name?, role, expires_at })
    })
}

/// Parses the changes that PATCH may make: the name, and the key's end (`null`: never). A role is for life.
///
/// # Errors
/// Every wrong field.
pub fn parse_change(object: &Object, wall_ms: i64) -> Result<KeyChange, Problem> {
    fields::parse(object, |fields| {
        if object.get("name").is_some_and(Value::is_null) {
            fields.require("name");
        }
        let name = fields.text("name", 200);
        let given = expires_at(fields, wall_ms);
        let expires_at = fields.has("expires_at").then_some(given);
        Some(KeyChange { name, expires_at })
    })
}

/// For how long the token before goes on, in milliseconds.
///
/// # Errors
/// Every wrong field.
pub fn parse_rotation(object: &Object) -> Result<i64, Problem> {
    fields::parse(object, |fields| {
        let overlap_ms = fields.number("overlap_ms", 0_u64..=OVERLAP_MS_MAX);
        Some(overlap_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(OVERLAP_MS_DEFAULT))
    })
}

/// The key as JSON; the token is not known any more.
#[must_use]
pub fn view(key: &ApiKey) -> Value {
    let (role, customer_id) = match &key.role {
        StoredRole::Admin => ("admin", None),
        StoredRole::Operator => ("operator", None),
        StoredRole::Customer(id) => ("customer", Some(id)),
    };
    json!({
        "id": key.id,
        "name": key.name,
        "role": role,
        "customer_id": customer_id,
        "token_start": key.token_start,
        "previous_expires_at": key.previous_expires_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "created_by": key.created_by,
    })
}

fn expires_at(fields: &mut Fields<'_>, wall_ms: i64) -> Option<Timestamp> {
    let text = fields.text("expires_at", 64)?;
    let time = text.parse::<Timestamp>().ok();
    match time {
        None => fields.wrong("expires_at", "must be a time as in 2030-01-31T12:00:00Z"),
        Some(time) if time.as_millisecond() <= wall_ms => fields.wrong("expires_at", "must be in the future"),
        Some(time) if time.as_millisecond() > TIME_MS_MAX => fields.wrong("expires_at", "must be before the year 9999"),
        Some(_) => return time,
    }
    None
}

const OVERLAP_MS_MAX: u64 = 604_800_000;
const OVERLAP_MS_DEFAULT: i64 = 86_400_000;
/// 9999-01-01
const TIME_MS_MAX: i64 = 253_370_764_800_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[track_caller]
    fn refused(body: Value, expected: &[&str]) {
        let problem = parse(body.as_object().expect("an object"), NOW).expect_err("refused");
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
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
        assert_eq!(parsed.role, RoleBody::Customer("acme".to_owned()));
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
        assert_eq!(change(json!({})), Ok(KeyChange::default()));
        let never = change(json!({"expires_at": null})).expect("valid");
        assert_eq!(never, KeyChange { name: None, expires_at: Some(None) });
        assert!(change(json!({"name": null})).is_err() && change(json!({"role": "admin"})).is_err());
    }
}
