//! ○ A subscription held to its customer's grants, and as it is answered.

use actix_web::http::StatusCode;

use super::problem::{FieldError, Problem};
use crate::{
    api::subscription::{SubscriptionBody, SubscriptionView},
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

/// The subscription as it is answered, with these warnings.
#[must_use]
pub fn view(subscription: &StoredSubscription, warnings: Vec<String>) -> SubscriptionView {
    let StoredSubscription { id, uid, endpoint_id, topic, scope, stamps } = subscription.clone();
    SubscriptionView { id, uid, endpoint_id, topic, scope, stamps, warnings }
}

/// Warnings about a subscription to this topic: that the service does not read it.
#[must_use]
pub fn warnings(topic: &str, is_read: bool) -> Vec<String> {
    let not_read = || {
        format!(
            "topic `{topic}` is not read by this service, so nothing of it is delivered: an operator adds it to \
             kafka.topics"
        )
    };
    if is_read { Vec::new() } else { vec![not_read()] }
}

/// The body that would write the subscription as it is: PATCH merges into it.
#[must_use]
pub fn as_body(subscription: &StoredSubscription) -> SubscriptionBody {
    let StoredSubscription { uid, endpoint_id, topic, scope, .. } = subscription.clone();
    SubscriptionBody { endpoint_id: Some(endpoint_id), uid, topic, scope }
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
