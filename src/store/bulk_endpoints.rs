//! ● Many endpoints in one write: all of them or none, one version, a few statements.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use deadpool_postgres::Transaction;

use super::{
    Pool, StoreError,
    config_write::{self, WriteEffect, WrittenRow},
    endpoint_settings::state_word,
    endpoints::{Endpoint, EndpointWrite, parse},
    quotas::{self, CustomerAllowance},
};

/// Context in which a bulk write is decided.
#[derive(Debug, Default)]
pub struct BulkEndpointContext {
    /// Ids of customers, by the name that was asked for.
    customers: HashMap<String, String>,
    /// By the customer's id and the caller's own key.
    endpoints: HashMap<(String, String), Endpoint>,
    /// By the customer's id.
    allowances: HashMap<String, CustomerAllowance>,
}

/// An endpoint as it is to be.
#[derive(Debug, Clone)]
pub struct EndpointUpsert {
    id: String,
    uid: String,
    effect: WriteEffect,
    with: EndpointWrite,
}

/// Result of a bulk write.
#[derive(Debug, Clone)]
pub struct UpsertedEndpoints<T> {
    /// In effect everywhere once an instance has this version.
    pub version: i64,
    /// Id and effect, in the order of the items.
    pub items: Vec<(String, WriteEffect)>,
    /// Further results of the decision.
    pub beside: T,
}

impl BulkEndpointContext {
    /// The id of the customer of this name.
    #[must_use]
    pub fn customer(&self, name: &str) -> Option<&str> {
        self.customers.get(name).map(String::as_str)
    }

    /// The customer's endpoint of this key.
    #[must_use]
    pub fn endpoint(&self, customer_id: &str, uid: &str) -> Option<&Endpoint> {
        self.endpoints.get(&(customer_id.to_owned(), uid.to_owned()))
    }

    /// Allowances of endpoints by customer (id).
    pub fn allowances(&self) -> impl Iterator<Item = (&str, &CustomerAllowance)> {
        self.allowances.iter().map(|(id, allowance)| (id.as_str(), allowance))
    }
}

impl EndpointUpsert {
    #[must_use]
    pub fn new(id: String, uid: String, with: EndpointWrite) -> Self {
        EndpointUpsert { id, uid, effect: WriteEffect::Created, with }
    }

    /// Unchanged when it is so already.
    #[must_use]
    pub fn of(current: &Endpoint, uid: String, with: EndpointWrite) -> Self {
        let effect = if with == current.as_write() { WriteEffect::Unchanged } else { WriteEffect::Updated };
        EndpointUpsert { id: current.id.clone(), uid, effect, with }
    }

    /// True if it is a new endpoint of this customer (id).
    #[must_use]
    pub fn creates_for(&self, customer_id: &str) -> bool {
        self.effect == WriteEffect::Created && self.with.customer_id == customer_id
    }
}

/// Decides by the endpoints of these (customer's name, uid) as they are, and writes what was decided: one for each, in
/// their order.
///
/// # Errors
/// When Postgres is away.
pub async fn upsert<T: Send + 'static, E: Send + 'static>(
    pool: &Pool,
    keys: &[(String, String)],
    decide: impl FnOnce(&BulkEndpointContext) -> Result<(Vec<EndpointUpsert>, T), E> + Send + 'static,
) -> Result<Result<UpsertedEndpoints<T>, E>, StoreError> {
    let written = config_write::write_many(pool, DEADLINE, async |transaction, version| {
        let context = load_current(transaction, keys).await?;
        // Ten thousand sealed secrets take a while, and this thread has others to serve.
        let decided = tokio::task::spawn_blocking(move || decide(&context)).await;
        let (items, beside) =
            match decided.map_err(|_| StoreError::Internal("a bulk write's decision panicked".to_owned()))? {
                Ok(decided) => decided,
                Err(refusal) => return Ok(Err(refusal)),
            };
        let created = write(transaction, CREATE, &items, WriteEffect::Created, version).await?;
        let updated = write(transaction, UPDATE, &items, WriteEffect::Updated, version).await?;
        let changed = created + updated > 0;
        let (version, effect) =
            if changed { (version, WriteEffect::Updated) } else { (version - 1, WriteEffect::Unchanged) };
        let items = items.into_iter().map(|item| (item.id, item.effect)).collect();
        Ok(Ok(WrittenRow { row: UpsertedEndpoints { version, items, beside }, effect }))
    });
    Ok(written.await?.map(|written| written.row))
}

async fn load_current(
    transaction: &Transaction<'_>,
    keys: &[(String, String)],
) -> Result<BulkEndpointContext, StoreError> {
    let mut context = BulkEndpointContext::default();
    let names: HashSet<&str> = keys.iter().map(|(customer, _)| customer.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    for row in transaction.query(CUSTOMERS, &[&names]).await? {
        context.customers.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let known =
        keys.iter().filter_map(|(customer, uid)| Some((context.customers.get(customer)?.as_str(), uid.as_str())));
    let (customers, uids): (Vec<&str>, Vec<&str>) = known.unzip();
    let mut endpoints = HashMap::new();
    for row in transaction.query(ENDPOINTS, &[&customers, &uids]).await? {
        let endpoint = parse(&row)?;
        if let Some(uid) = &endpoint.uid {
            endpoints.insert((endpoint.customer_id.clone(), uid.clone()), endpoint);
        }
    }
    context.endpoints = endpoints;
    let ids: HashSet<&str> = context.customers.values().map(String::as_str).collect();
    context.allowances = quotas::of_endpoints(transaction, &ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(context)
}

/// Writes the items of one effect; returns how many.
async fn write(
    transaction: &Transaction<'_>,
    statement: &str,
    items: &[EndpointUpsert],
    effect: WriteEffect,
    version: i64,
) -> Result<usize, StoreError> {
    let items: Vec<&EndpointUpsert> = items.iter().filter(|item| item.effect == effect).collect();
    for chunk in items.chunks(ROWS_MAX) {
        let column = |of: fn(&EndpointUpsert) -> &str| chunk.iter().map(|item| of(item)).collect::<Vec<&str>>();
        let (ids, uids) = (column(|item| &item.id), column(|item| &item.uid));
        let (customers, urls) = (column(|item| &item.with.customer_id), column(|item| &item.with.url));
        let (states, reasons) = (column(|item| state_word(item.with.state)), column(|item| &item.with.state_reason));
        let settings: Vec<serde_json::Value> =
            chunk.iter().map(|item| super::endpoints::json(&item.with.settings)).collect();
        let secrets: Vec<&[u8]> = chunk.iter().map(|item| item.with.secrets.as_slice()).collect();
        let statement = transaction.prepare_cached(statement).await?;
        transaction
            .execute(&statement, &[&ids, &uids, &customers, &states, &reasons, &urls, &settings, &secrets, &version])
            .await?;
    }
    Ok(items.len())
}

/// Rows in one statement: it must end well within the usual timeout.
const ROWS_MAX: usize = 2_000;
const DEADLINE: Duration = Duration::from_secs(60);

const CUSTOMERS: &str = "
    SELECT id, id FROM customer WHERE id = ANY($1) AND deleted_at IS NULL
    UNION ALL
    SELECT uid, id FROM customer WHERE uid = ANY($1) AND deleted_at IS NULL";
const ENDPOINTS: &str = "
    SELECT e.* FROM unnest($1::text[], $2::text[]) AS wanted (customer_id, uid)
    JOIN endpoint e ON e.customer_id = wanted.customer_id AND e.uid = wanted.uid AND e.deleted_at IS NULL";
/// Both take all columns, so that one function serves them.
const CREATE: &str = "
    INSERT INTO endpoint (id, uid, customer_id, state, state_reason, url, settings, secrets, version)
    SELECT new.*, $9 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
        $8::bytea[]) AS new";
const UPDATE: &str = "
    UPDATE endpoint e
    SET state = new.state, state_reason = new.state_reason, url = new.url, settings = new.settings,
        secrets = new.secrets, version = $9, updated_at = now()
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[])
        AS new (id, uid, customer_id, state, state_reason, url, settings, secrets)
    WHERE e.id = new.id";
