//! ● Dead letters as customers and operators see them: listed, read, acknowledged, marked for another try.
//!
//! Every statement looks at a bounded number of rows.

mod data; // the records of letters
mod list; // letters in the order in which they were written
mod rows; // a row as a letter

use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use self::rows::{data, head};
pub use self::{
    data::{LetterData, LetterDataRows, read_data},
    list::list,
};
use super::{Pool, StoreError};
use crate::model::grants::Grants;

/// A letter without the record's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterHead {
    pub id: String,
    pub endpoint_id: String,
    pub customer_id: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub record_ms: i64,
    pub occurred_ms: i64,
    pub event_id: Option<String>,
    pub tenant: Option<String>,
    pub department: Option<String>,
    pub kind: Option<String>,
    pub reason: String,
    pub attempts: i32,
    pub last_status: Option<i16>,
    pub last_class: Option<String>,
    pub excerpt: Option<String>,
    pub received_at: Timestamp,
    pub created_at: Timestamp,
    /// `dead` or `redriving`
    pub state: String,
    pub redrive_requested_at: Option<Timestamp>,
    /// Bytes of key, value and headers together.
    pub data_bytes: i64,
    /// The transaction that wrote it.
    pub written_in: i64,
    /// Nothing can come before it any more: no transaction is running that is as old as its own.
    pub is_settled: bool,
}

/// A place in the list of an endpoint's letters: those that were written before it are behind. The default is its
/// beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterPosition {
    pub written_in: i64,
    pub id: String,
}

/// Letters of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterList {
    pub rows: Vec<LetterHead>,
    /// The end of what was tried, where a filter ended before all were.
    pub tried: Option<TriedLetter>,
}

/// The last letter that a list has tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedLetter {
    pub position: DeadLetterPosition,
    /// As that of [`LetterHead`].
    pub is_settled: bool,
}

/// A filter of an endpoint's letters; an empty endpoint's are the operator's.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterQuery<'a> {
    pub endpoint_id: &'a str,
    pub filter: &'a DeadLetterFilter,
}

/// The letters of a command, and the part of them that the caller may see: all of them, where no grants are named.
#[derive(Debug, Clone, Copy)]
pub struct LetterOwner<'a> {
    pub endpoint_id: &'a str,
    pub granted: Option<&'a Grants>,
}

impl<'a> LetterOwner<'a> {
    #[must_use]
    pub fn all_of(endpoint_id: &'a str) -> Self {
        LetterOwner { endpoint_id, granted: None }
    }

    /// Topics and tenants; `None` is every one.
    pub(super) fn granted_names(&self) -> (Option<Vec<&'a str>>, Option<Vec<&'a str>>) {
        self.granted.map_or((None, None), |grants| (grants.topics.names(), grants.tenants.names()))
    }
}

/// The condition of a letter that is granted, by two parameters: topics and tenants, each NULL for every one. A letter
/// without a tenant is given by the grant of all tenants alone.
macro_rules! granted {
    ($topics:literal, $tenants:literal) => {
        concat!(
            " AND (",
            $topics,
            "::text[] IS NULL OR topic = ANY(",
            $topics,
            ")) AND (",
            $tenants,
            "::text[] IS NULL OR tenant = ANY(",
            $tenants,
            ")) "
        )
    };
}
pub(super) use granted;

/// Filter of letters; a field that is not said leaves none out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub reason: Option<String>,
    pub topic: Option<String>,
    pub tenant: Option<String>,
    /// The lowest id.
    pub from: Option<String>,
    /// The id above the highest one.
    pub before: Option<String>,
}

impl DeadLetterFilter {
    /// True if letters are told apart by what no index has: many may be looked through for a few.
    #[must_use]
    pub fn is_by_record(&self) -> bool {
        self.topic.is_some() || self.tenant.is_some()
    }
}

/// The letters that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterSelection {
    Ids(Vec<String>),
    /// At most [`ROWS_MAX`] of them at once.
    Matching(DeadLetterFilter),
}

/// Result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionResult {
    pub letters: u64,
    /// There are more: ask again.
    pub more: bool,
}

/// A command for all letters takes this many at once.
pub const ROWS_MAX: u64 = 50_000;

/// The position of the newest letter of each of these endpoints, where there is one after `after`: with its place in the
/// list.
///
/// # Errors
/// When Postgres is away.
pub async fn newest(
    pool: &Pool,
    endpoints: &[String],
    after: &[DeadLetterPosition],
) -> Result<Vec<(usize, DeadLetterPosition)>, StoreError> {
    let (written_in, ids): (Vec<i64>, Vec<&str>) = after.iter().map(|at| (at.written_in, at.id.as_str())).unzip();
    pool.with(async |client| {
        let statement = client.prepare_cached(NEWEST).await?;
        let rows = client.query(&statement, &[&endpoints, &written_in, &ids]).await?;
        let place = |row: &Row| {
            let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
            Ok((place, DeadLetterPosition { written_in: row.try_get(1)?, id: row.try_get(2)? }))
        };
        rows.iter().map(place).collect()
    })
    .await
}

impl LetterHead {
    #[must_use]
    pub fn position(&self) -> DeadLetterPosition {
        DeadLetterPosition { written_in: self.written_in, id: self.id.clone() }
    }
}

/// Ids above the first and below the second.
fn bounds(filter: &DeadLetterFilter) -> (String, String) {
    // No id is as short as what stands before the first one of a time.
    let from = filter.from.as_deref().map_or("", |from| &from[..from.len() - 1]);
    (from.to_owned(), filter.before.clone().unwrap_or_else(|| BEYOND.to_owned()))
}

/// One letter with its data.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, id: &str) -> Result<Option<(LetterHead, LetterData)>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(READ).await?;
        let row = client.query_opt(&statement, &[&id]).await?;
        row.map(|row| Ok((head(&row)?, data(&row)?))).transpose()
    })
    .await
}

/// Deletes letters of an endpoint, as far as they are granted: they were seen.
///
/// # Errors
/// When Postgres is away; some may be deleted then.
pub async fn acknowledge(
    pool: &Pool,
    of: LetterOwner<'_>,
    selection: &DeadLetterSelection,
) -> Result<SelectionResult, StoreError> {
    let (topics, tenants) = of.granted_names();
    each_page(pool, of, selection, PAGE, async |ids| {
        pool.with(async |client| {
            let transaction = client.transaction().await?;
            let statement = transaction.prepare_cached(DELETE).await?;
            let gone = transaction.query(&statement, &[&of.endpoint_id, &ids, &topics, &tenants]).await?;
            let keys: Vec<&[u8]> = gone.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            let statement = transaction.prepare_cached("DELETE FROM dead_letter_key WHERE key = ANY($1)").await?;
            transaction.execute(&statement, &[&keys]).await?;
            transaction.commit().await?;
            Ok(gone.len() as u64)
        })
        .await
    })
    .await
}

/// Runs `work` on the ids of a selection, some thousand at a time, found by the statement `page`. Between two statements
/// the connection is free for others.
pub(super) async fn each_page(
    pool: &Pool,
    of: LetterOwner<'_>,
    selection: &DeadLetterSelection,
    page: &str,
    work: impl AsyncFn(Vec<String>) -> Result<u64, StoreError>,
) -> Result<SelectionResult, StoreError> {
    let filter = match selection {
        DeadLetterSelection::Ids(ids) => return Ok(SelectionResult { letters: work(ids.clone()).await?, more: false }),
        DeadLetterSelection::Matching(filter) => filter,
    };
    let DeadLetterFilter { reason, topic, tenant, .. } = filter;
    let (topics, tenants) = of.granted_names();
    let ((mut after, before), mut letters) = (bounds(filter), 0);
    loop {
        let (ids, tried): (Vec<String>, Option<String>) = pool
            .with(async |client| {
                let statement = client.prepare_cached(page).await?;
                let parameters: [&(dyn ToSql + Sync); 8] =
                    [&of.endpoint_id, &after, &before, topic, tenant, reason, &topics, &tenants];
                let row = client.query_one(&statement, &parameters).await?;
                Ok((row.try_get(0)?, row.try_get(1)?))
            })
            .await?;
        // What was chosen fills the page, or all that was tried is behind us.
        let last = if ids.len() >= PAGE_ROWS { ids.last().cloned() } else { tried };
        let Some(last) = last else { return Ok(SelectionResult { letters, more: false }) };
        after = last;
        if !ids.is_empty() {
            letters += work(ids).await?;
        }
        if letters >= ROWS_MAX {
            return Ok(SelectionResult { letters, more: true });
        }
    }
}

macro_rules! head_columns {
    () => {
        r#"id, endpoint_id, customer_id, topic, partition, "offset", record_ms, occurred_ms, event_id, tenant,
        department, type, texts_with_nul, reason, attempts, last_status, last_class, excerpt, received_at, created_at, state,
        redrive_requested_at, coalesce(octet_length(record_key), 0)::bigint
            + coalesce(octet_length(record_value), 0) + octet_length(record_headers) AS data_bytes,
        d.written_in::text::bigint AS written_in,
        d.written_in < pg_snapshot_xmin(pg_current_snapshot()) AS is_settled"#
    };
}
use head_columns;

/// Above every id.
const BEYOND: &str = "~";
// The ids of a page, and the last letter that was tried for it. As in a list, a statement tries so many and no more.
macro_rules! page {
    ($more:literal) => {
        concat!(
            "WITH tried AS MATERIALIZED (
                SELECT id, topic, tenant, reason, state FROM dead_letter
                WHERE endpoint_id = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT 20000
            ) SELECT ARRAY(SELECT id FROM tried WHERE ($4::text IS NULL OR topic = $4)
                AND ($5::text IS NULL OR tenant = $5) AND ($6::text IS NULL OR reason = $6) ",
            granted!("$7", "$8"),
            $more,
            "ORDER BY id LIMIT 5000), (SELECT max(id) FROM tried)"
        )
    };
}
const NEWEST: &str = "
    SELECT wanted.place, newest.written_in::text::bigint, newest.id
    FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS wanted (endpoint_id, written_in, id, place)
    CROSS JOIN LATERAL (
        SELECT d.written_in, d.id FROM dead_letter d
        WHERE d.endpoint_id = wanted.endpoint_id AND (d.written_in, d.id) > (wanted.written_in::text::xid8, wanted.id)
        ORDER BY d.written_in DESC, d.id DESC LIMIT 1
    ) AS newest";
const READ: &str =
    concat!("SELECT ", head_columns!(), ", record_key, record_value, record_headers FROM dead_letter d WHERE id = $1");
const PAGE: &str = page!("");
pub(super) const PAGE_OF_DEAD: &str = page!("AND state = 'dead' ");
/// The limit of a page.
const PAGE_ROWS: usize = 5_000;
/// Letters before their keys, as whoever takes delivered letters out.
const DELETE: &str = concat!(
    "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE endpoint_id = $1 AND id = ANY($2)",
    granted!("$3", "$4"),
    "ORDER BY id FOR UPDATE) AND id = ANY($2) RETURNING key"
);
