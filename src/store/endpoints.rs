//! ● Endpoints, their secrets sealed.

use std::{convert::Infallible, time::Duration};

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    Pool, StoreError,
    config_write::{self, Lookup, RowChange, WriteEffect, WrittenRow},
    customers::{self, Customer, stamps},
    endpoint_failures,
    endpoint_settings::{parse_state, state_word},
    quotas::{self, CustomerAllowance},
};
use crate::{
    api::{
        endpoint::{ATTEMPTS_WITHOUT_END, EndpointSettings},
        resource::RowStamps,
    },
    model::settings::EndpointState,
};

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub id: String,
    pub uid: Option<String>,
    pub customer_id: String,
    pub state: EndpointState,
    /// Author or reason of the last change of state.
    pub state_reason: String,
    /// Its backlog went over its quota then.
    pub suspended_at: Option<Timestamp>,
    pub url: String,
    pub settings: EndpointSettings,
    /// Sealed for this endpoint.
    pub secrets: Vec<u8>,
    pub stamps: RowStamps,
}

/// Writable fields of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointWrite {
    /// Customer of a new endpoint; an old one stays where it is.
    pub customer_id: String,
    pub state: EndpointState,
    pub state_reason: String,
    pub suspended: bool,
    pub url: String,
    pub settings: EndpointSettings,
    pub secrets: Vec<u8>,
}

/// Context in which an endpoint's write is decided.
#[derive(Debug)]
pub struct EndpointContext {
    /// The customer that was named, if one was named and exists.
    pub customer: Option<Customer>,
    pub endpoint: Lookup<Endpoint>,
    /// The customer's allowance of endpoints; counted where there is no endpoint yet.
    pub allowance: CustomerAllowance,
}

/// The endpoint of this id or key of the caller's; the key is unique within a customer.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, name: &str, customer: Option<&str>) -> Result<Lookup<Endpoint>, StoreError> {
    pool.with(async |client| find_in(client, name, customer).await).await
}

/// Decides by the endpoint of this name (under `customer`, when one is named) as it is, and writes that. A deletion
/// takes its subscriptions with it.
///
/// # Errors
/// When Postgres is away.
pub async fn write<E>(
    pool: &Pool,
    name: Option<&str>,
    customer: Option<&str>,
    decide: impl FnOnce(&EndpointContext) -> Result<RowChange<EndpointWrite>, E>,
) -> Result<Result<WrittenRow<Endpoint>, E>, StoreError> {
    config_write::write(pool, async |transaction, version| {
        let context = load_current(transaction, name, customer).await?;
        match decide(&context) {
            Err(refusal) => Ok(Err(refusal)),
            Ok(change) => apply(transaction, version, change, context.endpoint.found()).await.map(Ok),
        }
    })
    .await
}

/// Sets an endpoint's state from within, and says whether it had that `from` state: otherwise, and where it is deleted or
/// newer than the `version` that the change is about, nothing is done.
///
/// # Errors
/// When Postgres is away.
pub async fn change_state(
    pool: &Pool,
    id: &str,
    version: i64,
    (from, to): (&[EndpointState], EndpointState),
    reason: &str,
) -> Result<bool, StoreError> {
    let written = write(pool, Some(id), None, |context| match &context.endpoint {
        Lookup::Found(endpoint) if from.contains(&endpoint.state) && endpoint.stamps.version <= version => {
            Ok(RowChange::Update(endpoint.with_state(to, reason)))
        }
        _ => Err(()),
    });
    Ok(written.await?.is_ok())
}

/// Disables an endpoint that is enabled and has taken nothing for so long, as far as any instance has told by now; false, and
/// nothing is done, where it is not so.
///
/// # Errors
/// When Postgres is away.
pub async fn disable_failing(pool: &Pool, id: &str, time: Duration, reason: &str) -> Result<bool, StoreError> {
    let written = config_write::write(pool, async |transaction, version| {
        let found = find(transaction, id, None).await?.found();
        let enabled = found.filter(|endpoint| endpoint.state == EndpointState::Enabled);
        let Some(endpoint) = enabled else { return Ok(Err(())) };
        // Who tells of a success from here on waits until it is disabled.
        if !endpoint_failures::lock_failing(transaction, id, time).await? {
            return Ok(Err(()));
        }
        let disabled = RowChange::Update(endpoint.with_state(EndpointState::Disabled, reason));
        apply(transaction, version, disabled, Some(endpoint)).await.map(Ok)
    });
    Ok(written.await?.is_ok())
}

/// Suspends endpoints (ids) in one write; returns those that were not so already, nor deleted.
///
/// # Errors
/// When Postgres is away.
pub async fn suspend(pool: &Pool, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let written = config_write::write(pool, async |transaction, version| {
        let rows = transaction.query(SUSPEND, &[&ids, &version]).await?;
        let row = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        let effect = if row.is_empty() { WriteEffect::Unchanged } else { WriteEffect::Updated };
        Ok(Ok::<_, Infallible>(WrittenRow { row, effect }))
    });
    let Ok(written) = written.await?;
    Ok(written.row)
}

impl Endpoint {
    /// The same endpoint in another state.
    #[must_use]
    pub fn with_state(&self, state: EndpointState, reason: &str) -> EndpointWrite {
        EndpointWrite { state, state_reason: reason.to_owned(), ..self.as_write() }
    }

    /// The write that leaves it as it is.
    #[must_use]
    pub fn as_write(&self) -> EndpointWrite {
        EndpointWrite {
            customer_id: self.customer_id.clone(),
            state: self.state,
            state_reason: self.state_reason.clone(),
            suspended: self.suspended_at.is_some(),
            url: self.url.clone(),
            settings: self.settings.clone(),
            secrets: self.secrets.clone(),
        }
    }
}

async fn load_current(
    transaction: &Transaction<'_>,
    name: Option<&str>,
    customer: Option<&str>,
) -> Result<EndpointContext, StoreError> {
    let found = match customer {
        Some(customer) => customers::find(transaction, customer).await?,
        None => None,
    };
    let endpoint = match name {
        // Under a customer that does not exist there is nothing.
        Some(_) if customer.is_some() && found.is_none() => Lookup::Missing,
        Some(name) => find(transaction, name, found.as_ref().map(|customer| customer.id.as_str())).await?,
        None => Lookup::Missing,
    };
    let counted = found.as_ref().filter(|_| endpoint == Lookup::Missing);
    let allowance = match counted {
        Some(customer) => quotas::of_endpoints(transaction, &[&customer.id]).await?.remove(&customer.id),
        None => None,
    };
    Ok(EndpointContext { customer: found, endpoint, allowance: allowance.unwrap_or_default() })
}

async fn apply(
    transaction: &Transaction<'_>,
    version: i64,
    change: RowChange<EndpointWrite>,
    current: Option<Endpoint>,
) -> Result<WrittenRow<Endpoint>, StoreError> {
    match (change, current) {
        (RowChange::Create { id, uid, with }, _) => {
            let row = transaction
                .query_one(
                    CREATE,
                    &[
                        &id,
                        &uid,
                        &with.customer_id,
                        &state_word(with.state),
                        &with.state_reason,
                        &with.url,
                        &json(&with.settings),
                        &with.secrets,
                        &version,
                    ],
                )
                .await?;
            Ok(WrittenRow { row: parse(&row)?, effect: WriteEffect::Created })
        }
        (_, None) => Err(StoreError::Internal("an endpoint was changed that does not exist".to_owned())),
        (RowChange::Keep, Some(row)) => Ok(WrittenRow { row, effect: WriteEffect::Unchanged }),
        (RowChange::Update(with), Some(row)) if with == row.as_write() => {
            Ok(WrittenRow { row, effect: WriteEffect::Unchanged })
        }
        (RowChange::Update(with), Some(current)) => {
            if with.state != current.state {
                endpoint_failures::end_with_state(transaction, &current.id).await?;
            }
            let row = transaction
                .query_one(
                    UPDATE,
                    &[
                        &current.id,
                        &state_word(with.state),
                        &with.state_reason,
                        &with.url,
                        &json(&with.settings),
                        &with.secrets,
                        &version,
                        &with.suspended,
                    ],
                )
                .await?;
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

/// As [`read`], within a transaction or without.
pub(super) async fn find_in(
    client: &impl GenericClient,
    name: &str,
    customer: Option<&str>,
) -> Result<Lookup<Endpoint>, StoreError> {
    let customer_id = match customer {
        Some(customer) => match customers::find(client, customer).await? {
            Some(customer) => Some(customer.id),
            None => return Ok(Lookup::Missing),
        },
        None => None,
    };
    find(client, name, customer_id.as_deref()).await
}

pub(super) async fn find(
    client: &impl GenericClient,
    name: &str,
    customer_id: Option<&str>,
) -> Result<Lookup<Endpoint>, StoreError> {
    let statement = client.prepare_cached(FIND).await?;
    let rows = client.query(&statement, &[&name, &customer_id]).await?;
    Ok(Lookup::from_rows(rows.iter().map(parse).collect::<Result<_, _>>()?))
}

pub(super) fn parse(row: &Row) -> Result<Endpoint, StoreError> {
    let id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let unreadable = |what: String| StoreError::Unreadable(format!("endpoint `{id}`: {what}"));
    let state = parse_state(&state).ok_or_else(|| unreadable(format!("state `{state}`")))?;
    let settings = serde_json::from_value(row.try_get("settings")?).map_err(|error| unreadable(error.to_string()))?;
    Ok(Endpoint {
        uid: row.try_get("uid")?,
        customer_id: row.try_get("customer_id")?,
        state,
        state_reason: row.try_get("state_reason")?,
        suspended_at: row.try_get("suspended_at")?,
        url: row.try_get("url")?,
        settings,
        secrets: row.try_get("secrets")?,
        stamps: stamps(row)?,
        id,
    })
}

pub(super) fn json(settings: &EndpointSettings) -> serde_json::Value {
    let mut json = serde_json::to_value(settings).expect("invariant: settings are plain values");
    if let Some(attempts_max) = json.pointer_mut("/retry/attempts_max").filter(|attempts_max| attempts_max.is_null()) {
        *attempts_max = ATTEMPTS_WITHOUT_END.into();
    }
    json
}

// A key of the caller's never looks like an id. Two rows are enough to know that a key is not unique.
const FIND: &str = "
    SELECT id, uid, customer_id, state, state_reason, suspended_at, url, settings, secrets, version, created_at, updated_at
    FROM endpoint
    WHERE (id = $1 OR uid = $1) AND ($2::text IS NULL OR customer_id = $2) AND deleted_at IS NULL LIMIT 2";
const CREATE: &str = "
    INSERT INTO endpoint (id, uid, customer_id, state, state_reason, url, settings, secrets, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING id, uid, customer_id, state, state_reason, suspended_at, url, settings, secrets, version, created_at, updated_at";
const UPDATE: &str = "
    UPDATE endpoint
    SET state = $2, state_reason = $3, url = $4, settings = $5, secrets = $6, version = $7, updated_at = now(),
        suspended_at = CASE WHEN $8 THEN coalesce(suspended_at, now()) END
    WHERE id = $1
    RETURNING id, uid, customer_id, state, state_reason, suspended_at, url, settings, secrets, version, created_at, updated_at";
const SUSPEND: &str = "
    UPDATE endpoint SET suspended_at = now(), version = $2, updated_at = now()
    WHERE id = ANY($1) AND suspended_at IS NULL AND deleted_at IS NULL RETURNING id";
pub(super) const DELETE: [&str; 2] = [
    "UPDATE subscription SET version = $2, deleted_at = now() WHERE endpoint_id = $1 AND deleted_at IS NULL",
    "UPDATE endpoint SET version = $2, deleted_at = now() WHERE id = $1",
];
