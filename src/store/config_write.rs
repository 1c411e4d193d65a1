//! ● One write of settings at a time, each with a version of its own.
//!
//! **Invariant:** a write holds the row of `config_version` from its first look to its COMMIT, so it decides by what is,
//! and versions commit in their order.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};

use super::{Pool, StoreError};

/// Result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenRow<R> {
    pub row: R,
    pub effect: WriteEffect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteEffect {
    Created,
    Updated,
    /// It was so already: nothing is written, no instance hears of it.
    Unchanged,
    Deleted,
}

/// Decision about a row, by its state now. `W` is what may be written.
#[derive(Debug)]
pub enum RowChange<W> {
    Create { id: String, uid: Option<String>, with: W },
    Update(W),
    Keep,
    Delete,
}

/// The row that a name (an id, or the caller's own key) leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<R> {
    Missing,
    Found(R),
    /// Several have this key of the caller's, under different owners.
    Ambiguous,
}

impl<R> Lookup<R> {
    #[must_use]
    pub fn found(self) -> Option<R> {
        match self {
            Lookup::Found(row) => Some(row),
            Lookup::Missing | Lookup::Ambiguous => None,
        }
    }

    /// From the at most two rows of a look-up.
    pub(super) fn from_rows(mut rows: Vec<R>) -> Lookup<R> {
        match rows.len() {
            0 => Lookup::Missing,
            1 => rows.pop().map_or(Lookup::Missing, Lookup::Found),
            _ => Lookup::Ambiguous,
        }
    }
}

/// Runs `work` with a new version; commits unless it refused or changed nothing.
pub(super) async fn write<R, E>(
    pool: &Pool,
    work: impl AsyncFnOnce(&Transaction<'_>, i64) -> Result<Result<WrittenRow<R>, E>, StoreError>,
) -> Result<Result<WrittenRow<R>, E>, StoreError> {
    pool.with(async |client| in_turn(client, work).await).await
}

/// As [`write`], for work of many statements: it may take as long as `deadline`, and other writes wait meanwhile.
pub(super) async fn write_many<R, E>(
    pool: &Pool,
    deadline: Duration,
    work: impl AsyncFnOnce(&Transaction<'_>, i64) -> Result<Result<WrittenRow<R>, E>, StoreError>,
) -> Result<Result<WrittenRow<R>, E>, StoreError> {
    pool.with_deadline(deadline, async |client| in_turn(client, work).await).await
}

async fn in_turn<R, E>(
    client: &mut Client,
    work: impl AsyncFnOnce(&Transaction<'_>, i64) -> Result<Result<WrittenRow<R>, E>, StoreError>,
) -> Result<Result<WrittenRow<R>, E>, StoreError> {
    let transaction = client.transaction().await?;
    let next = transaction.prepare_cached(NEXT_VERSION).await?;
    let version = transaction.query_one(&next, &[]).await?.try_get(0)?;
    let done = work(&transaction, version).await?;
    match &done {
        Ok(written) if written.effect != WriteEffect::Unchanged => transaction.commit().await?,
        _ => transaction.rollback().await?,
    }
    Ok(done)
}

const NEXT_VERSION: &str = "UPDATE config_version SET version = version + 1 RETURNING version";
