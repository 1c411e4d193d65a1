//! ○ A customer's body, parsed and validated.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    fields::{self, Fields, Object, checked_text, checked_uid},
    problem::Problem,
};
use crate::{
    ingest::topic_name::is_kafkas_own,
    model::{
        grants::{Granted, Grants},
        id::Kind,
        quotas::{QUOTA_MAX, Quota},
    },
    store::{
        customers::{Customer, CustomerWrite},
        quotas::OwnQuotas,
    },
};

/// The request's body, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerBody {
    pub uid: Option<String>,
    pub write: CustomerWrite,
}

/// # Errors
/// Every wrong field.
pub fn parse(object: &Object) -> Result<CustomerBody, Problem> {
    fields::parse(object, |fields| {
        let uid = uid(fields, Kind::Customer);
        let name = fields.required_text("name", 200);
        fields.require("grants");
        let grants = fields.nested("grants", |grants| {
            let topics = granted(grants, "topics", is_topic);
            let tenants = granted(grants, "tenants", |_| Ok(()));
            Some(Grants { topics: topics?, tenants: tenants? })
        });
        let quotas = fields.nested("quotas", quotas);
        Some(CustomerBody { uid, write: CustomerWrite { name: name?, grants: grants?, quotas } })
    })
}

/// Parses the customer's own quotas; one that is left out or null is as for everybody.
fn quotas(fields: &mut Fields<'_>) -> Option<OwnQuotas> {
    let mut own = OwnQuotas::default();
    for quota in Quota::ALL {
        if let Some(limit) = fields.number(quota.as_str(), 0..=QUOTA_MAX.unsigned_abs()) {
            own.0.insert(quota, i64::try_from(limit).unwrap_or(QUOTA_MAX));
        }
    }
    Some(own)
}

/// The customer as JSON.
#[must_use]
pub fn view(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "uid": customer.uid,
        "name": customer.name,
        "grants": customer.grants,
        "quotas": customer.quotas,
        "version": customer.stamps.version,
        "created_at": customer.stamps.created_at,
        "updated_at": customer.stamps.updated_at,
    })
}

/// The body that would write the customer as it is: PATCH merges into it.
#[must_use]
pub fn as_body(customer: &Customer) -> Value {
    json!({"uid": customer.uid, "name": customer.name, "grants": customer.grants, "quotas": customer.quotas})
}

/// The caller's own key.
pub fn uid(fields: &mut Fields<'_>, kind: Kind) -> Option<String> {
    let uid = fields.text("uid", 128)?;
    match checked_uid(&uid, kind.prefix()) {
        Ok(()) => Some(uid),
        Err(message) => {
            fields.wrong("uid", message);
            None
        }
    }
}

/// A topic's name, as Kafka allows it.
pub fn is_topic(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.len() > 249 || !name.chars().all(allowed) || matches!(name, "." | "..") {
        return Err("must be a topic's name: at most 249 letters, digits or any of . _ -".to_owned());
    }
    if is_kafkas_own(name) {
        return Err("is one of Kafka's own topics (their names begin with __), which are never delivered".to_owned());
    }
    Ok(())
}

/// A name of a tenant or department; whole numbers are taken as their digits.
pub fn name(value: &Value) -> Result<String, String> {
    match value.as_i64().map(|number| number.to_string()).or(value.as_u64().map(|number| number.to_string())) {
        Some(digits) => Ok(digits),
        None if value.is_string() => checked_text(value, 256),
        None => Err("must be a text or a whole number".to_owned()),
    }
}

fn granted(fields: &mut Fields<'_>, list: &'static str, check: impl Fn(&str) -> Result<(), String>) -> Option<Granted> {
    fields.require(list);
    let names = fields.list(list, 0..=GRANTED_MAX, |item| {
        let name = name(item)?;
        if name != "*" {
            check(&name)?;
        }
        Ok(name)
    })?;
    if names.len() > 1 && names.iter().any(|name| name == "*") {
        fields.wrong(list, "must be [\"*\"] alone for everything, or names");
        return None;
    }
    Some(BTreeSet::from_iter(names).into())
}

/// Names in one grant.
const GRANTED_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value) -> Result<CustomerBody, Vec<String>> {
        let parsed = parse(body.as_object().expect("an object"));
        parsed.map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn grants_are_names_or_everything() {
        let body = json!({"name": "Acme", "grants": {"topics": ["*"], "tenants": ["2", 7]}});
        let customer = check(body).expect("valid");
        assert_eq!(customer.write.grants.topics, Granted::All);
        assert_eq!(customer.write.grants.tenants, Granted::These(["2".to_owned(), "7".to_owned()].into()));
    }

    #[test]
    fn kafkas_own_topics_are_granted_to_nobody() {
        let body = json!({"name": "Acme", "grants": {"topics": ["orders", "__consumer_offsets"], "tenants": ["*"]}});
        assert_eq!(check(body).map_err(|fields| fields.len()), Err(1));
    }

    #[test]
    fn a_star_beside_names_is_refused() {
        let body = json!({"name": "Acme", "grants": {"topics": ["*", "orders"], "tenants": []}});
        assert_eq!(check(body), Err(vec!["grants.topics".to_owned()]));
    }

    #[test]
    fn quotas_are_whole_numbers_by_name_and_may_be_left_out() {
        let body = |quotas: Value| json!({"name": "Acme", "grants": {"topics": [], "tenants": []}, "quotas": quotas});
        let own = |quotas| check(body(quotas)).map(|customer| customer.write.quotas);
        assert_eq!(own(Value::Null), Ok(None));
        let five = OwnQuotas([(Quota::EndpointsMax, 5)].into());
        assert_eq!(own(json!({"endpoints_max": 5, "backlog_rows_max": null})), Ok(Some(five)));
        assert_eq!(
            own(json!({"endpoints_max": -1, "seats_max": 1})),
            Err(vec!["quotas.endpoints_max".to_owned(), "quotas.seats_max".to_owned()])
        );
    }

    #[test]
    fn nothing_is_granted_by_omission() {
        let fields = ["name", "grants"].map(ToOwned::to_owned);
        assert_eq!(check(json!({})), Err(fields.to_vec()));
        let body = json!({"name": "Acme", "grants": {"topics": ["or ders"]}});
        let fields = ["grants.topics[0]", "grants.tenants"].map(ToOwned::to_owned);
        assert_eq!(check(body), Err(fields.to_vec()));
    }
}
