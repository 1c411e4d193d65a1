//! Errors of Postgres, and what to do about them. Never carries a connection string or a row's data.

use std::{error::Error as _, time::Duration};

use tokio_postgres::error::SqlState;

/// The reason why a conversation with Postgres failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The settings of the connection make no sense; nothing was tried.
    #[error("postgres settings: {0}")]
    Settings(String),
    /// Postgres is away, overloaded, read-only or full. Try again later: nothing about the request is wrong.
    #[error("postgres is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether the statement took effect is not known.
    #[error("postgres did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The caller's holder has as many statements under way and waiting as it may.
    #[error("too many statements for one holder at once")]
    BeyondShare,
    /// Postgres refused the statement: this data or this schema, so trying again does not help.
    #[error("postgres refused the statement ({code}): {message}")]
    Refused { code: String, message: String, constraint: Option<String> },
    /// A value has no form that Postgres takes (larger than its protocol can carry).
    #[error("a value cannot be sent to postgres: {0}")]
    Unsendable(String),
    /// A row or a secret cannot be understood by this version.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
    /// Our own fault: what was asked of the store contradicts itself.
    #[error("this should not have been asked of the store: {0}")]
    Internal(String),
}

impl StoreError {
    /// The kind in one word, for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            StoreError::Settings(_) => "settings",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::TimedOut(_) => "timed_out",
            StoreError::BeyondShare => "beyond_share",
            StoreError::Refused { .. } => "refused",
            StoreError::Unsendable(_) => "unsendable",
            StoreError::Unreadable(_) => "unreadable",
            StoreError::Internal(_) => "internal",
        }
    }

    /// True when trying the same again later can succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_) | StoreError::TimedOut(_))
    }

    /// True when the data of a row is to blame: without that row the statement would have succeeded.
    /// Classes 22 (data exception), 23 (integrity) and 54 (too large for Postgres).
    #[must_use]
    pub fn blames_data(&self) -> bool {
        match self {
            StoreError::Refused { code, .. } => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
            StoreError::Unsendable(_) => true,
            _ => false,
        }
    }

    /// A table, column or function is not there: this version's schema is still to be made.
    #[must_use]
    pub fn lacks_schema(&self) -> bool {
        let missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_FUNCTION];
        matches!(self, StoreError::Refused { code, .. } if missing.iter().any(|state| state.code() == code))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return of_client(&error);
        };
        if passes(refusal.code()) {
            return StoreError::Unavailable(format!("{} ({})", refusal.message(), refusal.code().code()));
        }
        StoreError::Refused {
            code: refusal.code().code().to_owned(),
            message: refusal.message().to_owned(),
            constraint: refusal.constraint().map(ToOwned::to_owned),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(cause) => cause.into(),
            deadpool_postgres::PoolError::Timeout(stage) => {
                StoreError::Unavailable(format!("no connection in time ({stage:?})"))
            }
            other => StoreError::Unavailable(other.to_string()),
        }
    }
}

/// Conditions of the server, not of the statement: they pass, or an operator ends them.
fn passes(code: &SqlState) -> bool {
    const CLASSES: [&str; 7] = [
        "08", // connection
        "25", // a read-only server, or a connection inside a transaction that failed: another connection is in neither
        "28", // authorisation: a rotated password
        "3D", // the database is not there yet
        "40", // deadlock, serialisation
        "53", // no disk, no memory, no connection slots
        "57", // shutting down, cancelled by a timeout
    ];
    let code = code.code();
    CLASSES.iter().any(|class| code.starts_with(class))
        || code == SqlState::LOCK_NOT_AVAILABLE.code()
        || code == SqlState::IO_ERROR.code()
}

/// The client tells its kinds of errors apart only by their texts. Those about values are not the server's absence:
/// tried again, they would fail for ever.
fn of_client(error: &tokio_postgres::Error) -> StoreError {
    let text = with_source(error);
    if text.starts_with("error serializing") {
        return StoreError::Unsendable(text);
    }
    let about_values = ["error deserializing", "invalid column", "query returned an unexpected", "expected "];
    if about_values.iter().any(|start| text.starts_with(start)) {
        return StoreError::Unreadable(text);
    }
    StoreError::Unavailable(text)
}

/// The client's own errors say little without their source ("error connecting to server").
fn with_source(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
