//! ● Many subscriptions in one write: all of them or none, one version, a few statements.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use deadpool_postgres::Transaction;

use super::{
    Pool, StoreError,
    config_write::{self, Lookup, WriteEffect, WrittenRow},
    quotas::{self, CustomerAllowance},
};
use crate::model::grants::Grants;

/// Context in which a bulk write is decided.
#[derive(Debug, Default)]
pub struct BulkSubscriptionContext {
    /// By the name that was asked for: an id, or a key of the caller's.
    endpoints: HashMap<String, Lookup<EndpointOwner>>,
    /// By the customer's id.
    grants: HashMap<String, Grants>,
    /// Allowances of subscriptions by the customer's id.
    allowances: HashMap<String, CustomerAllowance>,
    /// Numbers of names in each subscription that is there, by endpoint and key.
    entries: HashMap<(String, String), i64>,
}

/// An endpoint and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOwner {
    pub endpoint_id: String,
    pub customer_id: String,
}

/// A subscription as it is to be; each (endpoint, uid) once.
#[derive(Debug, Clone)]
pub struct SubscriptionUpsert {
    /// For a new one.
    pub id: String,
    pub uid: String,
    pub endpoint_id: String,
    pub topic: String,
    /// As JSON.
    pub scope: String,
}

/// Result of a bulk write.
#[derive(Debug, Clone)]
pub struct UpsertedSubscriptions {
    /// In effect everywhere once an instance has this version.
    pub version: i64,
    /// In the order of the items.
    pub items: Vec<UpsertedItem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpsertedItem {
    pub id: String,
    pub uid: String,
    pub endpoint_id: String,
    pub effect: WriteEffect,
}

impl BulkSubscriptionContext {
    /// The endpoint of this name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> &Lookup<EndpointOwner> {
        self.endpoints.get(name).unwrap_or(&Lookup::Missing)
    }

    /// Topics and tenants that this customer may subscribe to.
    #[must_use]
    pub fn grants(&self, customer_id: &str) -> Option<&Grants> {
        self.grants.get(customer_id)
    }

    /// Allowances of subscriptions by customer (id).
    pub fn allowances(&self) -> impl Iterator<Item = (&str, &CustomerAllowance)> {
        self.allowances.iter().map(|(id, allowance)| (id.as_str(), allowance))
    }

    /// Number of tenants or departments that the endpoint's subscription of this key names; `None` where there is none.
    #[must_use]
    pub fn entries(&self, endpoint_id: &str, uid: &str) -> Option<i64> {
        self.entries.get(&(endpoint_id.to_owned(), uid.to_owned())).copied()
    }
}

/// Decides by the subscriptions of these (endpoint's name, uid), of one customer (id) or of any, as they are, and writes what
/// was decided.
///
/// # Errors
/// When Postgres is away.
pub async fn upsert<E: Send + 'static>(
    pool: &Pool,
    customer_id: Option<&str>,
    keys: &[(String, String)],
    decide: impl FnOnce(BulkSubscriptionContext) -> Result<Vec<SubscriptionUpsert>, E> + Send + 'static,
) -> Result<Result<UpsertedSubscriptions, E>, StoreError> {
    let written = config_write::write_many(pool, DEADLINE, async |transaction, version| {
        let context = load_current(transaction, customer_id, keys).await?;
        // Grants of a million tenants take a while, and this thread has others to serve.
        let decided = tokio::task::spawn_blocking(move || decide(context)).await;
        let items = match decided.map_err(|_| StoreError::Internal("a bulk write's decision panicked".to_owned()))? {
            Ok(items) => items,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let items = apply(transaction, version, &items).await?;
        let changed = items.iter().any(|item| item.effect != WriteEffect::Unchanged);
        let (version, effect) =
            if changed { (version, WriteEffect::Updated) } else { (version - 1, WriteEffect::Unchanged) };
        Ok(Ok(WrittenRow { row: UpsertedSubscriptions { version, items }, effect }))
    });
    Ok(written.await?.map(|written| written.row))
}

async fn load_current(
    transaction: &Transaction<'_>,
    customer_id: Option<&str>,
    keys: &[(String, String)],
) -> Result<BulkSubscriptionContext, StoreError> {
    let mut context = BulkSubscriptionContext::default();
    let names: HashSet<&str> = keys.iter().map(|(endpoint, _)| endpoint.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    for row in transaction.query(ENDPOINTS, &[&names, &customer_id]).await? {
        let (name, endpoint_id, customer_id) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let owner = Lookup::Found(EndpointOwner { endpoint_id, customer_id });
        context.endpoints.entry(name).and_modify(|known| *known = Lookup::Ambiguous).or_insert(owner);
    }
    let customers: HashSet<&str> = context
        .endpoints
        .values()
        .filter_map(|found| match found {
            Lookup::Found(owner) => Some(owner.customer_id.as_str()),
            Lookup::Missing | Lookup::Ambiguous => None,
        })
        .collect();
    let customers: Vec<&str> = customers.into_iter().collect();
    for row in transaction.query(GRANTS, &[&customers]).await? {
        let id: String = row.try_get(0)?;
        let grants = serde_json::from_value(row.try_get(1)?)
            .map_err(|error| StoreError::Unreadable(format!("grants of customer `{id}`: {error}")))?;
        context.grants.insert(id, grants);
    }
    context.allowances = quotas::of_subscriptions(transaction, &customers).await?;
    context.entries = entries(transaction, &context, keys).await?;
    Ok(context)
}

/// Numbers of names in the subscriptions of these keys that are there already.
async fn entries(
    transaction: &Transaction<'_>,
    context: &BulkSubscriptionContext,
    keys: &[(String, String)],
) -> Result<HashMap<(String, String), i64>, StoreError> {
    let known = keys.iter().filter_map(|(endpoint, uid)| match context.endpoint(endpoint) {
        Lookup::Found(owner) => Some((owner.endpoint_id.as_str(), uid.as_str())),
        Lookup::Missing | Lookup::Ambiguous => None,
    });
    let (endpoints, uids): (Vec<&str>, Vec<&str>) = known.unzip();
    let rows = transaction.query(KNOWN, &[&endpoints, &uids]).await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get::<_, i32>(2)?.into()))).collect()
}

async fn apply(
    transaction: &Transaction<'_>,
    version: i64,
    items: &[SubscriptionUpsert],
) -> Result<Vec<UpsertedItem>, StoreError> {
    let mut done = Vec::with_capacity(items.len());
    for chunk in items.chunks(ROWS_MAX) {
        let column = |of: fn(&SubscriptionUpsert) -> &str| chunk.iter().map(of).collect::<Vec<&str>>();
        let (ids, uids) = (column(|item| &item.id), column(|item| &item.uid));
        let (endpoints, topics) = (column(|item| &item.endpoint_id), column(|item| &item.topic));
        let scopes = column(|item| &item.scope);
        let statement = transaction.prepare_cached(UPSERT).await?;
        transaction.execute(&statement, &[&ids, &uids, &endpoints, &topics, &scopes, &version]).await?;
        let statement = transaction.prepare_cached(WRITTEN).await?;
        let rows = transaction.query(&statement, &[&endpoints, &uids]).await?;
        if rows.len() != chunk.len() {
            return Err(StoreError::Internal(format!("{} of {} rows were written", rows.len(), chunk.len())));
        }
        for (item, row) in chunk.iter().zip(rows) {
            let (id, at): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            let effect = match (id == item.id, at == version) {
                (true, _) => WriteEffect::Created,
                (false, true) => WriteEffect::Updated,
                (false, false) => WriteEffect::Unchanged,
            };
            done.push(UpsertedItem { id, uid: item.uid.clone(), endpoint_id: item.endpoint_id.clone(), effect });
        }
    }
    Ok(done)
}

/// Rows in one statement: it must end well within the usual timeout, with long lists of tenants in each of them.
const ROWS_MAX: usize = 2_000;
/// Ten thousand subscriptions to a hundred tenants each take about a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// Two rows for a name that is not unique.
const ENDPOINTS: &str = "
    SELECT id, id, customer_id FROM endpoint WHERE id = ANY($1) AND ($2::text IS NULL OR customer_id = $2) AND deleted_at IS NULL
    UNION ALL
    SELECT uid, id, customer_id FROM endpoint WHERE uid = ANY($1) AND ($2::text IS NULL OR customer_id = $2) AND deleted_at IS NULL";
const KNOWN: &str = "
    SELECT s.endpoint_id, s.uid, s.entries FROM unnest($1::text[], $2::text[]) AS wanted (endpoint_id, uid)
    JOIN subscription s ON s.endpoint_id = wanted.endpoint_id AND s.uid = wanted.uid AND s.deleted_at IS NULL";
const GRANTS: &str = "SELECT id, grants FROM customer WHERE id = ANY($1)";
const UPSERT: &str = "
    INSERT INTO subscription AS s (id, uid, endpoint_id, topic, scope, version)
    SELECT id, uid, endpoint_id, topic, scope::jsonb, $6
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (id, uid, endpoint_id, topic, scope)
    ON CONFLICT (endpoint_id, uid) WHERE deleted_at IS NULL DO UPDATE
    SET topic = excluded.topic, scope = excluded.scope, version = excluded.version, updated_at = now()
    WHERE s.topic <> excluded.topic OR s.scope <> excluded.scope";
const WRITTEN: &str = "
    SELECT s.id, s.version
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS new (endpoint_id, uid, place)
    JOIN subscription s ON s.endpoint_id = new.endpoint_id AND s.uid = new.uid AND s.deleted_at IS NULL
    ORDER BY new.place";
