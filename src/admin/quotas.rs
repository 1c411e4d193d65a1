//! ● Quotas of a customer: `/v1/customers/{name}/quotas`, and what is refused beyond them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{access::Read, problem::Problem, request, state::AdminState};
use crate::{
    api::{
        customer::{CustomerQuota, CustomerQuotas},
        problem::OverQuota,
    },
    model::quotas::{Quota, Quotas},
    notifications::{OperatorEvent, emit},
    store::{
        customers,
        quotas::{self, CustomerAllowance},
    },
};

/// Each quota, where it is from, and how much of it is used.
pub(super) async fn read(
    access: Read,
    state: web::Data<AdminState>,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    request::query(&request, &[])?;
    let name = request::name(path, "customer")?;
    let name = access.scoped_customer(Some(&name)).unwrap_or(&name);
    let customer = customers::read(&state.pool, name).await?.ok_or_else(|| Problem::not_found("customer"))?;
    let used = quotas::used(&state.pool, &customer.id).await?;
    let quota = |quota: Quota| {
        let limit = customer.quotas.limit(quota, &state.quotas);
        let own = customer.quotas.0.contains_key(&quota);
        (quota, CustomerQuota { limit, own, used: used.get(&quota).copied().unwrap_or(0) })
    };
    let quotas = Quota::ALL.into_iter().map(quota).collect();
    Ok(HttpResponse::Ok().json(CustomerQuotas { customer_id: customer.id, quotas }))
}

/// Refuses what would take a customer (id) beyond a quota: `more` on top of what it uses. Operators are told.
///
/// # Errors
/// 409 `quota_exceeded`, with the limit, what is used, and what was asked for.
pub(super) fn check(
    defaults: &Quotas,
    (customer_id, allowance): (&str, &CustomerAllowance),
    asked: &[(Quota, i64)],
) -> Result<(), Problem> {
    match asked.iter().find_map(|(quota, more)| beyond(defaults, allowance, *quota, *more)) {
        None => Ok(()),
        Some(over) => {
            let OverQuota { name, limit, used, .. } = over;
            let quota = name.as_str();
            emit(OperatorEvent::CustomerOverQuota { customer_id: customer_id.into(), quota, limit, used });
            Err(problem(customer_id, over))
        }
    }
}

/// The quota that so many more would go beyond, if any: less than before is always right.
#[must_use]
pub(super) fn beyond(defaults: &Quotas, allowance: &CustomerAllowance, quota: Quota, asked: i64) -> Option<OverQuota> {
    let limit = allowance.own.limit(quota, defaults);
    let used = allowance.used.get(&quota).copied().unwrap_or(0);
    let fits = asked <= 0 || used.saturating_add(asked) <= limit;
    (!fits).then_some(OverQuota { name: quota, limit, used, asked })
}

fn problem(customer_id: &str, over: OverQuota) -> Problem {
    let OverQuota { name, limit, used, asked } = over;
    let name = name.as_str();
    let what = name.trim_end_matches("_max").replace('_', " ");
    let detail = format!(
        "customer {customer_id} has {used} of at most {limit} {what}, and this asks for {asked} more: \
         remove some, or have an operator raise its quota {name}"
    );
    Problem { quota: Some(Box::new(over)), ..Problem::new(StatusCode::CONFLICT, "quota_exceeded", detail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::quotas::OwnQuotas;

    const DEFAULTS: Quotas = Quotas {
        endpoints_max: 10,
        subscriptions_max: 10,
        subscription_entries_max: 10,
        backlog_rows_max: 10,
        backlog_bytes_max: 10,
        dead_letter_bytes_max: 10,
        replay_events_max: 10,
    };

    fn over(own: &[(Quota, i64)], used: i64, asked: i64) -> Option<(i64, i64)> {
        let allowance = CustomerAllowance {
            own: OwnQuotas(own.iter().copied().collect()),
            used: [(Quota::EndpointsMax, used)].into(),
        };
        beyond(&DEFAULTS, &allowance, Quota::EndpointsMax, asked).map(|over| (over.limit, over.used))
    }

    #[test]
    fn a_quota_may_be_used_up_and_not_passed() {
        assert_eq!(over(&[], 9, 1), None);
        assert_eq!(over(&[], 9, 2), Some((10, 9)));
        assert_eq!(over(&[], 0, i64::MAX), Some((10, 0)));
    }

    #[test]
    fn a_customers_own_quota_stands_in_place_of_the_configured_one() {
        assert_eq!(over(&[(Quota::EndpointsMax, 12)], 10, 2), None);
        assert_eq!(over(&[(Quota::EndpointsMax, 0)], 0, 1), Some((0, 0)));
        assert_eq!(over(&[(Quota::SubscriptionsMax, 0)], 9, 1), None, "another quota's");
    }

    #[test]
    fn who_has_more_than_a_lowered_quota_may_keep_it_and_give_up_some() {
        assert_eq!(over(&[(Quota::EndpointsMax, 3)], 10, 0), None);
        assert_eq!(over(&[(Quota::EndpointsMax, 3)], 10, -1), None);
        assert_eq!(over(&[(Quota::EndpointsMax, 3)], 10, 1), Some((3, 10)));
    }
}
