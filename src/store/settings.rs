//! ● Settings for the routers and the endpoint actors: all of them, or what changed since a version.
//!
//! **Invariant:** whoever loads everything above version N, and next asks above the version that load returned, misses
//! no write: writers take the row of `config_version` first, so versions commit in their order.
//!
//! A row that cannot be understood or decrypted is reported and costs itself, not all: such an endpoint keeps its events
//! and sends none, such a subscription holds its topic: what it wants of it stays in Kafka, and what waits for it in the backlog.
//! A customer's grants that cannot be understood grant nothing, and hold the topics of its subscriptions.

use std::{collections::HashMap, time::Duration};

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::{IsolationLevel, Row, types::Json};

use super::{Pool, StoreError, endpoint_settings::EndpointHead, secret_box::SecretBox, secrets::EndpointSecrets};
use crate::{
    api::endpoint::EndpointSettings,
    clock,
    model::{grants::Grants, scope::Scope, settings::Settings},
    telemetry::names,
};

/// Changes above a version; for a full load, everything.
#[derive(Debug, Clone, Default)]
pub struct SettingsDelta {
    /// Ask above this next time.
    pub version: i64,
    pub endpoints: Vec<EndpointRow>,
    pub subscriptions: Vec<SubscriptionRow>,
}

/// An endpoint, or that there is none (any more).
#[derive(Debug, Clone)]
pub enum EndpointRow {
    Present(Box<Settings>),
    Absent { id: String },
}

impl EndpointRow {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            EndpointRow::Present(settings) => &settings.id,
            EndpointRow::Absent { id } => id,
        }
    }
}

/// A subscription under today's grants, or that there is none (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionRow {
    Present {
        id: String,
        endpoint_id: String,
        topic: String,
        scope: Scope,
    },
    Absent {
        id: String,
    },
    /// There is one, and this version cannot read whose events of the topic it wants.
    Unreadable {
        id: String,
        topic: String,
    },
    /// There is one, and this version cannot read what its customer is granted.
    Ungranted {
        id: String,
        topic: String,
    },
}

impl SubscriptionRow {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            SubscriptionRow::Present { id, .. }
            | SubscriptionRow::Absent { id }
            | SubscriptionRow::Unreadable { id, .. }
            | SubscriptionRow::Ungranted { id, .. } => id,
        }
    }
}

/// A part of a load. Endpoints come before the subscriptions that name them.
#[derive(Debug)]
pub enum SettingsChunk {
    Endpoints(Vec<EndpointRow>),
    Subscriptions(Vec<SubscriptionRow>),
}

/// Loads settings.
#[derive(Debug, Clone)]
pub struct SettingsReader {
    pool: Pool,
    secrets: SecretBox,
}

/// The newest version, and its time: milliseconds since 1970, by the clock of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestVersion {
    pub version: i64,
    pub at_ms: i64,
}

impl SettingsReader {
    #[must_use]
    pub fn new(pool: Pool, secrets: SecretBox) -> Self {
        SettingsReader { pool, secrets }
    }

    /// The version of the newest write: cheap, to be asked every second.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn version(&self) -> Result<NewestVersion, StoreError> {
        self.pool.with(async |client| newest(&client.query_one(NEWEST, &[]).await?)).await
    }

    /// Loads the changes above `version`, tombstones included.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn load_since(&self, version: i64) -> Result<SettingsDelta, StoreError> {
        let mut delta = SettingsDelta::default();
        delta.version = self
            .stream(Some(version), drop, |chunk| match chunk {
                SettingsChunk::Endpoints(rows) => delta.endpoints.extend(rows),
                SettingsChunk::Subscriptions(rows) => delta.subscriptions.extend(rows),
            })
            .await?;
        Ok(delta)
    }

    /// Everything there is, in chunks, from one snapshot; returns its version. On an error, what was handed out so far
    /// is not the whole. `opened` is called when the snapshot is open, before its first chunk: whoever asks for changes
    /// after that hears nothing older than the snapshot.
    ///
    /// # Errors
    /// When Postgres is away.
    pub async fn load_all(
        &self,
        opened: impl FnOnce(NewestVersion),
        each: impl FnMut(SettingsChunk),
    ) -> Result<i64, StoreError> {
        self.stream(None, opened, each).await
    }

    async fn stream(
        &self,
        above: Option<i64>,
        opened: impl FnOnce(NewestVersion),
        mut each: impl FnMut(SettingsChunk),
    ) -> Result<i64, StoreError> {
        self.pool
            .with_deadline(LOAD_MAX, async |client| {
                let (transaction, newest) = tokio::time::timeout(OPEN_MAX, open_snapshot(client))
                    .await
                    .unwrap_or(Err(StoreError::TimedOut(OPEN_MAX)))?;
                opened(newest);
                let mut after = String::new();
                loop {
                    let rows = page(&transaction, ENDPOINTS, above, &after).await?;
                    let Some(last) = rows.last() else { break };
                    after = last.try_get("id")?;
                    each(SettingsChunk::Endpoints(rows.iter().map(|row| self.endpoint(row)).collect()));
                }
                after.clear();
                let mut grants = KnownGrants::default();
                loop {
                    let rows = page(&transaction, SUBSCRIPTIONS, above, &after).await?;
                    let Some(last) = rows.last() else { break };
                    after = last.try_get("id")?;
                    grants.learn(&transaction, &rows).await?;
                    each(SettingsChunk::Subscriptions(rows.iter().map(|row| subscription(row, &grants)).collect()));
                }
                Ok(newest.version)
            })
            .await
    }

    fn endpoint(&self, row: &Row) -> EndpointRow {
        let id: String = row.get("id");
        if row.get("deleted") {
            return EndpointRow::Absent { id };
        }
        match self.parse(&id, row) {
            Ok(settings) => EndpointRow::Present(Box::new(settings)),
            Err(reason) => {
                metrics::counter!(names::SETTINGS_UNREADABLE, "what" => "endpoint").increment(1);
                tracing::error!(endpoint.id = %id, reason, "endpoint `{id}` cannot be read; its events are kept, not sent");
                // Not absent: its subscriptions still match, so its events are owed.
                let (customer_id, version) = (row.get::<_, String>("customer_id"), row.get("version"));
                EndpointRow::Present(Box::new(Settings::unreadable(&id, &customer_id, version)))
            }
        }
    }

    fn parse(&self, id: &str, row: &Row) -> Result<Settings, String> {
        let settings: serde_json::Value = row.try_get("settings").map_err(|error| error.to_string())?;
        let settings: EndpointSettings =
            serde_json::from_value(settings).map_err(|error| format!("its settings: {error}"))?;
        let secrets = open_secrets(&self.secrets, id, row.get("secrets"))?;
        let head = EndpointHead {
            id: id.to_owned(),
            customer_id: row.get("customer_id"),
            version: row.get("version"),
            restarts: row.get("restarts"),
            state: row.get("state"),
            suspended: row.get("suspended"),
            url: row.get("url"),
        };
        head.parse(&settings, &secrets, clock::wall_ms())
    }
}

/// Opens an endpoint's secrets; the error says why not, without anything secret.
pub(crate) fn open_secrets(secret_box: &SecretBox, id: &str, sealed: &[u8]) -> Result<EndpointSecrets, String> {
    let opened = secret_box.open(id, sealed).map_err(|error| {
        metrics::counter!(names::SECRET_FAILURES).increment(1);
        format!("its secrets do not open: {error}")
    })?;
    // The parser's message could quote a secret.
    serde_json::from_slice(&opened).map_err(|_| "its secrets are of an unknown form".to_owned())
}

/// The grants of the customers met so far in a load; `None` where they cannot be read.
#[derive(Default)]
struct KnownGrants(HashMap<String, Option<Grants>>);

impl KnownGrants {
    async fn learn(&mut self, transaction: &Transaction<'_>, rows: &[Row]) -> Result<(), StoreError> {
        let mut unknown: Vec<&str> = rows.iter().map(|row| row.get("customer_id")).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.retain(|id| !self.0.contains_key(*id));
        if unknown.is_empty() {
            return Ok(());
        }
        for row in transaction.query(GRANTS, &[&unknown]).await? {
            let (id, grants): (String, serde_json::Value) = (row.try_get(0)?, row.try_get(1)?);
            let grants = serde_json::from_value(grants).inspect_err(|error| {
                metrics::counter!(names::SETTINGS_UNREADABLE, "what" => "customer").increment(1);
                tracing::error!(
                    customer.id = %id, %error,
                    "grants of customer `{id}` cannot be read: nothing is granted, and the topics it subscribes to wait"
                );
            });
            self.0.insert(id, grants.ok());
        }
        Ok(())
    }
}

fn subscription(row: &Row, grants: &KnownGrants) -> SubscriptionRow {
    let id: String = row.get("id");
    if row.get("deleted") {
        return SubscriptionRow::Absent { id };
    }
    let topic: String = row.get("topic");
    let grants = grants.0.get(row.get::<_, &str>("customer_id"));
    if let Some(None) = grants {
        return SubscriptionRow::Ungranted { id, topic };
    }
    // Straight from its text: a tree of values of ten thousand names would take ten times as much.
    let scope = match row.try_get::<_, Json<Scope>>("scope") {
        Ok(Json(scope)) => grants.and_then(Option::as_ref).and_then(|grants| grants.narrow(&topic, scope)),
        Err(error) => {
            metrics::counter!(names::SETTINGS_UNREADABLE, "what" => "subscription").increment(1);
            tracing::error!(subscription.id = %id, topic, %error, "subscription `{id}` cannot be read: its topic waits, and so does its backlog");
            return SubscriptionRow::Unreadable { id, topic };
        }
    };
    match scope {
        Some(scope) => SubscriptionRow::Present { id, endpoint_id: row.get("endpoint_id"), topic, scope },
        None => SubscriptionRow::Absent { id },
    }
}

/// One snapshot, so that no subscription comes without its endpoint.
async fn open_snapshot(client: &mut Client) -> Result<(Transaction<'_>, NewestVersion), StoreError> {
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let newest = newest(&transaction.query_one(NEWEST, &[]).await?)?;
    Ok((transaction, newest))
}

fn newest(row: &Row) -> Result<NewestVersion, StoreError> {
    Ok(NewestVersion { version: row.try_get(0)?, at_ms: row.try_get(1)? })
}

async fn page(
    transaction: &Transaction<'_>,
    statements: (&str, &str),
    above: Option<i64>,
    after: &str,
) -> Result<Vec<Row>, StoreError> {
    let (whole, since) = statements;
    let rows = match above {
        None => {
            let statement = transaction.prepare_cached(whole).await?;
            transaction.query(&statement, &[&after, &PAGE_ROWS]).await?
        }
        Some(version) => {
            let statement = transaction.prepare_cached(since).await?;
            transaction.query(&statement, &[&after, &PAGE_ROWS, &version]).await?
        }
    };
    Ok(rows)
}

/// Rows in one statement, which has fewer where they name many: see [`SUBSCRIPTIONS`].
const PAGE_ROWS: i64 = 2_000;
/// A million subscriptions take tens of seconds on a busy machine.
const LOAD_MAX: Duration = Duration::from_secs(300);
/// Changes wait while a snapshot is opened, which reads one row.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// The transaction's beginning: it sees all that was committed before.
const NEWEST: &str = "SELECT version, (extract(epoch FROM now()) * 1000)::bigint FROM config_version";
const GRANTS: &str = "SELECT id, grants FROM customer WHERE id = ANY($1)";

/// All that stand | those above a version, tombstones with them.
const ENDPOINTS: (&str, &str) = (
    "SELECT id, customer_id, version, restarts, state, suspended_at IS NOT NULL AS suspended, url, settings, secrets, false AS deleted
     FROM endpoint WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2",
    "SELECT id, customer_id, version, restarts, state, suspended_at IS NOT NULL AS suspended, url, settings, secrets, deleted_at IS NOT NULL AS deleted
     FROM endpoint WHERE id > $1 AND version > $3 ORDER BY id LIMIT $2",
);
/// A page ends with the row that takes it beyond 50,000 names: some megabytes, however long the lists are.
const SUBSCRIPTIONS: (&str, &str) = (
    "SELECT p.id, p.endpoint_id, p.topic, p.scope, false AS deleted, e.customer_id FROM (
         SELECT s.*, sum(s.entries) OVER (ORDER BY s.id) - s.entries AS before FROM (
             SELECT * FROM subscription WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2) AS s
     ) AS p JOIN endpoint e ON e.id = p.endpoint_id WHERE p.before < 50000 ORDER BY p.id",
    "SELECT p.id, p.endpoint_id, p.topic, p.scope, p.deleted_at IS NOT NULL AS deleted, e.customer_id FROM (
         SELECT s.*, sum(s.entries) OVER (ORDER BY s.id) - s.entries AS before FROM (
             SELECT * FROM subscription WHERE id > $1 AND version > $3 ORDER BY id LIMIT $2) AS s
     ) AS p JOIN endpoint e ON e.id = p.endpoint_id WHERE p.before < 50000 ORDER BY p.id",
);
