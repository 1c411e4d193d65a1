//! ● Endpoints whose backlogs are over their quota are suspended, and so are those that take their customer beyond its own;
//! those that are so no more get what they missed.

use std::{convert::Infallible, time::Duration};

use crate::{
    clock,
    config::BacklogSection,
    model::quotas::{Quota, Quotas},
    notifications::{OperatorEvent, emit},
    store::{
        Pool, StoreError,
        endpoints::suspend,
        quotas::{self, ComparedBacklogs, CustomerBeyond, EndpointBacklog, EndpointLimits, Stored},
        skipped_ranges,
    },
};

/// Looks until the process ends: when so much was stored (`stored` counts it) that somebody may be beyond a quota, and now and
/// then for what other instances store.
pub(super) async fn watch(
    pool: Pool,
    backlog: BacklogSection,
    defaults: Quotas,
    stored: impl Fn() -> Stored,
) -> Infallible {
    let (mut seen, mut room, mut polls, mut rest) = (stored(), Stored::default(), 0_u64, Duration::ZERO);
    loop {
        tokio::time::sleep(backlog.poll().max(std::mem::take(&mut rest))).await;
        let now = stored();
        polls += 1;
        let looks_at_all = polls.is_multiple_of(LOOKS_AT_ALL_EVERY_POLLS);
        if !looks_at_all && !may_be_beyond(room, seen, now) {
            continue;
        }
        let began_at = clock::now();
        match check(&pool, &backlog, &defaults, looks_at_all).await {
            Ok(left) => {
                (seen, room) = (now, left);
                rest = rest_after(clock::now().saturating_duration_since(began_at), backlog.poll());
            }
            Err(error) => tracing::warn!(%error, "the quotas of backlogs cannot be read"),
        }
    }
}

/// True if what was stored since the last look may have filled the room that it found: half of that, for other instances
/// store too.
fn may_be_beyond(room: Stored, seen: Stored, now: Stored) -> bool {
    let (rows, bytes) = (now.rows - seen.rows, now.bytes - seen.bytes);
    rows > 0 && (rows >= room.rows / 2 || bytes >= room.bytes / 2)
}

/// `looks_at_all`: also at gaps that may be closed and at dead letters, which need not be looked at whenever rows are stored.
/// Returns the room that is left.
async fn check(
    pool: &Pool,
    backlog: &BacklogSection,
    defaults: &Quotas,
    looks_at_all: bool,
) -> Result<Stored, StoreError> {
    if looks_at_all {
        skipped_ranges::close(pool).await?;
    }
    let each = EndpointLimits { rows_max: backlog.endpoint_rows_max, bytes_max: backlog.endpoint_rows_bytes_max };
    let ComparedBacklogs { mut beyond, room } = quotas::backlogs(pool, defaults, each).await?;
    for customer in &mut beyond {
        for held in &customer.endpoints {
            if let Some(quota) = each.exceeded_by(held) {
                suspend_all(pool, (&customer.customer_id, quota), &[held]).await?;
            }
        }
        // Those are suspended already, so they are not to be for their customer's.
        customer.endpoints.retain(|held| each.exceeded_by(held).is_none());
    }
    let letters = if looks_at_all { quotas::dead_letters_beyond(pool, defaults).await? } else { Vec::new() };
    for customer in beyond.iter().chain(&letters) {
        for Exceeded { quota, limit, used, suspended } in exceeded(customer, defaults) {
            let customer_id = customer.customer_id.as_str();
            tell(customer_id, quota, limit, used);
            suspend_all(pool, (customer_id, quota.as_str()), &suspended).await?;
        }
    }
    Ok(room)
}

/// Suspends endpoints of one customer in one write.
async fn suspend_all(
    pool: &Pool,
    (customer_id, quota): (&str, &'static str),
    endpoints: &[&EndpointBacklog],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = endpoints.iter().map(|held| held.endpoint_id.as_str()).collect();
    let suspended = suspend(pool, &ids).await?;
    for held in endpoints.iter().filter(|held| suspended.contains(&held.endpoint_id)) {
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

fn tell(customer_id: &str, quota: Quota, limit: i64, used: i64) {
    emit(OperatorEvent::CustomerOverQuota { customer_id: customer_id.into(), quota: quota.as_str(), limit, used });
}

/// A quota that a customer is beyond, and the endpoints that are suspended for it.
#[derive(Debug)]
struct Exceeded<'a> {
    quota: Quota,
    limit: i64,
    used: i64,
    suspended: Vec<&'a EndpointBacklog>,
}

/// The quotas that a customer is beyond, where somebody is to be suspended for it: those endpoints that hold more than an equal
/// share. So a customer never has more than twice its quota, however many endpoints it has, and one that waits for little goes on.
fn exceeded<'a>(customer: &'a CustomerBeyond, defaults: &Quotas) -> Vec<Exceeded<'a>> {
    let of_quota = |(quota, used): (&Quota, &i64)| {
        let limit = customer.own.limit(*quota, defaults);
        let share = limit / customer.sharers.max(1);
        let holds_more = |held: &&EndpointBacklog| match quota {
            Quota::BacklogRowsMax => held.rows > share,
            Quota::BacklogBytesMax => held.bytes > share,
            // Whatever it holds in its backlog: events of it were given up within the last minute.
            _ => true,
        };
        let suspended: Vec<&EndpointBacklog> = customer.endpoints.iter().filter(holds_more).collect();
        let is_beyond = *used > limit && !suspended.is_empty();
        is_beyond.then_some(Exceeded { quota: *quota, limit, used: *used, suspended })
    };
    customer.used.iter().filter_map(of_quota).collect()
}

/// Each of so many polls of the backlog looks at everything, whether rows are stored here or not.
const LOOKS_AT_ALL_EVERY_POLLS: u64 = 5;

/// A look that took long, for there are many heads, is followed by a time without one: what is stored meanwhile may be beyond
/// a quota, so that is short all the same.
fn rest_after(took: Duration, poll: Duration) -> Duration {
    (took * RESTS).min(poll * RESTS_POLLS_MAX)
}

const RESTS: u32 = 20;
const RESTS_POLLS_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::quotas::OwnQuotas;

    /// A customer with a quota of 100 rows and 1,000 bytes; beside these endpoints, others are suspended and hold so many rows.
    fn suspended(endpoints: &[(&str, i64, i64)], of_others: i64) -> Vec<(Quota, Vec<String>)> {
        let defaults = Quotas {
            endpoints_max: 0,
            subscriptions_max: 0,
            subscription_entries_max: 0,
            backlog_rows_max: 0,
            backlog_bytes_max: 0,
            dead_letter_bytes_max: 0,
            replay_events_max: 0,
        };
        let held = |(id, rows, bytes): &(&str, i64, i64)| EndpointBacklog {
            endpoint_id: (*id).to_owned(),
            rows: *rows,
            bytes: *bytes,
        };
        let rows = endpoints.iter().map(|(_, rows, _)| rows).sum::<i64>() + of_others;
        let bytes = endpoints.iter().map(|(.., bytes)| bytes).sum();
        let customer = CustomerBeyond {
            customer_id: "cus_1".to_owned(),
            own: OwnQuotas([(Quota::BacklogRowsMax, 100), (Quota::BacklogBytesMax, 1_000)].into()),
            used: [(Quota::BacklogRowsMax, rows), (Quota::BacklogBytesMax, bytes)].into(),
            sharers: 4,
            endpoints: endpoints.iter().map(held).collect(),
        };
        let ids = |exceeded: Exceeded<'_>| {
            let ids = exceeded.suspended.iter().map(|held| held.endpoint_id.clone()).collect();
            (exceeded.quota, ids)
        };
        exceeded(&customer, &defaults).into_iter().map(ids).collect()
    }

    #[test]
    fn those_that_hold_more_than_an_equal_share_are_suspended_and_others_are_not() {
        let endpoints = [("small", 25, 0), ("largest", 70, 0), ("large", 26, 0)];
        let of_rows = |ids: &[&str]| vec![(Quota::BacklogRowsMax, ids.iter().map(ToString::to_string).collect())];
        assert_eq!(suspended(&endpoints, 0), of_rows(&["largest", "large"]));
        assert_eq!(suspended(&endpoints[..2], 0), [], "all of it fits");
    }

    #[test]
    fn nobody_looks_while_what_is_stored_can_take_nobody_beyond_a_quota() {
        let stored = |rows, bytes| Stored { rows, bytes };
        let (room, seen) = (stored(1_000, 100_000), stored(7, 700));
        assert!(!may_be_beyond(room, seen, stored(506, 50_600)));
        assert!(may_be_beyond(room, seen, stored(507, 700)), "half of the rows: the rest may come from elsewhere");
        assert!(may_be_beyond(room, seen, stored(8, 50_700)), "half of the bytes");
        assert!(may_be_beyond(stored(-5, 9), seen, stored(8, 701)), "somebody is beyond already");
        assert!(!may_be_beyond(stored(0, 0), seen, seen), "nothing came");
    }

    #[test]
    fn a_look_that_takes_long_is_followed_by_a_rest_that_has_an_end() {
        let (poll, ms) = (Duration::from_secs(1), Duration::from_millis);
        assert_eq!(rest_after(ms(20), poll), ms(400));
        assert_eq!(rest_after(ms(30_000), poll), 5 * poll);
    }

    #[test]
    fn rows_of_suspended_endpoints_count_and_leave_each_of_the_others_its_share() {
        assert_eq!(suspended(&[("one", 26, 0), ("two", 25, 0)], 101).len(), 1);
        assert_eq!(suspended(&[("one", 25, 0), ("two", 25, 0)], 1_000), [], "nobody is to blame any more");
    }

    #[test]
    fn those_with_many_bytes_are_suspended_where_bytes_are_too_many_whatever_rows_are() {
        let endpoints = [("many", 20, 250), ("heavy", 1, 751)];
        assert_eq!(suspended(&endpoints, 1_000), [(Quota::BacklogBytesMax, vec!["heavy".to_owned()])]);
    }
}
