//! ○ A subscription held to its customer's grants, and as JSON.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::problem::{FieldError, Problem};
use crate::{
    model::{
        grants::{BeyondGrants, Grants},
        scope::Scope,
    },
    store::subscriptions::StoredSubscription,
};

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::grants::Granted;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
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
