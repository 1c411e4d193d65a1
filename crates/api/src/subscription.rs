//! ○ A subscription, as it is written and as it is given.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body::{Said, body},
    check::Object,
    errors::FieldErrors,
    examples::Example,
    resource::{ApiResource, RowStamps},
    text::{self, EndpointId, IdOrUid, ScopeName, SubscriptionId, SubscriptionUid, TopicName},
};
use postrider_core::model::scope::Scope;

/// A subscription: the events of a topic that an endpoint gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = example())]
pub struct SubscriptionBody {
    /// The endpoint (its id, or your own key) that gets the events.
    #[schemars(with = "Option<IdOrUid>")]
    pub endpoint_id: Option<String>,
    /// Your own key, within its endpoint: PUT by it creates or replaces, and it may stand wherever an id does.
    #[schemars(with = "Option<SubscriptionUid>")]
    pub uid: Option<String>,
    /// The topic; the customer's grants must have it.
    #[schemars(with = "TopicName")]
    pub topic: String,
    /// The part of the topic: all of it, some tenants, or some of their departments.
    #[schemars(with = "ScopeForms")]
    pub scope: Scope,
}

body!(SubscriptionBody);

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Subscription", example = SubscriptionView::example())]
pub struct SubscriptionView {
    /// Its id.
    #[schemars(with = "SubscriptionId")]
    pub id: String,
    /// Your own key.
    pub uid: Option<String>,
    /// The endpoint that gets the events.
    #[schemars(with = "EndpointId")]
    pub endpoint_id: String,
    /// The topic.
    pub topic: String,
    /// The part of the topic: all of it, some tenants, or some of their departments.
    #[schemars(with = "ScopeForms")]
    pub scope: Scope,
    #[serde(flatten)]
    pub stamps: RowStamps,
    /// Reasons that keep it from ever matching, such as a topic that is not read; for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl ApiResource for SubscriptionView {
    type Id = SubscriptionId;

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> Option<i64> {
        Some(self.stamps.version)
    }
}

/// A subscription of a bulk call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WrittenSubscription {
    /// The subscription's id.
    #[schemars(with = "SubscriptionId")]
    pub id: String,
    /// Its endpoint.
    #[schemars(with = "EndpointId")]
    pub endpoint_id: String,
    /// Reasons that keep it from ever matching, such as a topic that is not read; for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The part of the topic: all of it, some tenants, or some of their departments.
#[derive(JsonSchema)]
#[serde(tag = "level", rename_all = "snake_case")]
#[schemars(rename = "Scope", deny_unknown_fields)]
#[expect(dead_code, reason = "a shape and no value")]
enum ScopeForms {
    /// Every event of the topic, those without a tenant included; needs the grant of all tenants.
    Topic,
    /// The events of these tenants, whatever their department.
    Tenants {
        /// Names of tenants; numbers are taken as their digits.
        #[schemars(length(min = 1, max = 10_000))]
        tenants: Vec<ScopeName>,
    },
    /// The events of these departments of these tenants.
    Departments {
        /// Lists of departments by their tenants' names, 10,000 departments in all.
        #[schemars(extend("minProperties" = 1, "maxProperties" = 10_000, "propertyNames" = tenant_names()))]
        departments: BTreeMap<String, DepartmentNames>,
    },
}

/// Departments of a tenant; numbers are taken as their digits.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "a shape and no value")]
struct DepartmentNames(#[schemars(length(min = 1, max = 10_000))] Vec<ScopeName>);

fn tenant_names() -> Value {
    let mut names = text::shape::<ScopeName>();
    names["type"] = "string".into();
    names
}

fn example() -> Value {
    json!({
        "endpoint_id": "acme-erp", "topic": "orders",
        "scope": {"level": "departments", "departments": {"2": ["100", "200"]}},
    })
}

/// Reads a subscription's body. `needed`: members that must be there as well.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, needed: &[&str]) -> Result<SubscriptionBody, FieldErrors> {
    let mut said = Said::of::<SubscriptionBody>(object);
    needed.iter().for_each(|name| said.require(name));
    let lists = said.part("scope").and_then(|scope| scope.get("departments")?.as_object());
    let names = lists.map(|lists| lists.values().filter_map(Value::as_array).map(Vec::len).sum::<usize>());
    if names.is_some_and(|names| names > NAMES_MAX) {
        said.wrong("scope.departments", format_args!("must have at most {NAMES_MAX} departments in all"));
    }
    said.into_body()
}

/// Departments in one subscription.
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check(scope: Value) -> Result<Scope, Vec<String>> {
        let body = json!({"endpoint_id": "ep_1", "topic": "orders", "scope": scope});
        let parsed = parse(body.as_object().expect("an object"), &[]);
        parsed.map(|body| body.scope).map_err(|errors| errors.listed.into_iter().map(|error| error.field).collect())
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_three_levels_are_read_and_numbers_are_names() {
        assert_eq!(check(json!({"level": "topic"})), Ok(Scope::Topic));
        let tenants = check(json!({"level": "tenants", "tenants": [2, "7", 18446744073709551615_u64]}));
        assert_eq!(tenants, Ok(Scope::Tenants { tenants: set(&["2", "7", "18446744073709551615"]) }));
        let departments = check(json!({"level": "departments", "departments": {"2": [100, "200"]}}));
        let expected = BTreeMap::from([("2".to_owned(), set(&["100", "200"]))]);
        assert_eq!(departments, Ok(Scope::Departments { departments: expected }));
    }

    #[test]
    fn what_matches_nothing_or_cannot_be_a_name_is_refused() {
        assert_eq!(check(json!({"level": "tenants", "tenants": []})), Err(vec!["scope.tenants".into()]));
        assert_eq!(check(json!({"level": "tenants", "tenants": [1.5]})), Err(vec!["scope.tenants[0]".into()]));
        assert_eq!(check(json!({"level": "topic", "tenants": ["1"]})), Err(vec!["scope.tenants".into()]));
        let departments = json!({"level": "departments", "departments": {"2": []}});
        assert_eq!(check(departments), Err(vec!["scope.departments.2".into()]));
        let nameless = json!({"level": "departments", "departments": {"": ["1"]}});
        assert_eq!(check(nameless), Err(vec!["scope.departments.".into()]));
        assert_eq!(check(json!({"level": "world"})), Err(vec!["scope.level".into()]));
        assert_eq!(check(json!({})), Err(vec!["scope.level".into()]));
    }

    #[test]
    fn departments_are_counted_over_all_tenants() {
        let of = |names: usize| json!((0..names).collect::<Vec<_>>());
        let scope = |more: usize| json!({"level": "departments", "departments": {"1": of(9_999), "2": of(more)}});
        assert!(check(scope(1)).is_ok());
        assert_eq!(check(scope(2)), Err(vec!["scope.departments".into()]));
    }

    #[test]
    fn a_pattern_is_not_a_topic() {
        for topic in ["*", "orders.*", "a b", "..", "ünï"] {
            let body = json!({"endpoint_id": "ep_1", "topic": topic, "scope": {"level": "topic"}});
            assert!(parse(body.as_object().expect("an object"), &[]).is_err(), "{topic}");
        }
    }
}
