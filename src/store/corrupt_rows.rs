//! ● Rows of settings that this version cannot read: they can be deleted all the same.

use super::{
    Pool, StoreError,
    config_write::{self, Lookup, WriteEffect, WrittenRow},
    customers, endpoints, subscriptions,
};

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Customer,
    Endpoint,
    Subscription,
}

/// A row as far as any version can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowIdentity {
    pub id: String,
    pub version: i64,
}

/// The name of a row: its id or the caller's own key, under an owner where one is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowName<'a> {
    pub name: &'a str,
    /// Id or key of the customer whose it is.
    pub customer: Option<&'a str>,
    /// Id or key of a subscription's endpoint.
    pub endpoint: Option<&'a str>,
}

/// Decides by the row's head, and deletes it as one that can be read: with what belongs to it.
///
/// # Errors
/// When Postgres is away.
pub async fn delete<E>(
    pool: &Pool,
    table: Table,
    named: RowName<'_>,
    decide: impl FnOnce(&Lookup<RowIdentity>) -> Result<(), E>,
) -> Result<Result<WrittenRow<RowIdentity>, E>, StoreError> {
    let (find, delete): (&str, &[&str]) = match table {
        Table::Customer => (FIND_CUSTOMER, &customers::DELETE),
        Table::Endpoint => (FIND_ENDPOINT, &endpoints::DELETE),
        Table::Subscription => (FIND_SUBSCRIPTION, &[subscriptions::DELETE]),
    };
    config_write::write(pool, async |transaction, version| {
        let rows = transaction.query(find, &[&named.name, &named.customer, &named.endpoint]).await?;
        let head = |row: &tokio_postgres::Row| -> Result<RowIdentity, StoreError> {
            Ok(RowIdentity { id: row.try_get(0)?, version: row.try_get(1)? })
        };
        let found = Lookup::from_rows(rows.iter().map(head).collect::<Result<_, _>>()?);
        let row = match (decide(&found), found.found()) {
            (Err(refusal), _) => return Ok(Err(refusal)),
            (Ok(()), None) => return Err(StoreError::Internal("what does not exist was to be deleted".to_owned())),
            (Ok(()), Some(row)) => row,
        };
        for statement in delete {
            transaction.execute(*statement, &[&row.id, &version]).await?;
        }
        tracing::warn!(id = row.id, "a stored row that could not be read was deleted");
        Ok(Ok(WrittenRow { row, effect: WriteEffect::Deleted }))
    })
    .await
}

const FIND_CUSTOMER: &str = "
    SELECT id, version FROM customer
    WHERE (id = $1 OR uid = $1) AND ($2::text IS NULL OR id = $2 OR uid = $2) AND $3::text IS NULL AND deleted_at IS NULL";
const FIND_ENDPOINT: &str = "
    SELECT e.id, e.version FROM endpoint e
    WHERE (e.id = $1 OR e.uid = $1) AND e.deleted_at IS NULL AND $3::text IS NULL AND ($2::text IS NULL OR EXISTS (
        SELECT FROM customer c WHERE c.id = e.customer_id AND (c.id = $2 OR c.uid = $2) AND c.deleted_at IS NULL))
    LIMIT 2";
const FIND_SUBSCRIPTION: &str = "
    SELECT s.id, s.version FROM subscription s JOIN endpoint e ON e.id = s.endpoint_id
    WHERE (s.id = $1 OR s.uid = $1) AND s.deleted_at IS NULL AND ($2::text IS NULL OR e.customer_id = $2)
        AND ($3::text IS NULL OR e.id = $3 OR e.uid = $3)
    LIMIT 2";
