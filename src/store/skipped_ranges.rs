//! ● Events that suspended endpoints did not get, by their positions in Kafka, and their way back: a replay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use super::{
    Pool, StoreError,
    replays::{self, NewReplay, NewShare},
};
use crate::{
    clock,
    model::{
        gap::GapState,
        id::{self, ResourceKind},
    },
};

/// Offsets of a partition that an endpoint did not get, from `from` to before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub endpoint_id: String,
    pub topic: String,
    pub partition: i32,
    pub from: i64,
    pub end: i64,
    /// Number of events in the range that were for it.
    pub events: i64,
}

/// An endpoint's gap, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownGap {
    pub gap: Gap,
    pub since: Timestamp,
}

/// Widens the gaps so that these fit, no key twice. When this returns, that is committed.
///
/// # Errors
/// When Postgres is away.
pub async fn widen(pool: &Pool, gaps: &[Gap]) -> Result<(), StoreError> {
    macro_rules! column {
        ($field:ident) => {
            gaps.iter().map(|gap| &gap.$field).collect::<Vec<_>>()
        };
    }
    pool.with(async |client| {
        let statement = client.prepare_cached(WIDEN).await?;
        client
            .execute(
                &statement,
                &[
                    &column!(endpoint_id),
                    &column!(topic),
                    &column!(partition),
                    &column!(from),
                    &column!(end),
                    &column!(events),
                ],
            )
            .await?;
        Ok(())
    })
    .await
}

/// The gaps of one endpoint.
///
/// # Errors
/// When Postgres is away.
pub async fn of_endpoint(pool: &Pool, endpoint_id: &str) -> Result<Vec<ShownGap>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(OF_ENDPOINT).await?;
        let rows = client.query(&statement, &[&endpoint_id]).await?;
        rows.iter().map(|row| Ok(ShownGap { gap: gap(row)?, since: row.try_get("since")? })).collect()
    })
    .await
}

/// The key of a gap: an endpoint's, of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapKey {
    pub endpoint_id: String,
    pub topic: String,
    pub partition: i32,
}

/// State of a gap: its own row, replays of it that are not done yet, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGap {
    pub key: GapKey,
    /// The first offset of all of it.
    pub from: i64,
    pub stored: GapState,
}

/// Gaps of these partitions.
///
/// # Errors
/// When Postgres is away.
pub async fn of_partitions(pool: &Pool, topics: &[&str], partitions: &[i32]) -> Result<Vec<OpenGap>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(OF_PARTITIONS).await?;
        let open = |row: &Row| {
            let key = GapKey {
                endpoint_id: row.try_get("endpoint_id")?,
                topic: row.try_get("topic")?,
                partition: row.try_get("partition")?,
            };
            let (gap_events, has_open_replay) = (row.try_get("gap_events")?, row.try_get("has_open_replay")?);
            Ok(OpenGap { key, from: row.try_get("from_offset")?, stored: GapState { gap_events, has_open_replay } })
        };
        client.query(&statement, &[&topics, &partitions]).await?.iter().map(open).collect()
    })
    .await
}

/// Turns the gaps of endpoints that are suspended no more into replays, one for each endpoint and topic. Those of ordered
/// endpoints are left to the owners of their partitions ([`close_these`]).
///
/// # Errors
/// When Postgres is away: then nothing has changed.
pub async fn close(pool: &Pool) -> Result<(), StoreError> {
    take(pool, TAKE, &[]).await
}

/// The same for these gaps of partitions that this instance owns, where nothing widens them but itself.
///
/// # Errors
/// When Postgres is away: then nothing has changed.
pub async fn close_these(pool: &Pool, keys: &[GapKey]) -> Result<(), StoreError> {
    let endpoints: Vec<&str> = keys.iter().map(|key| &*key.endpoint_id).collect();
    let topics: Vec<&str> = keys.iter().map(|key| &*key.topic).collect();
    let partitions: Vec<i32> = keys.iter().map(|key| key.partition).collect();
    take(pool, TAKE_THESE, &[&endpoints, &topics, &partitions]).await
}

async fn take(pool: &Pool, statement: &str, which: &[&(dyn ToSql + Sync)]) -> Result<(), StoreError> {
    let replays = pool.with(async |client| {
        let transaction = client.transaction().await?;
        let rows = transaction.query(statement, which).await?;
        let gaps: Vec<Gap> = rows.iter().map(gap).collect::<Result<_, _>>()?;
        let replays = as_replays(gaps, || id::new(ResourceKind::Replay, clock::wall_ms(), rand::random()));
        for replay in &replays {
            replays::insert(&transaction, replay).await?;
        }
        transaction.commit().await?;
        Ok(replays)
    });
    for NewReplay { id, endpoint_id, topic, .. } in replays.await? {
        tracing::info!(
            endpoint.id = endpoint_id,
            replay.id = id,
            topic,
            "what endpoint {endpoint_id} missed while it was suspended is replayed"
        );
    }
    Ok(())
}

fn as_replays(gaps: Vec<Gap>, new_id: impl Fn() -> String) -> Vec<NewReplay> {
    let mut shares: BTreeMap<(String, String), Vec<NewShare>> = BTreeMap::new();
    for gap in gaps {
        let share = NewShare { partition: gap.partition, from: gap.from, end: gap.end, at_log_start: false };
        shares.entry((gap.endpoint_id, gap.topic)).or_default().push(share);
    }
    let replay = |((endpoint_id, topic), shares)| NewReplay {
        id: new_id(),
        endpoint_id,
        topic,
        times: None,
        of_gap: true,
        shares,
    };
    shares.into_iter().map(replay).collect()
}

fn gap(row: &Row) -> Result<Gap, StoreError> {
    Ok(Gap {
        endpoint_id: row.try_get("endpoint_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        from: row.try_get("from_offset")?,
        end: row.try_get("end_offset")?,
        events: row.try_get("events")?,
    })
}

const WIDEN: &str = "
    INSERT INTO backlog_gap AS b (endpoint_id, topic, partition, from_offset, end_offset, events)
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS g (endpoint_id, topic, partition) ORDER BY endpoint_id, topic, partition
    ON CONFLICT (endpoint_id, topic, partition) DO UPDATE SET
        from_offset = least(b.from_offset, excluded.from_offset), end_offset = greatest(b.end_offset, excluded.end_offset),
        events = b.events + excluded.events, updated_at = now()";

const OF_ENDPOINT: &str = "
    SELECT endpoint_id, topic, partition, from_offset, end_offset, events, since FROM backlog_gap
    WHERE endpoint_id = $1 ORDER BY topic, partition";

/// An instance that has not heard yet that the suspension is lifted may still widen one: those at rest are taken, and what
/// comes later becomes a replay of its own.
const TAKE: &str = "
    DELETE FROM backlog_gap g USING endpoint e
    WHERE e.id = g.endpoint_id AND e.deleted_at IS NULL AND e.suspended_at IS NULL AND e.state <> 'disabled'
        AND g.updated_at < now() - interval '2 seconds' AND e.settings->>'ordering' IS NULL
    RETURNING g.endpoint_id, g.topic, g.partition, g.from_offset, g.end_offset, g.events";

const TAKE_THESE: &str = "
    DELETE FROM backlog_gap g USING endpoint e, unnest($1::text[], $2::text[], $3::int[]) AS k (endpoint_id, topic, partition)
    WHERE g.endpoint_id = k.endpoint_id AND g.topic = k.topic AND g.partition = k.partition
        AND e.id = g.endpoint_id AND e.deleted_at IS NULL AND e.suspended_at IS NULL AND e.state <> 'disabled'
    RETURNING g.endpoint_id, g.topic, g.partition, g.from_offset, g.end_offset, g.events";

const OF_PARTITIONS: &str = "
    WITH p AS (
        SELECT * FROM unnest($1::text[], $2::int[]) AS p (topic, partition)
    ), open AS (
        SELECT g.endpoint_id, topic, partition, g.from_offset, g.events, false AS is_replay
        FROM backlog_gap g JOIN p USING (topic, partition)
        UNION ALL
        SELECT r.endpoint_id, p.topic, p.partition, s.from_offset, NULL, true
        FROM p JOIN replay_partition s ON s.topic = p.topic AND s.partition = p.partition AND s.open
        JOIN replay r ON r.id = s.replay_id AND r.of_gap
    )
    SELECT endpoint_id, topic, partition, min(from_offset) AS from_offset, max(events) AS gap_events,
        bool_or(is_replay) AS has_open_replay
    FROM open GROUP BY 1, 2, 3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gaps_of_an_endpoints_topic_become_one_replay() {
        let gap = |endpoint: &str, topic: &str, partition| Gap {
            endpoint_id: endpoint.to_owned(),
            topic: topic.to_owned(),
            partition,
            from: 10,
            end: 20,
            events: 3,
        };
        let gaps = vec![gap("ep_1", "a", 0), gap("ep_2", "a", 0), gap("ep_1", "a", 1), gap("ep_1", "b", 0)];
        let replays = as_replays(gaps, || "rp".to_owned());
        let shown: Vec<_> = replays.iter().map(|r| (&*r.endpoint_id, &*r.topic, r.shares.len())).collect();
        assert_eq!(shown, [("ep_1", "a", 2), ("ep_1", "b", 1), ("ep_2", "a", 1)]);
        assert_eq!((replays[0].shares[0].from, replays[0].shares[0].end), (10, 20));
    }
}
