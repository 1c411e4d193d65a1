//! ● Replays: what was asked for, and how far each has come.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use super::{
    Pool, StoreError,
    list_row::RowOwner,
    quotas::{self, CustomerAllowance},
};

/// A replay that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReplay {
    pub id: String,
    pub endpoint_id: String,
    pub topic: String,
    /// Milliseconds since 1970, where times were given.
    pub times: Option<(i64, i64)>,
    /// True if it is a replay of what its endpoint missed while it was suspended.
    pub of_gap: bool,
    /// A share of nothing is done, and is not stored.
    pub shares: Vec<NewShare>,
}

/// A partition's part, from `from` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewShare {
    pub partition: i32,
    pub from: i64,
    pub end: i64,
    pub at_log_start: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRow {
    pub id: String,
    pub endpoint_id: String,
    pub topic: String,
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    pub created_at: Timestamp,
    pub cancelled_at: Option<Timestamp>,
    pub cancel_reason: Option<String>,
    /// In the order of partitions.
    pub shares: Vec<ShareRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    pub replay_id: String,
    pub topic: String,
    pub partition: i32,
    pub from: i64,
    pub end: i64,
    pub next: i64,
    pub at_log_start: bool,
    pub started: bool,
    pub open: bool,
    pub delivered: i64,
    pub backlogged: i64,
    pub dead_lettered: i64,
    pub gap_offsets: i64,
}

/// A part that waits for the owner of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenShare {
    pub endpoint_id: String,
    /// Time of the wish, by the clock of Postgres: milliseconds since 1970.
    pub asked_ms: i64,
    /// Milliseconds since 1970, where times were given.
    pub times: Option<(i64, i64)>,
    /// True if it is a replay of what its endpoint missed while it was suspended.
    pub of_gap: bool,
    pub share: ShareRow,
}

/// Progress of a part, to be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareProgress {
    pub replay_id: String,
    pub partition: i32,
    pub next: i64,
    pub delivered: i64,
    pub backlogged: i64,
    pub dead_lettered: i64,
    pub gap_offsets: i64,
}

/// Result of asking for a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayCreation {
    Created,
    /// Its endpoint has as many as it may.
    TooMany,
    /// Its customer (id) would have more to read than it may.
    Beyond {
        customer_id: String,
        allowance: CustomerAllowance,
    },
}

/// Stores a replay, unless its endpoint has `open_max` already, or `fits` says no to what its customer would have.
///
/// # Errors
/// When Postgres is away.
pub async fn create(
    pool: &Pool,
    replay: &NewReplay,
    open_max: i64,
    fits: impl Fn(&CustomerAllowance) -> bool,
) -> Result<ReplayCreation, StoreError> {
    pool.with(async |client| {
        let transaction = client.transaction().await?;
        let of_customer = quotas::of_replays(&transaction, &replay.endpoint_id).await?;
        let open: i64 = transaction.query_one(COUNT_OPEN, &[&replay.endpoint_id]).await?.try_get(0)?;
        if open >= open_max {
            return Ok(ReplayCreation::TooMany);
        }
        if let Some((customer_id, allowance)) = of_customer.filter(|(_, allowance)| !fits(allowance)) {
            return Ok(ReplayCreation::Beyond { customer_id, allowance });
        }
        insert(&transaction, replay).await?;
        transaction.commit().await?;
        Ok(ReplayCreation::Created)
    })
    .await
}

pub(super) async fn insert(transaction: &Transaction<'_>, replay: &NewReplay) -> Result<(), StoreError> {
    macro_rules! column {
        ($field:ident) => {
            replay.shares.iter().map(|share| share.$field).collect::<Vec<_>>()
        };
    }
    let (from_ms, to_ms) = replay.times.unzip();
    let row: [&(dyn ToSql + Sync); 6] =
        [&replay.id, &replay.endpoint_id, &replay.topic, &from_ms, &to_ms, &replay.of_gap];
    transaction.execute(INSERT, &row).await?;
    let shares: [&(dyn ToSql + Sync); 6] =
        [&replay.id, &replay.topic, &column!(partition), &column!(from), &column!(end), &column!(at_log_start)];
    transaction.execute(INSERT_SHARES, &shares).await?;
    Ok(())
}

/// At most `limit` replays after the id `after`, the oldest first.
///
/// # Errors
/// When Postgres is away.
pub async fn list(pool: &Pool, owner: &RowOwner, after: &str, limit: i64) -> Result<Vec<ReplayRow>, StoreError> {
    pool.with(async |client| {
        // Each its own statement, so that each is planned for its own index.
        let rows = match owner {
            RowOwner::Anyone => client.query(&client.prepare_cached(LIST).await?, &[&after, &limit]).await?,
            RowOwner::Customer(id) => {
                let statement = client.prepare_cached(LIST_OF_CUSTOMER).await?;
                client.query(&statement, &[&after, &limit, id]).await?
            }
            RowOwner::Endpoint(id) => {
                let statement = client.prepare_cached(LIST_OF_ENDPOINT).await?;
                client.query(&statement, &[&after, &limit, id]).await?
            }
        };
        with_shares(client, rows.iter().map(replay).collect::<Result<_, _>>()?).await
    })
    .await
}

/// The replay of this id, under one customer (id) or any.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, id: &str, customer_id: Option<&str>) -> Result<Option<ReplayRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(READ).await?;
        let rows = client.query(&statement, &[&id, &customer_id]).await?;
        Ok(with_shares(client, rows.iter().map(replay).collect::<Result<_, _>>()?).await?.pop())
    })
    .await
}

/// Ends a replay that is not at its end yet. What is on its way may still arrive.
///
/// # Errors
/// When Postgres is away.
pub async fn cancel(pool: &Pool, id: &str, reason: &str) -> Result<(), StoreError> {
    pool.with(async |client| Ok(client.execute(CANCEL, &[&id, &reason]).await.map(drop)?)).await
}

/// Limits of what is read of the parts that are still to be done.
#[derive(Debug, Clone, Copy)]
pub struct OpenLimits {
    /// Parts of one endpoint and topic.
    pub endpoint_max: usize,
    /// Parts of all endpoints: as many of each as of any other, as far as it has them.
    pub all_max: usize,
}

/// The parts of these partitions that are still to be done, the oldest of each endpoint, in the order of their age.
///
/// # Errors
/// When Postgres is away.
pub async fn open(
    pool: &Pool,
    topics: &[&str],
    partitions: &[i32],
    limits: OpenLimits,
) -> Result<Vec<OpenShare>, StoreError> {
    let [endpoint_max, all_max] =
        [limits.endpoint_max, limits.all_max].map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    pool.with(async |client| {
        let statement = client.prepare_cached(OPEN).await?;
        let rows = client.query(&statement, &[&topics, &partitions, &endpoint_max, &all_max]).await?;
        let open = |row: &Row| {
            let (endpoint_id, asked_ms) = (row.try_get("endpoint_id")?, row.try_get("asked_ms")?);
            let (from_ms, to_ms): (Option<i64>, Option<i64>) = (row.try_get("from_ms")?, row.try_get("to_ms")?);
            let (times, of_gap) = (from_ms.zip(to_ms), row.try_get("of_gap")?);
            Ok(OpenShare { endpoint_id, asked_ms, times, of_gap, share: share(row)? })
        };
        rows.iter().map(open).collect()
    })
    .await
}

/// Writes down how far parts have come. What another instance wrote of a later offset stays.
///
/// # Errors
/// When Postgres is away.
pub async fn save(pool: &Pool, standings: &[ShareProgress]) -> Result<(), StoreError> {
    macro_rules! column {
        ($field:ident) => {
            standings.iter().map(|standing| &standing.$field).collect::<Vec<_>>()
        };
    }
    pool.with(async |client| {
        let statement = client.prepare_cached(SAVE).await?;
        let columns: [&(dyn ToSql + Sync); 7] = [
            &column!(replay_id),
            &column!(partition),
            &column!(next),
            &column!(delivered),
            &column!(backlogged),
            &column!(dead_lettered),
            &column!(gap_offsets),
        ];
        Ok(client.execute(&statement, &columns).await.map(drop)?)
    })
    .await
}

async fn with_shares(
    client: &deadpool_postgres::Client,
    mut replays: Vec<ReplayRow>,
) -> Result<Vec<ReplayRow>, StoreError> {
    let ids: Vec<&str> = replays.iter().map(|replay| replay.id.as_str()).collect();
    let statement = client.prepare_cached(SHARES).await?;
    for row in client.query(&statement, &[&ids]).await? {
        let share = share(&row)?;
        let of = replays.iter_mut().find(|replay| replay.id == share.replay_id);
        if let Some(replay) = of {
            replay.shares.push(share);
        }
    }
    Ok(replays)
}

fn replay(row: &Row) -> Result<ReplayRow, StoreError> {
    Ok(ReplayRow {
        id: row.try_get("id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        topic: row.try_get("topic")?,
        from_ms: row.try_get("from_ms")?,
        to_ms: row.try_get("to_ms")?,
        created_at: row.try_get("created_at")?,
        cancelled_at: row.try_get("cancelled_at")?,
        cancel_reason: row.try_get("cancel_reason")?,
        shares: Vec::new(),
    })
}

fn share(row: &Row) -> Result<ShareRow, StoreError> {
    Ok(ShareRow {
        replay_id: row.try_get("replay_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        from: row.try_get("from_offset")?,
        end: row.try_get("end_offset")?,
        next: row.try_get("next_offset")?,
        at_log_start: row.try_get("at_log_start")?,
        started: row.try_get("started")?,
        open: row.try_get("open")?,
        delivered: row.try_get("delivered")?,
        backlogged: row.try_get("backlogged")?,
        dead_lettered: row.try_get("dead_lettered")?,
        gap_offsets: row.try_get("gap_offsets")?,
    })
}

const COUNT_OPEN: &str = "
    SELECT count(*) FROM replay r WHERE r.endpoint_id = $1
    AND EXISTS (SELECT FROM replay_partition p WHERE p.replay_id = r.id AND p.open)";

const INSERT: &str = "
    INSERT INTO replay (id, endpoint_id, topic, from_ms, to_ms, of_gap) VALUES ($1, $2, $3, $4, $5, $6)";

const INSERT_SHARES: &str = "
    INSERT INTO replay_partition (replay_id, topic, partition, from_offset, end_offset, next_offset, at_log_start, open)
    SELECT $1, $2, g.partition, g.from_offset, g.end_offset, g.from_offset, g.at_log_start, true
    FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bool[])
        AS g (partition, from_offset, end_offset, at_log_start)
    WHERE g.from_offset < g.end_offset";

const LIST: &str = "SELECT * FROM replay WHERE id > $1 ORDER BY id LIMIT $2";
/// With `endpoint_id = …` PostgreSQL may walk over everybody's by id, expecting to meet these soon.
const LIST_OF_ENDPOINT: &str = "
    SELECT * FROM replay WHERE (endpoint_id, id) > ($3, $1) AND endpoint_id <= $3 ORDER BY endpoint_id, id LIMIT $2";
/// A page of each of its endpoints, of which the first ones are taken: never a walk over everyone's.
pub const LIST_OF_CUSTOMER: &str = "
    SELECT r.* FROM endpoint e CROSS JOIN LATERAL (
        SELECT * FROM replay WHERE (endpoint_id, id) > (e.id, $1) AND endpoint_id <= e.id ORDER BY endpoint_id, id LIMIT $2
    ) r
    WHERE e.customer_id = $3 ORDER BY r.id LIMIT $2";

const READ: &str = "
    SELECT * FROM replay r WHERE id = $1
        AND ($2::text IS NULL OR EXISTS (SELECT FROM endpoint e WHERE e.id = r.endpoint_id AND e.customer_id = $2))";

const SHARES: &str = "SELECT * FROM replay_partition WHERE replay_id = ANY($1) ORDER BY replay_id, partition";

const CANCEL: &str = "
    WITH cancelled AS (
        UPDATE replay SET cancelled_at = now(), cancel_reason = $2
        WHERE id = $1 AND cancelled_at IS NULL
            AND EXISTS (SELECT FROM replay_partition p WHERE p.replay_id = $1 AND p.open)
        RETURNING id
    )
    UPDATE replay_partition p SET open = false FROM cancelled WHERE p.replay_id = cancelled.id AND p.open";

/// However many an endpoint has that takes none, those of others are seen.
const OPEN: &str = "
    WITH owned AS (
        SELECT p.*, r.endpoint_id, r.of_gap, r.from_ms, r.to_ms,
            (extract(epoch FROM r.created_at) * 1000)::bigint AS asked_ms,
            row_number() OVER (PARTITION BY r.endpoint_id, p.topic ORDER BY p.replay_id, p.partition) AS place
        FROM replay_partition p JOIN replay r ON r.id = p.replay_id
        JOIN unnest($1::text[], $2::int[]) AS g (topic, partition) ON p.topic = g.topic AND p.partition = g.partition
        WHERE p.open
    ), seen AS (
        SELECT * FROM owned WHERE place <= $3 ORDER BY place, replay_id LIMIT $4
    )
    SELECT * FROM seen ORDER BY replay_id, partition";

/// In the order of keys, so that two instances that save the same parts wait for each other in one direction.
const SAVE: &str = "
    WITH given AS (
        SELECT p.replay_id, p.partition, g.next, g.delivered, g.backlogged, g.dead_lettered, g.gap_offsets
        FROM replay_partition p
        JOIN unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
            AS g (replay_id, partition, next, delivered, backlogged, dead_lettered, gap_offsets)
            ON p.replay_id = g.replay_id AND p.partition = g.partition
        ORDER BY p.replay_id, p.partition FOR UPDATE OF p
    )
    UPDATE replay_partition p SET next_offset = g.next, delivered = g.delivered, backlogged = g.backlogged,
        dead_lettered = g.dead_lettered, gap_offsets = g.gap_offsets, started = true,
        open = p.open AND g.next < p.end_offset
    FROM given g WHERE p.replay_id = g.replay_id AND p.partition = g.partition AND p.next_offset <= g.next";
