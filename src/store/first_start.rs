//! ● The beginning of the group: resolved once, by whichever instance is first, and the same for all.

use std::collections::HashMap;

use super::{Pool, StoreError};

/// The offset at which each partition was begun, by topic and partition. A partition that is not in it was born later
/// and begins at its beginning.
pub type PartitionOffsets = HashMap<(String, i32), i64>;

/// Record of a group's very first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStartRow {
    pub positions: PartitionOffsets,
    /// Its time, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The first start of `group`, as it was resolved; `None` when it never started.
///
/// # Errors
/// When Postgres is away.
pub async fn first_start(pool: &Pool, group: &str) -> Result<Option<FirstStartRow>, StoreError> {
    pool.with(async |client| read(client, group).await).await
}

/// Records what this instance resolved, unless another one was first; returns what is recorded then.
///
/// # Errors
/// When Postgres is away; then nothing or everything was recorded, and [`first_start`] tells.
pub async fn record_first_start(
    pool: &Pool,
    group: &str,
    rows: &PartitionOffsets,
) -> Result<FirstStartRow, StoreError> {
    let (mut topics, mut partitions, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    for ((topic, partition), offset) in rows {
        topics.push(topic.as_str());
        partitions.push(*partition);
        offsets.push(*offset);
    }
    pool.with(async |client| {
        let transaction = client.transaction().await?;
        // Of two at once, the second waits here for the first one's COMMIT.
        if transaction.execute(CLAIM, &[&group]).await? == 1 {
            transaction.execute(RECORD, &[&group, &topics, &partitions, &offsets]).await?;
        }
        transaction.commit().await?;
        read(client, group).await?.ok_or_else(|| StoreError::Unreadable(format!("first start of group `{group}`")))
    })
    .await
}

async fn read(client: &deadpool_postgres::Client, group: &str) -> Result<Option<FirstStartRow>, StoreError> {
    let rows = client.query(READ, &[&group]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let at_ms = first.try_get(3)?;
    let mut positions = PartitionOffsets::with_capacity(rows.len());
    for row in &rows {
        // A group that began without any topic has one row of NULLs.
        if let Some(topic) = row.try_get::<_, Option<String>>(0)? {
            positions.insert((topic, row.try_get(1)?), row.try_get(2)?);
        }
    }
    Ok(Some(FirstStartRow { positions, at_ms }))
}

const CLAIM: &str = "INSERT INTO first_start (group_id) VALUES ($1) ON CONFLICT DO NOTHING";
const RECORD: &str = r#"
    INSERT INTO first_start_offset (group_id, topic, partition, "offset")
    SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])"#;
const READ: &str = r#"
    SELECT o.topic, o.partition, o."offset", (extract(epoch FROM f.resolved_at) * 1000)::bigint
    FROM first_start f LEFT JOIN first_start_offset o USING (group_id) WHERE f.group_id = $1"#;
