//! ● Stored subscriptions that cover an event, and why others do not.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{Pool, StoreError, endpoint_settings::parse_state};
use crate::model::{grants::Grants, settings::EndpointState};

/// The fields by which an event is matched.
#[derive(Debug, Clone, Copy)]
pub struct MatchFields<'a> {
    pub topic: &'a str,
    pub tenant: Option<&'a str>,
    pub department: Option<&'a str>,
}

/// An endpoint, and what of its subscriptions speaks for or against its getting the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCandidate {
    pub endpoint_id: String,
    pub uid: Option<String>,
    pub customer_id: String,
    pub url: String,
    pub state: EndpointState,
    /// Its backlog went over its quota: what comes is skipped, to be replayed later.
    pub suspended: bool,
    /// Its customer's.
    pub grants: Grants,
    /// To the event's topic: those that cover the event first, then those that name its tenant.
    pub subscriptions: Vec<Covering>,
}

/// A subscription to the event's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covering {
    pub id: String,
    pub uid: Option<String>,
    pub level: Level,
    /// The event is within its scope.
    pub covers: bool,
    /// The event's tenant stands in it.
    pub names_tenant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Topic,
    Tenants,
    Departments,
}

/// These endpoints, in any order, with at most [`SUBSCRIPTIONS_MAX`] subscriptions each. Endpoints that are gone are
/// missing.
///
/// # Errors
/// When Postgres is away.
pub async fn candidates(
    pool: &Pool,
    endpoints: &[&str],
    asked: MatchFields<'_>,
) -> Result<Vec<MatchCandidate>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(ENDPOINTS).await?;
        let rows = client.query(&statement, &[&endpoints]).await?;
        let mut found = rows.iter().map(candidate).collect::<Result<Vec<_>, _>>()?;
        let places: HashMap<String, usize> =
            found.iter().enumerate().map(|(place, row)| (row.endpoint_id.clone(), place)).collect();
        let statement = client.prepare_cached(SUBSCRIPTIONS).await?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&endpoints, &asked.topic, &asked.tenant, &asked.department, &SUBSCRIPTIONS_MAX];
        for row in client.query(&statement, &parameters).await? {
            if let Some(place) = places.get(row.try_get::<_, &str>("endpoint_id")?) {
                found[*place].subscriptions.push(covering(&row)?);
            }
        }
        Ok(found)
    })
    .await
}

fn candidate(row: &Row) -> Result<MatchCandidate, StoreError> {
    let endpoint_id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let unreadable = |what: String| StoreError::Unreadable(format!("endpoint `{endpoint_id}`: {what}"));
    Ok(MatchCandidate {
        uid: row.try_get("uid")?,
        customer_id: row.try_get("customer_id")?,
        url: row.try_get("url")?,
        state: parse_state(&state).ok_or_else(|| unreadable(format!("state `{state}`")))?,
        suspended: row.try_get("suspended")?,
        // What is not understood grants nothing, here as for the routers.
        grants: serde_json::from_value(row.try_get("grants")?).unwrap_or_default(),
        subscriptions: Vec::new(),
        endpoint_id,
    })
}

fn covering(row: &Row) -> Result<Covering, StoreError> {
    Ok(Covering {
        id: row.try_get("id")?,
        uid: row.try_get("uid")?,
        level: match row.try_get("level")? {
            Some("topic") => Level::Topic,
            Some("departments") => Level::Departments,
            _ => Level::Tenants,
        },
        covers: row.try_get("covers")?,
        names_tenant: row.try_get("names_tenant")?,
    })
}

/// Subscriptions of one endpoint: enough to say why.
pub const SUBSCRIPTIONS_MAX: i64 = 10;

const ENDPOINTS: &str = "
    SELECT e.id, e.uid, e.customer_id, e.url, e.state, e.suspended_at IS NOT NULL AS suspended, c.grants FROM endpoint e JOIN customer c ON c.id = e.customer_id
    WHERE e.id = ANY($1) AND e.deleted_at IS NULL";
// Scopes may be long lists, so they are looked at where they are.
const SUBSCRIPTIONS: &str = "
    SELECT found.* FROM unnest($1::text[]) AS wanted (id) CROSS JOIN LATERAL (
        SELECT s.id, s.uid, s.endpoint_id, s.scope->>'level' AS level,
            coalesce(CASE s.scope->>'level'
                WHEN 'topic' THEN true
                WHEN 'tenants' THEN s.scope->'tenants' ? $3
                WHEN 'departments' THEN s.scope->'departments'->$3 ? $4
            END, false) AS covers,
            coalesce(CASE s.scope->>'level'
                WHEN 'tenants' THEN s.scope->'tenants' ? $3
                WHEN 'departments' THEN s.scope->'departments' ? $3
            END, false) AS names_tenant
        FROM subscription s WHERE s.endpoint_id = wanted.id AND s.topic = $2 AND s.deleted_at IS NULL
        ORDER BY covers DESC, names_tenant DESC, s.id LIMIT $5
    ) AS found";
