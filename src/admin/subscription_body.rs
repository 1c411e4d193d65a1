//! ○ A subscription's body, parsed and validated, and a subscription as JSON.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::{
    customer_body::{is_topic, name, uid},
    fields::{self, Fields, Object},
    problem::{FieldError, Problem},
};
use crate::{
    model::{
        grants::{BeyondGrants, Grants},
        id::Kind,
        scope::Scope,
    },
    store::subscriptions::StoredSubscription,
};

/// The request's body, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionBody {
    pub endpoint: Option<String>,
    pub uid: Option<String>,
    pub topic: String,
    pub scope: Scope,
}

/// # Errors
/// Every wrong field.
pub fn parse(object: &Object) -> Result<SubscriptionBody, Problem> {
    fields::parse(object, |fields| {
        let endpoint = fields.text("endpoint_id", 128);
        let uid = uid(fields, Kind::Subscription);
        let topic = fields.required_text("topic", 249).filter(|topic| match is_topic(topic) {
            Ok(()) => true,
            Err(message) => {
                fields.wrong("topic", message);
                false
            }
        });
        fields.require("scope");
        let scope = fields.nested("scope", scope);
        Some(SubscriptionBody { endpoint, uid, topic: topic?, scope: scope? })
    })
}

/// Refuses what the customer's grants do not give.
///
/// # Errors
/// 403 `outside_grants`, with everything that is not granted.
pub fn check_grants(grants: &Grants, topic: &str, scope: &Scope) -> Result<(), Problem> {
    let beyond = grants.beyond(topic, scope);
    if beyond.is_empty() {
        return Ok(());
    }
    let errors = beyond.iter().take(100).map(|beyond| {
        let field = match beyond {
            BeyondGrants::Topic(_) => "topic",
            BeyondGrants::WholeTopic => "scope.level",
            BeyondGrants::Tenant(_) => "scope",
        };
        FieldError::new(field, beyond.to_string())
    });
    let detail = "the subscription asks for more than the customer's grants give";
    let problem = Problem::new(StatusCode::FORBIDDEN, "outside_grants", detail);
    Err(problem.listing(errors.collect()))
}

/// 403 for what one field asks for.
pub fn outside_grants(field: &str, beyond: &BeyondGrants) -> Problem {
    let problem =
        Problem::new(StatusCode::FORBIDDEN, "outside_grants", "this asks for more than the customer's grants give");
    Problem { errors: vec![FieldError::new(field, beyond.to_string())], ..problem }
}

/// The subscription as JSON.
#[must_use]
pub fn view(subscription: &StoredSubscription) -> Value {
    json!({
        "id": subscription.id,
        "uid": subscription.uid,
        "endpoint_id": subscription.endpoint_id,
        "topic": subscription.topic,
        "scope": subscription.scope,
        "version": subscription.stamps.version,
        "created_at": subscription.stamps.created_at,
        "updated_at": subscription.stamps.updated_at,
    })
}

/// The warning about a subscription to a topic that this service does not read.
#[must_use]
pub fn not_read(topic: &str) -> String {
    format!(
        "topic `{topic}` is not read by this service, so nothing of it is delivered: an operator adds it to kafka.topics"
    )
}

/// The body that would write the subscription as it is: PATCH merges into it.
#[must_use]
pub fn as_body(subscription: &StoredSubscription) -> Value {
    json!({
        "uid": subscription.uid,
        "endpoint_id": subscription.endpoint_id,
        "topic": subscription.topic,
        "scope": subscription.scope,
    })
}

#[derive(Clone, Copy)]
enum Level {
    Topic,
    Tenants,
    Departments,
}

fn scope(fields: &mut Fields<'_>) -> Option<Scope> {
    fields.require("level");
    let levels = [("topic", Level::Topic), ("tenants", Level::Tenants), ("departments", Level::Departments)];
    match fields.word("level", &levels)? {
        Level::Topic => Some(Scope::Topic),
        Level::Tenants => {
            fields.require("tenants");
            let tenants = fields.list("tenants", 1..=NAMES_MAX, name)?;
            Some(Scope::Tenants { tenants: tenants.into_iter().collect() })
        }
        Level::Departments => {
            fields.require("departments");
            departments(fields)
        }
    }
}

fn departments(fields: &mut Fields<'_>) -> Option<Scope> {
    let value = fields.value("departments")?.clone();
    let object = value.as_object().filter(|object| (1..=NAMES_MAX).contains(&object.len()));
    let Some(object) = object else {
        fields.wrong("departments", "must be an object: a tenant's name, and a list of its departments");
        return None;
    };
    let mut departments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut names, mut right) = (0, true);
    for (tenant, list) in object {
        let tenant_name = name(&Value::String(tenant.clone()));
        let list: Result<BTreeSet<String>, String> = match list.as_array().filter(|list| !list.is_empty()) {
            Some(list) => list.iter().map(name).collect(),
            None => Err("must be a list of departments, not empty".to_owned()),
        };
        match tenant_name.and_then(|tenant| list.map(|list| (tenant, list))) {
            Ok((tenant, list)) => {
                names += list.len();
                departments.insert(tenant, list);
            }
            Err(message) => {
                let shown: String = tenant.chars().filter(|c| !c.is_control()).take(100).collect();
                fields.wrong(&format!("departments.{shown}"), message);
                right = false;
            }
        }
    }
    if names > NAMES_MAX {
        fields.wrong("departments", format_args!("must have at most {NAMES_MAX} departments in all"));
        right = false;
    }
    right.then_some(Scope::Departments { departments })
}

/// Tenants or departments in one subscription.
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grants::Granted;

    fn check(scope: Value) -> Result<Scope, Vec<String>> {
        let body = json!({"endpoint_id": "ep_1", "topic": "orders", "scope": scope});
        let parsed = parse(body.as_object().expect("an object"));
        parsed.map(|body| body.scope).map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
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
        assert_eq!(check(json!({"level": "world"})), Err(vec!["scope.level".into()]));
    }

    #[test]
    fn a_pattern_is_not_a_topic() {
        for topic in ["*", "orders.*", "a b", "..", "ünï"] {
            let body = json!({"endpoint_id": "ep_1", "topic": topic, "scope": {"level": "topic"}});
            assert!(parse(body.as_object().expect("an object")).is_err(), "{topic}");
        }
    }

    #[test]
    fn everything_that_is_not_granted_is_named_with_403() {
        let grants = Grants { topics: Granted::All, tenants: Granted::These(set(&["2"])) };
        let scope = Scope::Tenants { tenants: set(&["1", "2", "3"]) };
        let problem = check_grants(&grants, "orders", &scope).expect_err("beyond");
        assert_eq!((problem.status.as_u16(), problem.code, problem.errors.len()), (403, "outside_grants", 2));
        assert!(check_grants(&grants, "orders", &Scope::Topic).is_err());
    }
}
