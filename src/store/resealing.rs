//! ● Secrets that an older key of `secrets.key` sealed, sealed again with the first one, so that the older one can go.
//!
//! They stay the same secrets: no instance has to hear of it, and an endpoint's version and time of change stay.

use std::convert::Infallible;

use deadpool_postgres::Transaction;

use super::{
    Pool, StoreError,
    config_write::{self, WriteEffect, WrittenRow},
    secret_box::{NONCE_BYTES, SecretBox},
};

/// Secrets that were not sealed with the first key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    pub endpoints: usize,
    /// Endpoints whose secrets are still not: no key opens them.
    pub left: i64,
}

/// Seals all of them again, some at a time. Instances that do it at once take turns, and other writes of settings are let
/// in between.
///
/// # Errors
/// When Postgres is away; some may be sealed again then.
pub async fn reseal(
    pool: &Pool,
    secrets: &SecretBox,
    nonce: impl Fn() -> [u8; NONCE_BYTES],
) -> Result<Resealed, StoreError> {
    let (mut after, mut endpoints) = (String::new(), 0);
    loop {
        let written = config_write::write(pool, async |transaction, _| {
            let row = page(transaction, secrets, &after, &nonce).await?;
            let effect = if row.endpoints > 0 { WriteEffect::Updated } else { WriteEffect::Unchanged };
            Ok(Ok::<_, Infallible>(WrittenRow { row, effect }))
        });
        let Ok(written) = written.await?;
        endpoints += written.row.endpoints;
        match written.row.last {
            Some(last) => after = last,
            None => return Ok(Resealed { endpoints, left: count(pool, secrets).await? }),
        }
    }
}

/// Endpoints whose secrets are not sealed with the first key.
///
/// # Errors
/// When Postgres is away.
pub async fn count(pool: &Pool, secrets: &SecretBox) -> Result<i64, StoreError> {
    let head = secrets.head();
    pool.with(async |client| Ok(client.query_one(COUNT, &[&head.as_slice()]).await?.try_get(0)?)).await
}

struct Page {
    endpoints: usize,
    /// Id of the last endpoint that was tried; `None` at the end.
    last: Option<String>,
}

async fn page(
    transaction: &Transaction<'_>,
    secrets: &SecretBox,
    after: &str,
    nonce: impl Fn() -> [u8; NONCE_BYTES],
) -> Result<Page, StoreError> {
    let rows = transaction.query(OLD, &[&after, &secrets.head().as_slice()]).await?;
    let (mut ids, mut sealed, mut last) = (Vec::new(), Vec::new(), None);
    for row in &rows {
        let (id, old): (String, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        // What does not open is left as it is: whoever loads the endpoint says so.
        if let Ok(opened) = secrets.open(&id, old) {
            sealed.push(secrets.seal(&id, &opened, nonce()));
            ids.push(id.clone());
        }
        last = Some(id);
    }
    transaction.execute(RESEAL, &[&ids, &sealed]).await?;
    Ok(Page { endpoints: ids.len(), last })
}

const COUNT: &str = "SELECT count(*) FROM endpoint WHERE deleted_at IS NULL AND substring(secrets FROM 1 FOR 2) <> $1";
const OLD: &str = "
    SELECT id, secrets FROM endpoint
    WHERE id > $1 AND deleted_at IS NULL AND substring(secrets FROM 1 FOR 2) <> $2 ORDER BY id LIMIT 100";
const RESEAL: &str = "
    UPDATE endpoint e SET secrets = g.secrets FROM unnest($1::text[], $2::bytea[]) AS g (id, secrets) WHERE e.id = g.id";
