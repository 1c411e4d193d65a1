//! ○ A customer, as it is written and as it is given.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    body::{Said, body},
    check::Object,
    errors::FieldErrors,
    examples::Example,
    resource::{ApiResource, RowStamps},
    shape::NO_CONTROL_CHARACTERS,
    text::{CustomerId, CustomerUid, GrantedTopic, ScopeName},
};
use postrider_core::model::{
    grants::Grants,
    quotas::{QUOTA_MAX, Quota},
};

/// A customer: its name, and what its endpoints may subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = example())]
pub struct CustomerBody {
    /// Your own key: PUT by it creates or replaces, and it may stand wherever an id does.
    #[schemars(with = "Option<CustomerUid>")]
    pub uid: Option<String>,
    /// The name that people know it by.
    #[schemars(length(min = 1, max = 200), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub name: String,
    /// Topics and tenants that its endpoints may subscribe to.
    #[schemars(with = "GrantMembers")]
    pub grants: Grants,
    /// Quotas that differ from the configuration. Left out: as they are, or as configured for a new customer.
    #[schemars(with = "Option<QuotaMembers>")]
    pub quotas: Option<BTreeMap<Quota, i64>>,
}

body!(CustomerBody);

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Customer", example = CustomerView::example())]
pub struct CustomerView {
    /// Its id.
    #[schemars(with = "CustomerId")]
    pub id: String,
    /// Your own key.
    pub uid: Option<String>,
    /// The name that people know it by.
    pub name: String,
    /// Topics and tenants that its endpoints may subscribe to.
    #[schemars(with = "GrantMembers")]
    pub grants: Grants,
    /// Quotas that differ from the configuration.
    #[schemars(with = "QuotaMembers")]
    pub quotas: BTreeMap<Quota, i64>,
    #[serde(flatten)]
    pub stamps: RowStamps,
}

impl ApiResource for CustomerView {
    type Id = CustomerId;

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> Option<i64> {
        Some(self.stamps.version)
    }
}

/// A customer as people call it; where that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomerName {
    /// Your own key.
    pub uid: Option<String>,
    /// The name that people know it by.
    pub name: String,
}

/// A customer of a bulk call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WrittenCustomer {
    /// The customer's id.
    #[schemars(with = "CustomerId")]
    pub id: String,
}

/// The quotas of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = CustomerQuotas::example())]
pub struct CustomerQuotas {
    /// The customer's id.
    #[schemars(with = "CustomerId")]
    pub customer_id: String,
    /// Each quota, and its use.
    #[schemars(with = "CustomerQuotaMembers")]
    pub quotas: BTreeMap<Quota, CustomerQuota>,
}

/// A quota of a customer, and its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct CustomerQuota {
    /// The quota.
    #[schemars(with = "u64")]
    pub limit: i64,
    /// True if it is this customer's own, and not the one of the configuration.
    pub own: bool,
    /// The part of it that is used.
    #[schemars(with = "u64")]
    pub used: i64,
}

struct CustomerQuotaMembers;

impl JsonSchema for CustomerQuotaMembers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CustomerQuotaMembers".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut member = |quota: Quota| {
            let mut member = generator.subschema_for::<CustomerQuota>();
            member.insert("description".to_owned(), quota.about().into());
            (quota.as_str().to_owned(), member.to_value())
        };
        let members: Map<String, Value> = Quota::ALL.into_iter().map(&mut member).collect();
        json_schema!({"type": "object", "properties": members, "required": Quota::ALL.map(Quota::as_str)})
    }
}

/// Topics and tenants that a customer's endpoints may subscribe to.
#[derive(JsonSchema)]
#[schemars(rename = "Grants", deny_unknown_fields)]
#[expect(dead_code, reason = "a shape and no value")]
struct GrantMembers {
    /// Topics: names, or `*` alone for every one. An empty list is none.
    #[schemars(length(max = 50_000))]
    topics: Vec<GrantedTopic>,
    /// Tenants: names, or `*` alone for every one. An empty list is none.
    #[schemars(length(max = 50_000))]
    tenants: Vec<ScopeName>,
}

struct QuotaMembers;

impl JsonSchema for QuotaMembers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OwnQuotas".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let member = |quota: Quota| {
            let member = json!({
                "title": quota.title(), "description": quota.about(), "type": "integer", "minimum": 0, "maximum": QUOTA_MAX,
            });
            (quota.as_str().to_owned(), member)
        };
        let members: Map<String, Value> = Quota::ALL.into_iter().map(member).collect();
        json_schema!({
            "description": "What differs from the configuration; what is left out does not.",
            "type": "object", "properties": members, "additionalProperties": false,
        })
    }
}

fn example() -> Value {
    json!({"name": "Acme", "grants": {"topics": ["orders"], "tenants": ["2", "7"]}})
}

/// Reads a customer's body. `needed`: members that must be there as well.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, needed: &[&str]) -> Result<CustomerBody, FieldErrors> {
    let mut said = Said::of::<CustomerBody>(object);
    needed.iter().for_each(|name| said.require(name));
    for list in ["topics", "tenants"] {
        let names = said.part("grants").and_then(|grants| grants.get(list)?.as_array());
        if names.is_some_and(|names| names.len() > 1 && names.iter().any(|name| name == "*")) {
            said.wrong(&format!("grants.{list}"), "must be [\"*\"] alone for everything, or names");
        }
    }
    said.into_body()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::model::grants::Granted;

    fn check(body: Value) -> Result<CustomerBody, Vec<String>> {
        let parsed = parse(body.as_object().expect("an object"), &[]);
        parsed.map_err(|errors| errors.listed.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn grants_are_names_or_everything() {
        let body = json!({"name": "Acme", "grants": {"topics": ["*"], "tenants": ["2", 7]}});
        let customer = check(body).expect("valid");
        assert_eq!(customer.grants.topics, Granted::All);
        assert_eq!(customer.grants.tenants, Granted::These(["2".to_owned(), "7".to_owned()].into()));
    }

    #[test]
    fn kafkas_own_topics_are_granted_to_nobody() {
        let body = json!({"name": "Acme", "grants": {"topics": ["orders", "__consumer_offsets"], "tenants": ["*"]}});
        assert_eq!(check(body), Err(vec!["grants.topics[1]".to_owned()]));
    }

    #[test]
    fn a_star_beside_names_is_refused() {
        let body = json!({"name": "Acme", "grants": {"topics": ["*", "orders"], "tenants": []}});
        assert_eq!(check(body), Err(vec!["grants.topics".to_owned()]));
    }

    #[test]
    fn quotas_are_whole_numbers_by_name_and_may_be_left_out() {
        let body = |quotas: Value| json!({"name": "Acme", "grants": {"topics": [], "tenants": []}, "quotas": quotas});
        let own = |quotas| check(body(quotas)).map(|customer| customer.quotas);
        assert_eq!(own(Value::Null), Ok(None));
        let five = [(Quota::EndpointsMax, 5)].into();
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
        let fields = ["grants.tenants", "grants.topics[0]"].map(ToOwned::to_owned);
        assert_eq!(check(body), Err(fields.to_vec()));
    }
}
