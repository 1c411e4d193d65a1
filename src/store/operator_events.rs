//! ● The last message to operators about each subject, by whichever instance.

use super::{Pool, StoreError};

/// True when this is for the caller to tell: nobody told `word` of this subject within `repeat_after_ms`, whatever good news
/// came in between. Good news is told once, and only after the bad one.
///
/// # Errors
/// When Postgres is away.
pub async fn claim(
    pool: &Pool,
    subject: &str,
    word: &str,
    is_relief: bool,
    repeat_after_ms: i64,
) -> Result<bool, StoreError> {
    pool.with(async |client| {
        client.execute(FORGET, &[]).await?;
        let claimed = if is_relief {
            client.execute(CLAIM_RELIEF, &[&subject, &word]).await?
        } else {
            client.execute(CLAIM, &[&subject, &word, &repeat_after_ms]).await?
        };
        Ok(claimed > 0)
    })
    .await
}

/// Endpoints that operators were told are failing, and when (milliseconds since 1970).
///
/// # Errors
/// When Postgres is away.
pub async fn failing(pool: &Pool) -> Result<Vec<(String, i64)>, StoreError> {
    pool.with(async |client| {
        let rows = client.query(FAILING, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    })
    .await
}

/// Hosts of which operators were told that several endpoints fail, and when (milliseconds since 1970).
///
/// # Errors
/// When Postgres is away.
pub async fn failing_hosts(pool: &Pool) -> Result<Vec<(String, i64)>, StoreError> {
    pool.with(async |client| {
        let rows = client.query(FAILING_HOSTS, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    })
    .await
}

const FAILING_HOSTS: &str = "
    SELECT substr(subject, 6), (extract(epoch FROM told_at) * 1000)::bigint FROM operator_event
    WHERE word = 'endpoints.failing' AND subject LIKE 'host/%'";

const FAILING: &str = "
    SELECT split_part(subject, '/', 2), (extract(epoch FROM told_at) * 1000)::bigint FROM operator_event
    WHERE word = 'endpoint.failing' AND subject LIKE 'endpoint/%/health'";

const CLAIM: &str = "
    INSERT INTO operator_event AS o (subject, word, bad_word, bad_at) VALUES ($1, $2, $2, now())
    ON CONFLICT (subject) DO UPDATE SET word = $2, told_at = now(), bad_word = $2, bad_at = now()
    WHERE (o.word <> $2 AND o.bad_word IS DISTINCT FROM $2)
        OR coalesce(o.bad_at, o.told_at) <= now() - make_interval(secs => $3::bigint / 1000.0)";

const CLAIM_RELIEF: &str = "UPDATE operator_event SET word = $2, told_at = now() WHERE subject = $1 AND word <> $2";

const FORGET: &str = "DELETE FROM operator_event WHERE told_at < now() - interval '30 days'";
