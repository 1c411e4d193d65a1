//! ● Customers and their grants.

use std::collections::HashMap;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::{Row, types::ToSql};

use super::{
    Pool, StoreError,
    config_write::{self, RowChange, WriteEffect, WrittenRow},
    list_row::{Listed, listed},
    quotas::OwnQuotas,
};
use crate::{
    api::{customer::CustomerName, resource::RowStamps},
    model::grants::Grants,
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub id: String,
    pub uid: Option<String>,
    pub name: String,
    pub grants: Grants,
    pub quotas: OwnQuotas,
    pub stamps: RowStamps,
}

/// Writable fields of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerWrite {
    pub name: String,
    pub grants: Grants,
    /// `None` leaves them as they are.
    pub quotas: Option<OwnQuotas>,
}

impl CustomerWrite {
    /// True if the customer is so already.
    #[must_use]
    pub fn is_of(&self, customer: &Customer) -> bool {
        let quotas = self.quotas.as_ref().is_none_or(|quotas| *quotas == customer.quotas);
        self.name == customer.name && self.grants == customer.grants && quotas
    }
}

/// The customer of this id or key of the caller's.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, name: &str) -> Result<Option<Customer>, StoreError> {
    pool.with(async |client| find(client, name).await).await
}

/// At most `limit` customers after the id `after`.
///
/// # Errors
/// When Postgres is away.
pub async fn list(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Listed<Customer>>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(LIST).await?;
        listed(&client.query(&statement, &[&after, &limit]).await?, parse)
    })
    .await
}

/// The names of these customers by their ids; of those that there are.
///
/// # Errors
/// When Postgres is away.
pub async fn names(pool: &Pool, ids: &[&str]) -> Result<HashMap<String, CustomerName>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(NAMES).await?;
        let name = |row: &Row| Ok((row.try_get(0)?, CustomerName { uid: row.try_get(1)?, name: row.try_get(2)? }));
        client.query(&statement, &[&ids]).await?.iter().map(name).collect()
    })
    .await
}

/// Decides by the customer of this name as it is, and writes that. A change of grants reaches its subscriptions; a
/// deletion takes its endpoints and subscriptions with it.
///
/// # Errors
/// When Postgres is away.
pub async fn write<E>(
    pool: &Pool,
    name: Option<&str>,
    decide: impl FnOnce(Option<&Customer>) -> Result<RowChange<CustomerWrite>, E>,
) -> Result<Result<WrittenRow<Customer>, E>, StoreError> {
    config_write::write(pool, async |transaction, version| {
        let current = match name {
            Some(name) => find(transaction, name).await?,
            None => None,
        };
        match (decide(current.as_ref()), current) {
            (Err(refusal), _) => Ok(Err(refusal)),
            (Ok(change), current) => apply(transaction, version, change, current).await.map(Ok),
        }
    })
    .await
}

async fn apply(
    transaction: &Transaction<'_>,
    version: i64,
    change: RowChange<CustomerWrite>,
    current: Option<Customer>,
) -> Result<WrittenRow<Customer>, StoreError> {
    match (change, current) {
        (RowChange::Create { id, uid, with }, _) => {
            let row = transaction
                .query_one(CREATE, &[&id, &uid, &with.name, &json(&with.grants), &version, &quotas(&with)])
                .await?;
            Ok(WrittenRow { row: parse(&row)?, effect: WriteEffect::Created })
        }
        (_, None) => Err(StoreError::Internal("a customer was changed that does not exist".to_owned())),
        (RowChange::Keep, Some(row)) => Ok(WrittenRow { row, effect: WriteEffect::Unchanged }),
        (RowChange::Update(with), Some(row)) if with.is_of(&row) => {
            Ok(WrittenRow { row, effect: WriteEffect::Unchanged })
        }
        (RowChange::Update(with), Some(current)) => {
            let values: [&(dyn ToSql + Sync); 5] =
                [&current.id, &with.name, &json(&with.grants), &version, &quotas(&with)];
            let row = transaction.query_one(UPDATE, &values).await?;
            if with.grants != current.grants {
                transaction.execute(TOUCH_SUBSCRIPTIONS, &[&current.id, &version]).await?;
            }
            Ok(WrittenRow { row: parse(&row)?, effect: WriteEffect::Updated })
        }
        (RowChange::Delete, Some(row)) => {
            for statement in DELETE {
                transaction.execute(statement, &[&row.id, &version]).await?;
            }
            Ok(WrittenRow { row, effect: WriteEffect::Deleted })
        }
    }
}

pub(super) async fn find(client: &impl GenericClient, name: &str) -> Result<Option<Customer>, StoreError> {
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&name]).await?.as_ref().map(parse).transpose()
}

pub(super) fn parse(row: &Row) -> Result<Customer, StoreError> {
    let id: String = row.try_get("id")?;
    let grants = serde_json::from_value(row.try_get("grants")?)
        .map_err(|error| StoreError::Unreadable(format!("grants of customer `{id}`: {error}")))?;
    let quotas = OwnQuotas::from_json(row.try_get("quotas")?);
    Ok(Customer { id, uid: row.try_get("uid")?, name: row.try_get("name")?, grants, quotas, stamps: stamps(row)? })
}

pub(super) fn stamps(row: &Row) -> Result<RowStamps, StoreError> {
    Ok(RowStamps {
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

pub(super) fn json(grants: &Grants) -> serde_json::Value {
    serde_json::to_value(grants).expect("invariant: grants are sets of strings")
}

pub(super) fn quotas(with: &CustomerWrite) -> Option<serde_json::Value> {
    with.quotas.as_ref().map(OwnQuotas::to_json)
}

// A key of the caller's never looks like an id, so one of the two matches.
const FIND: &str = "
    SELECT id, uid, name, grants, quotas, version, created_at, updated_at
    FROM customer WHERE (id = $1 OR uid = $1) AND deleted_at IS NULL";
const LIST: &str = "
    SELECT id, uid, name, grants, quotas, version, created_at, updated_at
    FROM customer WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2";
const NAMES: &str = "SELECT id, uid, name FROM customer WHERE id = ANY($1)";
const CREATE: &str = "
    INSERT INTO customer (id, uid, name, grants, version, quotas) VALUES ($1, $2, $3, $4, $5, coalesce($6::jsonb, '{}'))
    RETURNING id, uid, name, grants, quotas, version, created_at, updated_at";
const UPDATE: &str = "
    UPDATE customer SET name = $2, grants = $3, version = $4, quotas = coalesce($5::jsonb, quotas), updated_at = now() WHERE id = $1
    RETURNING id, uid, name, grants, quotas, version, created_at, updated_at";
const TOUCH_SUBSCRIPTIONS: &str = "
    UPDATE subscription s SET version = $2 FROM endpoint e
    WHERE e.id = s.endpoint_id AND e.customer_id = $1 AND s.deleted_at IS NULL";
pub(super) const DELETE: [&str; 3] = [
    "UPDATE subscription s SET version = $2, deleted_at = now() FROM endpoint e
     WHERE e.id = s.endpoint_id AND e.customer_id = $1 AND s.deleted_at IS NULL",
    "UPDATE endpoint SET version = $2, deleted_at = now() WHERE customer_id = $1 AND deleted_at IS NULL",
    "UPDATE customer SET version = $2, deleted_at = now() WHERE id = $1",
];
