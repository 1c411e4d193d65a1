//! ● Quotas of customers: their own ones, and how much of each is used.
//!
//! **Invariant:** what a write of settings is decided by was counted within it; writes come one at a time, so two of them
//! never take the same room.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::{GenericClient, Transaction};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Row, types::ToSql};

use super::{Pool, StoreError};
use crate::model::quotas::{Quota, Quotas};

/// A customer's own quotas; of the others the configuration says how much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnQuotas(pub BTreeMap<Quota, i64>);

impl OwnQuotas {
    #[must_use]
    pub fn limit(&self, quota: Quota, defaults: &Quotas) -> i64 {
        self.0.get(&quota).copied().unwrap_or_else(|| defaults.of(quota))
    }

    /// From their column. Names that this version does not know limit nothing here, and are lost when it writes them.
    pub(super) fn from_json(mut json: serde_json::Value) -> OwnQuotas {
        let mut named = |quota: &Quota| json.get_mut(quota.as_str()).and_then(|limit| limit.take().as_i64());
        OwnQuotas(Quota::ALL.into_iter().filter_map(|quota| Some((quota, named(&quota)?))).collect())
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("invariant: quotas are numbers by name")
    }
}

/// Use of each quota; a quota that was not counted is missing.
pub type QuotaUse = BTreeMap<Quota, i64>;

/// A customer's own quotas, and how much of them it uses, within a write of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerAllowance {
    pub own: OwnQuotas,
    pub used: QuotaUse,
}

/// Use of every quota by this customer (id).
///
/// # Errors
/// When Postgres is away.
pub async fn used(pool: &Pool, customer_id: &str) -> Result<QuotaUse, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(USED).await?;
        let row = client.query_one(&statement, &[&customer_id]).await?;
        Quota::ALL.into_iter().map(|quota| Ok((quota, row.try_get(quota.as_str())?))).collect()
    })
    .await
}

/// The endpoints of these customers (ids), counted.
pub(super) async fn of_endpoints(
    client: &impl GenericClient,
    customer_ids: &[&str],
) -> Result<HashMap<String, CustomerAllowance>, StoreError> {
    counted(client, ENDPOINTS, customer_ids, &[Quota::EndpointsMax]).await
}

/// The subscriptions of these customers (ids) and what they name, counted.
pub(super) async fn of_subscriptions(
    client: &impl GenericClient,
    customer_ids: &[&str],
) -> Result<HashMap<String, CustomerAllowance>, StoreError> {
    counted(client, SUBSCRIPTIONS, customer_ids, &[Quota::SubscriptionsMax, Quota::SubscriptionEntriesMax]).await
}

async fn counted(
    client: &impl GenericClient,
    statement: &str,
    customer_ids: &[&str],
    quotas: &[Quota],
) -> Result<HashMap<String, CustomerAllowance>, StoreError> {
    let statement = client.prepare_cached(statement).await?;
    let allowance = |row: &Row| {
        let used = quotas.iter().map(|quota| Ok((*quota, row.try_get(quota.as_str())?)));
        let used = used.collect::<Result<_, StoreError>>()?;
        Ok((row.try_get("id")?, CustomerAllowance { own: OwnQuotas::from_json(row.try_get("quotas")?), used }))
    };
    client.query(&statement, &[&customer_ids]).await?.iter().map(allowance).collect()
}

/// The customer of this endpoint (id), its own quotas, and what its replays have still to read. Until the transaction ends,
/// nobody else may ask.
pub(super) async fn of_replays(
    transaction: &Transaction<'_>,
    endpoint_id: &str,
) -> Result<Option<(String, CustomerAllowance)>, StoreError> {
    let Some(row) = transaction.query_opt(LOCK_CUSTOMER, &[&endpoint_id]).await? else { return Ok(None) };
    let (id, own): (String, _) = (row.try_get(0)?, OwnQuotas::from_json(row.try_get(1)?));
    let used: i64 = transaction.query_one(REPLAYS, &[&id]).await?.try_get(0)?;
    Ok(Some((id, CustomerAllowance { own, used: QuotaUse::from([(Quota::ReplayEventsMax, used)]) })))
}

/// The backlog of an endpoint that is not suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointBacklog {
    pub endpoint_id: String,
    pub rows: i64,
    pub bytes: i64,
}

/// A customer that is beyond a quota, and those of its endpoints that may be suspended for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerBeyond {
    pub customer_id: String,
    pub own: OwnQuotas,
    /// Use of all its endpoints.
    pub used: QuotaUse,
    /// Number of endpoints that share the quota.
    pub sharers: i64,
    pub endpoints: Vec<EndpointBacklog>,
}

/// Limits of one endpoint's backlog.
#[derive(Debug, Clone, Copy)]
pub struct EndpointLimits {
    pub rows_max: i64,
    pub bytes_max: i64,
}

impl EndpointLimits {
    /// The setting that an endpoint's backlog is beyond.
    #[must_use]
    pub fn exceeded_by(&self, held: &EndpointBacklog) -> Option<&'static str> {
        if held.rows > self.rows_max {
            return Some("endpoint_rows_max");
        }
        (held.bytes > self.bytes_max).then_some("endpoint_rows_bytes_max")
    }
}

/// All backlogs, compared with their quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedBacklogs {
    /// Customers that are beyond a quota of their own or have an endpoint that is, as long as they have endpoints that are
    /// not suspended.
    pub beyond: Vec<CustomerBeyond>,
    /// Until so much more is stored, nobody else is beyond a quota; but for customers that are already, with all of their
    /// backlogs suspended, and for those whose own quotas are below [`ROOM_COUNTS_FROM`].
    pub room: Stored,
}

/// Rows of backlogs, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    pub rows: i64,
    pub bytes: i64,
}

/// A quota below these leaves so little room that whoever waits until that may be used up would look all the time, for one
/// customer, whatever the others store.
pub const ROOM_COUNTS_FROM: Stored = Stored { rows: 1_000, bytes: 1_000_000 };

/// Compares all backlogs with their quotas: those of customers and those of each endpoint.
///
/// # Errors
/// When Postgres is away.
pub async fn backlogs(pool: &Pool, defaults: &Quotas, each: EndpointLimits) -> Result<ComparedBacklogs, StoreError> {
    let (rows_max, bytes_max) = (defaults.backlog_rows_max, defaults.backlog_bytes_max);
    pool.with(async |client| {
        let statement = client.prepare_cached(BACKLOGS).await?;
        let Stored { rows: least_rows, bytes: least_bytes } = ROOM_COUNTS_FROM;
        let limits: &[&(dyn ToSql + Sync)] =
            &[&rows_max, &bytes_max, &each.rows_max, &each.bytes_max, &least_rows, &least_bytes];
        let rows = client.query(&statement, limits).await?;
        let (room, beyond) = rows.split_first().expect("invariant: the room is always the first row");
        let room = Stored { rows: room.try_get("held_rows")?, bytes: room.try_get("bytes")? };
        Ok(ComparedBacklogs { room, beyond: by_customer(beyond, &[Quota::BacklogRowsMax, Quota::BacklogBytesMax])? })
    })
    .await
}

/// Customers whose dead letters are over their quotas, and those of their endpoints of which events were given up within
/// the last minutes.
///
/// # Errors
/// When Postgres is away.
pub async fn dead_letters_beyond(pool: &Pool, defaults: &Quotas) -> Result<Vec<CustomerBeyond>, StoreError> {
    pool.with(async |client| {
        let fold = client.prepare_cached(FOLD).await?;
        client.execute(&fold, &[]).await?;
        let statement = client.prepare_cached(DEAD_LETTERS_BEYOND).await?;
        let rows = client.query(&statement, &[&defaults.dead_letter_bytes_max]).await?;
        by_customer(&rows, &[Quota::DeadLetterBytesMax])
    })
    .await
}

fn by_customer(rows: &[Row], quotas: &[Quota]) -> Result<Vec<CustomerBeyond>, StoreError> {
    let mut all: Vec<CustomerBeyond> = Vec::new();
    for row in rows {
        let customer_id: String = row.try_get("customer_id")?;
        let held = EndpointBacklog {
            endpoint_id: row.try_get("endpoint_id")?,
            rows: row.try_get("held_rows")?,
            bytes: row.try_get("bytes")?,
        };
        match all.last_mut().filter(|last| last.customer_id == customer_id) {
            Some(last) => last.endpoints.push(held),
            None => {
                let own = OwnQuotas::from_json(row.try_get("quotas")?);
                let used = quotas.iter().map(|quota| Ok((*quota, row.try_get(quota.as_str())?)));
                let used = used.collect::<Result<_, StoreError>>()?;
                all.push(CustomerBeyond {
                    customer_id,
                    own,
                    used,
                    sharers: row.try_get("sharers")?,
                    endpoints: vec![held],
                });
            }
        }
    }
    Ok(all)
}

const ENDPOINTS: &str = "
    SELECT c.id, c.quotas,
        (SELECT count(*) FROM endpoint e WHERE e.customer_id = c.id AND e.deleted_at IS NULL) AS endpoints_max
    FROM customer c WHERE c.id = ANY($1)";

const SUBSCRIPTIONS: &str = "
    SELECT c.id, c.quotas, s.subscriptions AS subscriptions_max, s.entries AS subscription_entries_max
    FROM customer c CROSS JOIN LATERAL (
        SELECT count(*) AS subscriptions, coalesce(sum(s.entries), 0)::bigint AS entries
        FROM endpoint e JOIN subscription s ON s.endpoint_id = e.id AND s.deleted_at IS NULL
        WHERE e.customer_id = c.id AND e.deleted_at IS NULL) AS s
    WHERE c.id = ANY($1)";

const LOCK_CUSTOMER: &str = "
    SELECT c.id, c.quotas FROM customer c JOIN endpoint e ON e.customer_id = c.id WHERE e.id = $1 FOR NO KEY UPDATE OF c";

const REPLAYS: &str = "
    SELECT coalesce(sum(p.end_offset - p.next_offset), 0)::bigint
    FROM endpoint e JOIN replay r ON r.endpoint_id = e.id JOIN replay_partition p ON p.replay_id = r.id
    WHERE e.customer_id = $1 AND p.open";

const USED: &str = "
    SELECT e.endpoints AS endpoints_max, e.subscriptions AS subscriptions_max, e.entries AS subscription_entries_max,
        b.held_rows AS backlog_rows_max, b.bytes AS backlog_bytes_max, l.bytes AS dead_letter_bytes_max,
        r.records AS replay_events_max
    FROM (
        SELECT count(*) AS endpoints, coalesce(sum(s.subscriptions), 0)::bigint AS subscriptions,
            coalesce(sum(s.entries), 0)::bigint AS entries
        FROM endpoint e CROSS JOIN LATERAL (
            SELECT count(*) AS subscriptions, sum(entries) AS entries FROM subscription
            WHERE endpoint_id = e.id AND deleted_at IS NULL) AS s
        WHERE e.customer_id = $1 AND e.deleted_at IS NULL
    ) AS e, (
        SELECT coalesce(sum(h.events), 0)::bigint AS held_rows, coalesce(sum(h.bytes), 0)::bigint AS bytes
        FROM endpoint e JOIN backlog_head h ON h.endpoint_id = e.id WHERE e.customer_id = $1 AND e.deleted_at IS NULL
    ) AS b, (
        SELECT coalesce(sum(s.bytes), 0)::bigint AS bytes
        FROM dead_letter_size s JOIN endpoint e ON e.id = s.endpoint_id WHERE s.customer_id = $1 AND e.deleted_at IS NULL
    ) AS l, (
        SELECT coalesce(sum(p.end_offset - p.next_offset), 0)::bigint AS records
        FROM endpoint e JOIN replay r ON r.endpoint_id = e.id JOIN replay_partition p ON p.replay_id = r.id
        WHERE e.customer_id = $1 AND p.open
    ) AS r";

/// Rows of suspended endpoints count as well; but nothing more comes to them. The first row is the room.
const BACKLOGS: &str = "
    WITH held AS MATERIALIZED (
        SELECT e.customer_id, h.endpoint_id, e.suspended_at IS NULL AS grows, sum(h.events)::bigint AS held_rows, sum(h.bytes)::bigint AS bytes
        FROM backlog_head h JOIN endpoint e ON e.id = h.endpoint_id
        WHERE e.deleted_at IS NULL AND h.events > 0 GROUP BY 1, 2, 3
    ), total AS MATERIALIZED (
        SELECT t.*, c.quotas,
            coalesce((c.quotas->>'backlog_rows_max')::bigint, $1::bigint) AS rows_max,
            coalesce((c.quotas->>'backlog_bytes_max')::bigint, $2::bigint) AS bytes_max
        FROM (
            SELECT customer_id, bool_or(grows) AS grows, sum(held_rows)::bigint AS backlog_rows_max,
                sum(bytes)::bigint AS backlog_bytes_max
            FROM held GROUP BY 1) AS t
        JOIN customer c ON c.id = t.customer_id
    ), own AS (
        SELECT (quotas->>'backlog_rows_max')::bigint AS rows_max, (quotas->>'backlog_bytes_max')::bigint AS bytes_max
        FROM customer
    ), room AS (
        SELECT
            least($1, $3::bigint, (SELECT min(rows_max) FROM own WHERE rows_max >= $5::bigint),
                (SELECT min($3 - held_rows) FROM held WHERE grows),
                (SELECT min(rows_max - backlog_rows_max) FROM total
                WHERE (grows OR rows_max > backlog_rows_max) AND (rows_max = $1 OR rows_max >= $5))) AS held_rows,
            least($2, $4::bigint, (SELECT min(bytes_max) FROM own WHERE bytes_max >= $6::bigint),
                (SELECT min($4 - bytes) FROM held WHERE grows),
                (SELECT min(bytes_max - backlog_bytes_max) FROM total
                WHERE (grows OR bytes_max > backlog_bytes_max) AND (bytes_max = $2 OR bytes_max >= $6))) AS bytes
    )
    SELECT NULL AS customer_id, NULL AS endpoint_id, held_rows, bytes, NULL AS quotas, NULL AS backlog_rows_max,
        NULL AS backlog_bytes_max, NULL AS sharers FROM room
    UNION ALL
    SELECT t.customer_id, held.endpoint_id, held.held_rows, held.bytes, t.quotas, t.backlog_rows_max, t.backlog_bytes_max, n.sharers
    FROM total t JOIN held ON held.customer_id = t.customer_id CROSS JOIN LATERAL (
        SELECT count(*) AS sharers FROM endpoint WHERE customer_id = t.customer_id AND deleted_at IS NULL) AS n
    WHERE held.grows AND (t.backlog_rows_max > t.rows_max OR t.backlog_bytes_max > t.bytes_max OR held.held_rows > $3 OR held.bytes > $4)
    ORDER BY customer_id NULLS FIRST, endpoint_id";

/// Many rows of one day become one. What another instance folds at the same time is left to it.
const FOLD: &str = "
    WITH many AS (
        SELECT customer_id, endpoint_id, day FROM dead_letter_size GROUP BY 1, 2, 3 HAVING count(*) > 16
    ), gone AS (
        DELETE FROM dead_letter_size s USING many m
        WHERE s.customer_id = m.customer_id AND s.endpoint_id = m.endpoint_id AND s.day = m.day RETURNING s.*
    )
    INSERT INTO dead_letter_size (customer_id, endpoint_id, day, letters, bytes, grown_at)
    SELECT customer_id, endpoint_id, day, sum(letters), sum(bytes), max(grown_at) FROM gone GROUP BY 1, 2, 3";

/// Letters of a deleted endpoint do not count: nobody could acknowledge them.
const DEAD_LETTERS_BEYOND: &str = "
    WITH total AS (
        SELECT s.customer_id, sum(s.bytes) AS bytes
        FROM dead_letter_size s JOIN endpoint e ON e.id = s.endpoint_id WHERE e.deleted_at IS NULL GROUP BY 1
    )
    SELECT t.customer_id, e.id AS endpoint_id, coalesce(h.held_rows, 0)::bigint AS held_rows, coalesce(h.bytes, 0)::bigint AS bytes,
        c.quotas, t.bytes::bigint AS dead_letter_bytes_max, 1::bigint AS sharers
    FROM total t JOIN customer c ON c.id = t.customer_id JOIN endpoint e ON e.customer_id = t.customer_id
    CROSS JOIN LATERAL (
        SELECT sum(events) AS held_rows, sum(bytes) AS bytes FROM backlog_head WHERE endpoint_id = e.id) AS h
    WHERE t.bytes > coalesce((c.quotas->>'dead_letter_bytes_max')::bigint, $1)
        AND e.deleted_at IS NULL AND e.suspended_at IS NULL AND EXISTS (
            SELECT FROM dead_letter_size s
            WHERE s.customer_id = t.customer_id AND s.endpoint_id = e.id AND s.grown_at > now() - interval '1 minute')
    ORDER BY 1, 2";
