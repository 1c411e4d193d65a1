//! ● Endpoints whose backlogs are over their quota are suspended, and so are those that take their customer beyond its own;
//! those that are so no more get what they missed.

use std::convert::Infallible;

use crate::{
    config::Backlog,
    model::quotas::{Quota, Quotas},
    operator_event::{OperatorEvent, emit},
    store::{
        Pool, StoreError,
        endpoints::suspend,
        gaps::{self, OverQuota},
        quotas::{self, Beyond, Held},
    },
};

/// Looks until the process ends.
pub async fn watch(pool: Pool, backlog: Backlog, defaults: Quotas) -> Infallible {
    loop {
        tokio::time::sleep(backlog.poll() * POLLS).await;
        if let Err(error) = look(&pool, &backlog, &defaults).await {
            tracing::warn!(%error, "quotas of backlogs cannot be looked at just now");
        }
    }
}

async fn look(pool: &Pool, backlog: &Backlog, defaults: &Quotas) -> Result<(), StoreError> {
    gaps::close(pool).await?;
    let (events_max, bytes_max) = (backlog.endpoint_rows_max, backlog.endpoint_rows_bytes_max);
    for OverQuota { endpoint_id, customer_id, events, bytes } in gaps::over_quota(pool, events_max, bytes_max).await? {
        let quota = if events > events_max { "endpoint_rows_max" } else { "endpoint_rows_bytes_max" };
        suspend_for(pool, (&customer_id, quota), &Held { endpoint_id, rows: events, bytes }).await?;
    }
    for customer in quotas::backlogs_beyond(pool, defaults).await? {
        let (quota, limit, used) = exceeded(&customer, defaults);
        tell(&customer, quota, limit, used);
        for held in heaviest(&customer, quota, limit) {
            suspend_for(pool, (&customer.customer_id, quota.as_str()), held).await?;
        }
    }
    for customer in quotas::dead_letters_beyond(pool, defaults).await? {
        let quota = Quota::DeadLetterBytesMax;
        tell(&customer, quota, customer.own.limit(quota, defaults), customer.dead_letter_bytes);
        for held in &customer.endpoints {
            suspend_for(pool, (&customer.customer_id, quota.as_str()), held).await?;
        }
    }
    Ok(())
}

async fn suspend_for(pool: &Pool, (customer_id, quota): (&str, &'static str), held: &Held) -> Result<(), StoreError> {
    if suspend(pool, &held.endpoint_id).await? {
        emit(OperatorEvent::EndpointSuspended {
            endpoint_id: held.endpoint_id.as_str().into(),
            customer_id: customer_id.into(),
            quota,
            backlog_events: held.rows,
            backlog_bytes: held.bytes,
        });
    }
    Ok(())
}

fn tell(customer: &Beyond, quota: Quota, limit: i64, used: i64) {
    let customer_id = customer.customer_id.as_str().into();
    emit(OperatorEvent::CustomerOverQuota { customer_id, quota: quota.as_str(), limit, used });
}

/// The quota of its backlogs that a customer is beyond, how much it allows, and how much there is.
fn exceeded(customer: &Beyond, defaults: &Quotas) -> (Quota, i64, i64) {
    let rows: i64 = customer.endpoints.iter().map(|held| held.rows).sum();
    let rows_max = customer.own.limit(Quota::BacklogRowsMax, defaults);
    if rows > rows_max {
        return (Quota::BacklogRowsMax, rows_max, rows);
    }
    let bytes = customer.endpoints.iter().map(|held| held.bytes).sum();
    (Quota::BacklogBytesMax, customer.own.limit(Quota::BacklogBytesMax, defaults), bytes)
}

/// The endpoints to be suspended so that the others fit: those that hold the most, and no more of them than it takes.
fn heaviest(customer: &Beyond, quota: Quota, limit: i64) -> Vec<&Held> {
    let amount = |held: &Held| if quota == Quota::BacklogRowsMax { held.rows } else { held.bytes };
    let mut by_amount: Vec<&Held> = customer.endpoints.iter().collect();
    by_amount.sort_by_key(|held| std::cmp::Reverse(amount(held)));
    let mut rest: i64 = by_amount.iter().map(|held| amount(held)).sum();
    by_amount
        .into_iter()
        .take_while(|held| {
            let is_beyond = rest > limit;
            rest -= amount(held);
            is_beyond
        })
        .collect()
}

/// Quotas need not be met to the event.
const POLLS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::quotas::OwnQuotas;

    fn customer(endpoints: &[(&str, i64, i64)]) -> Beyond {
        let held =
            |(id, rows, bytes): &(&str, i64, i64)| Held { endpoint_id: (*id).to_owned(), rows: *rows, bytes: *bytes };
        Beyond {
            customer_id: "cus_1".to_owned(),
            dead_letter_bytes: 0,
            own: OwnQuotas([(Quota::BacklogRowsMax, 100), (Quota::BacklogBytesMax, 1_000)].into()),
            endpoints: endpoints.iter().map(held).collect(),
        }
    }

    fn suspended(endpoints: &[(&str, i64, i64)]) -> (Quota, Vec<String>) {
        let defaults = Quotas {
            endpoints_max: 0,
            subscriptions_max: 0,
            subscription_entries_max: 0,
            backlog_rows_max: 0,
            backlog_bytes_max: 0,
            dead_letter_bytes_max: 0,
            replay_events_max: 0,
        };
        let customer = customer(endpoints);
        let (quota, limit, _) = exceeded(&customer, &defaults);
        let ids = heaviest(&customer, quota, limit).into_iter().map(|held| held.endpoint_id.clone());
        (quota, ids.collect())
    }

    #[test]
    fn those_with_the_most_rows_are_suspended_until_the_rest_fits() {
        let endpoints = [("small", 40, 0), ("largest", 70, 0), ("large", 60, 0)];
        assert_eq!(suspended(&endpoints), (Quota::BacklogRowsMax, vec!["largest".to_owned()]));
        let endpoints = [("small", 41, 0), ("largest", 70, 0), ("large", 60, 0)];
        assert_eq!(suspended(&endpoints).1, ["largest", "large"]);
    }

    #[test]
    fn those_with_the_most_bytes_are_suspended_where_bytes_are_too_many() {
        let endpoints = [("many", 90, 500), ("heavy", 1, 501)];
        assert_eq!(suspended(&endpoints), (Quota::BacklogBytesMax, vec!["heavy".to_owned()]));
    }
}
