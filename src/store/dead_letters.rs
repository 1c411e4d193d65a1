//! ● Dead letters in Postgres: stored, taken out again, tried again.
//!
//! **Invariant:** a second insert of the same key (topic, partition, offset, record time, endpoint) changes nothing,
//! except that it ends a redrive: the event was given up again. A second try of the same insert (the same id) does not even that.

use std::collections::HashSet;

use deadpool_postgres::Client;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    Pool, StoreError,
    letter_texts::{self, LetterTexts},
};

/// A letter to be stored, borrowed from wherever it waits.
#[derive(Debug, Clone)]
pub struct NewLetter<'a> {
    /// `dl_…`
    pub id: String,
    pub key: [u8; KEY_BYTES],
    pub endpoint_id: &'a str,
    pub customer_id: &'a str,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub record_ms: i64,
    pub occurred_ms: i64,
    pub event_id: Option<String>,
    pub tenant: Option<String>,
    pub department: Option<String>,
    pub kind: Option<String>,
    /// Texts of these four that hold a NUL, see [`letter_texts`](super::letter_texts).
    pub texts_with_nul: Option<Vec<u8>>,
    pub record_key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub record_value: Option<&'a [u8]>,
    pub record_headers: &'a [u8],
    pub reason: &'static str,
    pub attempts: i32,
    pub last_status: Option<i16>,
    pub last_class: Option<&'static str>,
    pub excerpt: Option<String>,
    pub received_at: Timestamp,
    pub created_at: Timestamp,
}

/// Bytes of a letter's key.
pub const KEY_BYTES: usize = 16;

/// Stores letters in one statement. When this returns, they are committed.
///
/// # Errors
/// When Postgres is away; or [`StoreError::blames_data`] when one of them cannot be stored: then none is.
pub async fn insert(pool: &Pool, letters: &[NewLetter<'_>]) -> Result<(), StoreError> {
    pool.with(async |client| {
        let fresh = insert_fresh(client, letters).await?;
        let again: Vec<&NewLetter<'_>> = letters.iter().filter(|letter| !fresh.contains(letter.id.as_str())).collect();
        if !again.is_empty() {
            give_up_again(client, &again, letters).await?;
        }
        Ok(())
    })
    .await
}

/// Takes letters out: their events were delivered after all, which is counted for the redrive that they were part of.
///
/// # Errors
/// When Postgres is away.
pub async fn remove(pool: &Pool, keys: &[[u8; KEY_BYTES]]) -> Result<(), StoreError> {
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; KEY_BYTES]>::as_slice).collect();
    pool.with(async |client| {
        let transaction = client.transaction().await?;
        let found = transaction.prepare_cached("SELECT id FROM dead_letter_key WHERE key = ANY($1)").await?;
        let found = transaction.query(&found, &[&keys]).await?;
        let ids: Vec<&str> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if !ids.is_empty() {
            let statement = transaction.prepare_cached(REMOVE).await?;
            transaction.execute(&statement, &[&ids]).await?;
            let statement = transaction.prepare_cached(REMOVE_KEYS).await?;
            transaction.execute(&statement, &[&keys, &ids]).await?;
        }
        Ok(transaction.commit().await?)
    })
    .await
}

/// Ends redrives without an attempt: the letters stay as they were.
///
/// # Errors
/// When Postgres is away.
pub async fn end_redrive(pool: &Pool, ids: &[String]) -> Result<(), StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(END_REDRIVE).await?;
        Ok(client.execute(&statement, &[&ids]).await.map(drop)?)
    })
    .await
}

/// The producer's texts in a letter's row.
pub(super) fn texts(row: &Row) -> Result<LetterTexts, StoreError> {
    let columns = [row.try_get("event_id")?, row.try_get("tenant")?, row.try_get("department")?, row.try_get("type")?];
    Ok(letter_texts::texts(columns, row.try_get("texts_with_nul")?))
}

/// Returns the ids that were stored; the others' keys were there before.
async fn insert_fresh(client: &Client, letters: &[NewLetter<'_>]) -> Result<HashSet<String>, StoreError> {
    macro_rules! column {
        ($field:ident) => {
            letters.iter().map(|letter| &letter.$field).collect::<Vec<_>>()
        };
    }
    let keys: Vec<&[u8]> = letters.iter().map(|letter| letter.key.as_slice()).collect();
    let statement = client.prepare_cached(INSERT).await?;
    let rows = client
        .query(
            &statement,
            &[
                &column!(id),
                &keys,
                &column!(endpoint_id),
                &column!(customer_id),
                &column!(topic),
                &column!(partition),
                &column!(offset),
                &column!(record_ms),
                &column!(occurred_ms),
                &column!(event_id),
                &column!(tenant),
                &column!(department),
                &column!(kind),
                &column!(record_key),
                &column!(record_value),
                &column!(record_headers),
                &column!(reason),
                &column!(attempts),
                &column!(last_status),
                &column!(last_class),
                &column!(excerpt),
                &column!(received_at),
                &column!(created_at),
                &column!(texts_with_nul),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Letters whose keys are stored already. One on a redrive is dead again, with its attempts added up; the others were
/// read twice and stay as they are. So does what an earlier try stored of `all` letters of the statement: a redrive of it was
/// asked for since.
async fn give_up_again(client: &Client, letters: &[&NewLetter<'_>], all: &[NewLetter<'_>]) -> Result<(), StoreError> {
    let own: HashSet<&str> = all.iter().map(|letter| letter.id.as_str()).collect();
    let keys: Vec<&[u8]> = letters.iter().map(|letter| letter.key.as_slice()).collect();
    let find = client.prepare_cached("SELECT key, id FROM dead_letter_key WHERE key = ANY($1)").await?;
    let found = client.query(&find, &[&keys]).await?;
    let mut ids: Vec<&str> = Vec::with_capacity(found.len());
    let mut again: Vec<&NewLetter<'_>> = Vec::with_capacity(found.len());
    for row in &found {
        let (key, id): (&[u8], &str) = (row.try_get(0)?, row.try_get(1)?);
        let letter = letters.iter().find(|letter| letter.key == key).filter(|_| !own.contains(id));
        if let Some(letter) = letter {
            ids.push(id);
            again.push(letter);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let statement = client.prepare_cached(GIVE_UP_AGAIN).await?;
    let attempts: Vec<i32> = again.iter().map(|letter| letter.attempts).collect();
    let reasons: Vec<&str> = again.iter().map(|letter| letter.reason).collect();
    let statuses: Vec<Option<i16>> = again.iter().map(|letter| letter.last_status).collect();
    let classes: Vec<Option<&str>> = again.iter().map(|letter| letter.last_class).collect();
    let excerpts: Vec<Option<&str>> = again.iter().map(|letter| letter.excerpt.as_deref()).collect();
    client.execute(&statement, &[&ids, &attempts, &reasons, &statuses, &classes, &excerpts]).await?;
    Ok(())
}

/// Keys in their order, so that two instances that store the same letters cannot deadlock.
const INSERT: &str = r#"
    WITH given AS (
        SELECT * FROM unnest(
            $1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::bytea[],
            $16::bytea[], $17::text[], $18::int[], $19::smallint[], $20::text[], $21::text[], $22::timestamptz[],
            $23::timestamptz[], $24::bytea[]
        ) AS g (id, key, endpoint_id, customer_id, topic, partition, "offset", record_ms, occurred_ms, event_id,
            tenant, department, type, record_key, record_value, record_headers, reason, attempts, last_status,
            last_class, excerpt, received_at, created_at, texts_with_nul)
    ), fresh AS (
        INSERT INTO dead_letter_key (key, id) SELECT key, id FROM given ORDER BY key, id
        ON CONFLICT DO NOTHING RETURNING id
    )
    INSERT INTO dead_letter (id, key, endpoint_id, customer_id, topic, partition, "offset", record_ms, occurred_ms,
        event_id, tenant, department, type, record_key, record_value, record_headers, reason, attempts, last_status,
        last_class, excerpt, received_at, created_at, texts_with_nul)
    SELECT given.* FROM given JOIN fresh USING (id) RETURNING id"#;

const GIVE_UP_AGAIN: &str = "
    UPDATE dead_letter d
    SET state = 'dead', redrive_requested_at = NULL, redrive_end = 'given_up', redrive_attempts = 0,
        redrive_not_before = NULL, attempts = d.attempts + g.attempts, reason = g.reason,
        last_status = g.last_status, last_class = g.last_class, excerpt = g.excerpt,
        -- Whoever follows the letters sees it again.
        written_in = pg_current_xact_id()
    FROM unnest($1::text[], $2::int[], $3::text[], $4::smallint[], $5::text[], $6::text[])
        AS g (id, attempts, reason, last_status, last_class, excerpt)
    WHERE d.id = g.id AND d.id = ANY($1) AND d.state = 'redriving'";

const END_REDRIVE: &str = "
    UPDATE dead_letter
    SET state = 'dead', redrive_requested_at = NULL, redrive_end = 'cancelled', attempts = attempts + redrive_attempts,
        redrive_attempts = 0, redrive_not_before = NULL
    WHERE id = ANY($1) AND state = 'redriving'";

/// In the order of ids and before their keys, as whoever acknowledges letters: so neither waits for the other in a circle.
const REMOVE: &str = "
    WITH gone AS (
        DELETE FROM dead_letter
        WHERE id IN (SELECT id FROM dead_letter WHERE id = ANY($1) ORDER BY id FOR UPDATE) AND id = ANY($1)
        RETURNING endpoint_id, redriven_at
    )
    INSERT INTO dead_letter_delivered AS d (endpoint_id, redriven_at, letters)
    SELECT endpoint_id, redriven_at, count(*) FROM gone WHERE redriven_at IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (endpoint_id, redriven_at) DO UPDATE SET letters = d.letters + EXCLUDED.letters";
const REMOVE_KEYS: &str = "DELETE FROM dead_letter_key WHERE key = ANY($1) AND id = ANY($2)";
