//! ● Records of letters: read where somebody wants the data itself.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::rows::data;
use crate::store::{Pool, StoreError};

/// The record's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterData {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<u8>,
}

/// The data of letters as Postgres sent it: megabytes, which are copied where nobody waits for the thread.
#[derive(Debug)]
pub struct LetterDataRows(Vec<Row>);

impl LetterDataRows {
    /// The data by id.
    ///
    /// # Errors
    /// When a column is not what it should be.
    pub fn by_id(self) -> Result<HashMap<String, LetterData>, StoreError> {
        self.0.into_iter().map(|row| Ok((row.try_get("id")?, data(&row)?))).collect()
    }
}

/// The data of these letters. Those that are gone are missing.
///
/// # Errors
/// When Postgres is away.
pub async fn read_data(pool: &Pool, ids: &[&str]) -> Result<LetterDataRows, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(READ_DATA).await?;
        Ok(LetterDataRows(client.query(&statement, &[&ids]).await?))
    })
    .await
}

const READ_DATA: &str = "SELECT id, record_key, record_value, record_headers FROM dead_letter WHERE id = ANY($1)";
