//! ● Many customers in one write: all of them or none, one version, a few statements.

use std::{collections::HashMap, time::Duration};

use deadpool_postgres::Transaction;

use super::{
    Pool, StoreError,
    bulk_endpoints::UpsertedEndpoints,
    config_write::{self, WriteEffect, WrittenRow},
    customers::{Customer, CustomerWrite, json, parse, quotas},
};

/// A customer as it is to be, by the caller's own key.
#[derive(Debug, Clone)]
pub struct CustomerUpsert {
    /// For one that is new.
    pub id: String,
    pub uid: String,
    pub with: CustomerWrite,
}

/// Writes what differs from what is there; no uid may be given twice.
///
/// # Errors
/// When Postgres is away.
pub async fn upsert(pool: &Pool, items: Vec<CustomerUpsert>) -> Result<UpsertedEndpoints<()>, StoreError> {
    let written = config_write::write_many(pool, DEADLINE, async |transaction, version| {
        let known = load_current(transaction, &items).await?;
        let effects: Vec<(String, WriteEffect)> = items.iter().map(|item| effect(known.get(&item.uid), item)).collect();
        write(transaction, CREATE, &items, &effects, (WriteEffect::Created, version)).await?;
        write(transaction, UPDATE, &items, &effects, (WriteEffect::Updated, version)).await?;
        let changed = items.iter().zip(&effects).filter(|(item, (_, effect))| {
            *effect == WriteEffect::Updated
                && known.get(&item.uid).is_some_and(|known| known.grants != item.with.grants)
        });
        let changed: Vec<&str> = changed.map(|(_, (id, _))| id.as_str()).collect();
        if !changed.is_empty() {
            transaction.execute(TOUCH_SUBSCRIPTIONS, &[&changed, &version]).await?;
        }
        let is_same = effects.iter().all(|(_, effect)| *effect == WriteEffect::Unchanged);
        let (version, effect) =
            if is_same { (version - 1, WriteEffect::Unchanged) } else { (version, WriteEffect::Updated) };
        let row = UpsertedEndpoints { version, items: effects, beside: () };
        Ok(Ok::<_, std::convert::Infallible>(WrittenRow { row, effect }))
    });
    let Ok(written) = written.await?;
    Ok(written.row)
}

/// By their keys.
async fn load_current(
    transaction: &Transaction<'_>,
    items: &[CustomerUpsert],
) -> Result<HashMap<String, Customer>, StoreError> {
    let uids: Vec<&str> = items.iter().map(|item| item.uid.as_str()).collect();
    let rows = transaction.query(KNOWN, &[&uids]).await?;
    let customers = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(customers.into_iter().filter_map(|customer| Some((customer.uid.clone()?, customer))).collect())
}

fn effect(known: Option<&Customer>, item: &CustomerUpsert) -> (String, WriteEffect) {
    match known {
        None => (item.id.clone(), WriteEffect::Created),
        Some(known) if item.with.is_of(known) => (known.id.clone(), WriteEffect::Unchanged),
        Some(known) => (known.id.clone(), WriteEffect::Updated),
    }
}

/// Writes the items of one effect.
async fn write(
    transaction: &Transaction<'_>,
    statement: &str,
    items: &[CustomerUpsert],
    effects: &[(String, WriteEffect)],
    (effect, version): (WriteEffect, i64),
) -> Result<(), StoreError> {
    let chosen: Vec<(&str, &CustomerUpsert)> = effects
        .iter()
        .zip(items)
        .filter(|((_, its), _)| *its == effect)
        .map(|((id, _), item)| (id.as_str(), item))
        .collect();
    for chunk in chosen.chunks(ROWS_MAX) {
        let ids: Vec<&str> = chunk.iter().map(|(id, _)| *id).collect();
        let uids: Vec<&str> = chunk.iter().map(|(_, item)| item.uid.as_str()).collect();
        let names: Vec<&str> = chunk.iter().map(|(_, item)| item.with.name.as_str()).collect();
        let grants: Vec<serde_json::Value> = chunk.iter().map(|(_, item)| json(&item.with.grants)).collect();
        let quotas: Vec<Option<serde_json::Value>> = chunk.iter().map(|(_, item)| quotas(&item.with)).collect();
        let statement = transaction.prepare_cached(statement).await?;
        transaction.execute(&statement, &[&ids, &uids, &names, &grants, &version, &quotas]).await?;
    }
    Ok(())
}

/// Rows in one statement: it must end well within the usual timeout.
const ROWS_MAX: usize = 2_000;
const DEADLINE: Duration = Duration::from_secs(60);

const KNOWN: &str = "
    SELECT id, uid, name, grants, quotas, version, created_at, updated_at FROM customer
    WHERE uid = ANY($1) AND deleted_at IS NULL";
/// Both take all columns, so that one function serves them.
const CREATE: &str = "
    INSERT INTO customer (id, uid, name, grants, version, quotas)
    SELECT new.id, new.uid, new.name, new.grants, $5, coalesce(new.quotas, '{}')
    FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $6::jsonb[]) AS new (id, uid, name, grants, quotas)";
const UPDATE: &str = "
    UPDATE customer c
    SET name = new.name, grants = new.grants, quotas = coalesce(new.quotas, c.quotas), version = $5, updated_at = now()
    FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $6::jsonb[]) AS new (id, uid, name, grants, quotas)
    WHERE c.id = new.id";
const TOUCH_SUBSCRIPTIONS: &str = "
    UPDATE subscription s SET version = $2 FROM endpoint e
    WHERE e.id = s.endpoint_id AND e.customer_id = ANY($1) AND s.deleted_at IS NULL";
