//! ● The rows of a list. One that this version cannot read hides no other.

use tokio_postgres::Row;

use super::StoreError;

/// Owner of the rows of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOwner {
    Anyone,
    /// The customer of this id.
    Customer(String),
    /// The endpoint of this id.
    Endpoint(String),
}

/// A row of a list; `None` when it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<R> {
    pub id: String,
    pub row: Option<R>,
}

/// All rows, each read by itself.
pub(super) fn listed<R>(
    rows: &[Row],
    parse: impl Fn(&Row) -> Result<R, StoreError>,
) -> Result<Vec<Listed<R>>, StoreError> {
    let read = |row: &Row| {
        let id: String = row.try_get("id")?;
        match parse(row) {
            Ok(row) => Ok(Listed { id, row: Some(row) }),
            Err(StoreError::Unreadable(problem)) => {
                tracing::error!(id, problem, "a stored row cannot be read; it is listed as such");
                Ok(Listed { id, row: None })
            }
            Err(error) => Err(error),
        }
    };
    rows.iter().map(read).collect()
}
