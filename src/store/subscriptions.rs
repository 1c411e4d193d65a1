//! ● Subscriptions.

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::{
    Pool, StoreError,
    config_write::{self, Lookup, RowChange, WriteEffect, WrittenRow},
    customers::{self, Customer, stamps},
    endpoints::{self, Endpoint},
    list_row::{Listed, RowOwner, listed},
    quotas::{self, CustomerAllowance},
};
use crate::{api::resource::RowStamps, model::scope::Scope};

/// A subscription as it was written; what it gives is at most what its customer's grants give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    pub id: String,
    pub uid: Option<String>,
    pub endpoint_id: String,
    pub topic: String,
    pub scope: Scope,
    pub stamps: RowStamps,
}

/// Writable fields of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionWrite {
    /// Endpoint of a new subscription; an old one stays where it is.
    pub endpoint_id: String,
    pub topic: String,
    pub scope: Scope,
}

/// Context in which a subscription's write is decided.
#[derive(Debug)]
pub struct SubscriptionContext {
    pub subscription: Lookup<StoredSubscription>,
    /// The endpoint that was named, or the subscription's own.
    pub endpoint: Lookup<Endpoint>,
    /// That endpoint's customer.
    pub customer: Option<Customer>,
    /// The customer's allowance of subscriptions.
    pub allowance: CustomerAllowance,
}

/// Parent under which a subscription is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriptionParent<'a> {
    /// The customer of this id only.
    pub customer_id: Option<&'a str>,
    /// The endpoint of this id or key of the caller's only.
    pub endpoint: Option<&'a str>,
}

/// The subscription of this id or key of the caller's; the key is unique within an endpoint.
///
/// # Errors
/// When Postgres is away.
pub async fn read(
    pool: &Pool,
    under: SubscriptionParent<'_>,
    name: &str,
) -> Result<Lookup<StoredSubscription>, StoreError> {
    pool.with(async |client| {
        let endpoint_id = match under.endpoint {
            Some(endpoint) => match endpoints::find(client, endpoint, under.customer_id).await? {
                Lookup::Found(endpoint) => Some(endpoint.id),
                Lookup::Missing => return Ok(Lookup::Missing),
                Lookup::Ambiguous => return Ok(Lookup::Ambiguous),
            },
            None => None,
        };
        find(client, name, endpoint_id.as_deref(), under.customer_id).await
    })
    .await
}

/// At most `limit` subscriptions after the id `after`, and of one topic, where one is given.
///
/// # Errors
/// When Postgres is away.
pub async fn list(
    pool: &Pool,
    owner: &RowOwner,
    topic: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<StoredSubscription>>, StoreError> {
    pool.with(async |client| {
        // Each its own statement, so that each is planned for its own index.
        let rows = match (owner, topic) {
            (RowOwner::Customer(id), topic) => {
                let statement = client.prepare_cached(LIST_OF_CUSTOMER).await?;
                client.query(&statement, &[&after, &limit, id, &topic]).await?
            }
            (RowOwner::Endpoint(id), Some(topic)) => {
                let statement = client.prepare_cached(LIST_OF_BOTH).await?;
                client.query(&statement, &[&after, &limit, id, &topic]).await?
            }
            (RowOwner::Endpoint(id), None) => {
                let statement = client.prepare_cached(LIST_OF_ENDPOINT).await?;
                client.query(&statement, &[&after, &limit, id]).await?
            }
            (RowOwner::Anyone, Some(topic)) => {
                let statement = client.prepare_cached(LIST_OF_TOPIC).await?;
                client.query(&statement, &[&after, &limit, &topic]).await?
            }
            (RowOwner::Anyone, None) => {
                let statement = client.prepare_cached(LIST).await?;
                client.query(&statement, &[&after, &limit]).await?
            }
        };
        listed(&rows, parse)
    })
    .await
}

/// Decides by the subscription of this name as it is, and writes that.
///
/// # Errors
/// When Postgres is away.
pub async fn write<E>(
    pool: &Pool,
    under: SubscriptionParent<'_>,
    name: Option<&str>,
    decide: impl FnOnce(&SubscriptionContext) -> Result<RowChange<SubscriptionWrite>, E>,
) -> Result<Result<WrittenRow<StoredSubscription>, E>, StoreError> {
    config_write::write(pool, async |transaction, version| {
        let context = load_current(transaction, under, name).await?;
        match decide(&context) {
            Err(refusal) => Ok(Err(refusal)),
            Ok(change) => apply(transaction, version, change, context.subscription.found()).await.map(Ok),
        }
    })
    .await
}

async fn load_current(
    transaction: &Transaction<'_>,
    under: SubscriptionParent<'_>,
    name: Option<&str>,
) -> Result<SubscriptionContext, StoreError> {
    let named = match under.endpoint {
        Some(endpoint) => endpoints::find(transaction, endpoint, under.customer_id).await?,
        None => Lookup::Missing,
    };
    let subscription = match (name, &named) {
        (Some(name), Lookup::Found(endpoint)) => find(transaction, name, Some(&endpoint.id), under.customer_id).await?,
        (Some(name), _) if under.endpoint.is_none() => find(transaction, name, None, under.customer_id).await?,
        _ => Lookup::Missing,
    };
    let endpoint = match (named, &subscription) {
        (Lookup::Missing, Lookup::Found(subscription)) => {
            endpoints::find(transaction, &subscription.endpoint_id, None).await?
        }
        (named, _) => named,
    };
    let customer = match &endpoint {
        Lookup::Found(endpoint) => customers::find(transaction, &endpoint.customer_id).await?,
        Lookup::Missing | Lookup::Ambiguous => None,
    };
    let allowance = match &customer {
        Some(customer) => quotas::of_subscriptions(transaction, &[&customer.id]).await?.remove(&customer.id),
        None => None,
    };
    Ok(SubscriptionContext { subscription, endpoint, customer, allowance: allowance.unwrap_or_default() })
}

async fn apply(
    transaction: &Transaction<'_>,
    version: i64,
    change: RowChange<SubscriptionWrite>,
    current: Option<StoredSubscription>,
) -> Result<WrittenRow<StoredSubscription>, StoreError> {
    match (change, current) {
        (RowChange::Create { id, uid, with }, _) => {
            let row = transaction
                .query_one(CREATE, &[&id, &uid, &with.endpoint_id, &with.topic, &json(&with.scope), &version])
                .await?;
            Ok(WrittenRow { row: parse(&row)?, effect: WriteEffect::Created })
        }
        (_, None) => Err(StoreError::Internal("a subscription was changed that does not exist".to_owned())),
        (RowChange::Keep, Some(row)) => Ok(WrittenRow { row, effect: WriteEffect::Unchanged }),
        (RowChange::Update(with), Some(row)) if with.topic == row.topic && with.scope == row.scope => {
            Ok(WrittenRow { row, effect: WriteEffect::Unchanged })
        }
        (RowChange::Update(with), Some(current)) => {
            let row = transaction.query_one(UPDATE, &[&current.id, &with.topic, &json(&with.scope), &version]).await?;
            Ok(WrittenRow { row: parse(&row)?, effect: WriteEffect::Updated })
        }
        (RowChange::Delete, Some(row)) => {
            transaction.execute(DELETE, &[&row.id, &version]).await?;
            Ok(WrittenRow { row, effect: WriteEffect::Deleted })
        }
    }
}

async fn find(
    client: &impl GenericClient,
    name: &str,
    endpoint_id: Option<&str>,
    customer_id: Option<&str>,
) -> Result<Lookup<StoredSubscription>, StoreError> {
    let statement = client.prepare_cached(FIND).await?;
    let rows = client.query(&statement, &[&name, &endpoint_id, &customer_id]).await?;
    Ok(Lookup::from_rows(rows.iter().map(parse).collect::<Result<_, _>>()?))
}

fn parse(row: &Row) -> Result<StoredSubscription, StoreError> {
    let id: String = row.try_get("id")?;
    let scope = serde_json::from_value(row.try_get("scope")?)
        .map_err(|error| StoreError::Unreadable(format!("subscription `{id}`: {error}")))?;
    Ok(StoredSubscription {
        id,
        uid: row.try_get("uid")?,
        endpoint_id: row.try_get("endpoint_id")?,
        topic: row.try_get("topic")?,
        scope,
        stamps: stamps(row)?,
    })
}

fn json(scope: &Scope) -> serde_json::Value {
    serde_json::to_value(scope).expect("invariant: a scope is sets of strings")
}

const FIND: &str = "
    SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
    WHERE (id = $1 OR uid = $1) AND ($2::text IS NULL OR endpoint_id = $2) AND deleted_at IS NULL
        AND ($3::text IS NULL OR EXISTS (SELECT FROM endpoint e WHERE e.id = endpoint_id AND e.customer_id = $3))
    LIMIT 2";
const LIST: &str = "
    SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
    WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2";
const LIST_OF_ENDPOINT: &str = "
    SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
    WHERE id > $1 AND endpoint_id = $3 AND deleted_at IS NULL ORDER BY id LIMIT $2";
// A page of each of its endpoints, of which the first ones are taken: never a walk over everyone's.
const LIST_OF_CUSTOMER: &str = "
    SELECT s.* FROM endpoint e CROSS JOIN LATERAL (
        SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
        WHERE endpoint_id = e.id AND id > $1 AND ($4::text IS NULL OR topic = $4) AND deleted_at IS NULL
        ORDER BY id LIMIT $2
    ) s
    WHERE e.customer_id = $3 AND e.deleted_at IS NULL ORDER BY s.id LIMIT $2";
const LIST_OF_TOPIC: &str = "
    SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
    WHERE id > $1 AND topic = $3 AND deleted_at IS NULL ORDER BY id LIMIT $2";
const LIST_OF_BOTH: &str = "
    SELECT id, uid, endpoint_id, topic, scope, version, created_at, updated_at FROM subscription
    WHERE id > $1 AND endpoint_id = $3 AND topic = $4 AND deleted_at IS NULL ORDER BY id LIMIT $2";
const CREATE: &str = "
    INSERT INTO subscription (id, uid, endpoint_id, topic, scope, version) VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING id, uid, endpoint_id, topic, scope, version, created_at, updated_at";
const UPDATE: &str = "
    UPDATE subscription SET topic = $2, scope = $3, version = $4, updated_at = now() WHERE id = $1
    RETURNING id, uid, endpoint_id, topic, scope, version, created_at, updated_at";
pub(super) const DELETE: &str = "UPDATE subscription SET version = $2, deleted_at = now() WHERE id = $1";
