//! ● API keys: what each may do, and the hashes of their tokens. A token itself is never stored.

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{Pool, StoreError, customers};
use crate::api::api_key::KeyRole;

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: String,
    pub name: String,
    pub role: KeyRole,
    /// The customer's id, of a customer's key.
    pub customer_id: Option<String>,
    /// The first characters of its token.
    pub token_start: String,
    /// Until then the token before the last rotation holds as well.
    pub previous_expires_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// To about ten minutes.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The id of the key that made it.
    pub created_by: String,
}

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub role: KeyRole,
    /// The customer (its id, or the caller's own key for it), of a customer's key.
    pub customer_id: Option<&'a str>,
    pub token_sha256: [u8; 32],
    pub token_start: &'a str,
    pub expires_at: Option<Timestamp>,
    pub created_by: &'a str,
}

/// Holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    pub key_id: String,
    pub role: KeyRole,
    /// The customer's id, of a customer's key.
    pub customer_id: Option<String>,
    /// The customer's own key, where it has one.
    pub customer_uid: Option<String>,
    /// From then on the token holds no longer.
    pub ends_at: Option<Timestamp>,
}

/// Changes of a key; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    pub name: Option<String>,
    /// `Some(None)`: it does not expire any more.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Stores a key; `None` when its customer does not exist.
///
/// # Errors
/// When Postgres is away.
pub async fn create(pool: &Pool, key: &NewApiKey<'_>) -> Result<Option<ApiKey>, StoreError> {
    pool.with(async |client| {
        let customer_id = match key.customer_id {
            Some(name) => match customers::find(client, name).await? {
                Some(customer) => Some(customer.id),
                None => return Ok(None),
            },
            None => None,
        };
        let role = key.role.as_str();
        let hash = &key.token_sha256[..];
        let row = client
            .query_one(
                CREATE,
                &[&key.id, &key.name, &role, &customer_id, &hash, &key.token_start, &key.expires_at, &key.created_by],
            )
            .await?;
        parse(&row).map(Some)
    })
    .await
}

/// The hashes of at most `limit` tokens that may hold.
///
/// # Errors
/// When Postgres is away.
pub async fn hashes(pool: &Pool, limit: i64) -> Result<Vec<[u8; 32]>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(HASHES).await?;
        let rows = client.query(&statement, &[&limit]).await?;
        let hash = |row: &Row| Ok(<[u8; 32]>::try_from(row.try_get::<_, &[u8]>(0)?).ok());
        rows.iter().filter_map(|row| hash(row).transpose()).collect()
    })
    .await
}

/// At most `limit` keys after the id `after`, of one customer (id) or of all.
///
/// # Errors
/// When Postgres is away.
pub async fn list(pool: &Pool, customer_id: Option<&str>, after: &str, limit: i64) -> Result<Vec<ApiKey>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(LIST).await?;
        client.query(&statement, &[&after, &limit, &customer_id]).await?.iter().map(parse).collect()
    })
    .await
}

/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, id: &str) -> Result<Option<ApiKey>, StoreError> {
    one(pool, READ, &[&id]).await
}

/// Changes a key; `None` when there is no such key.
///
/// # Errors
/// When Postgres is away.
pub async fn change(pool: &Pool, id: &str, change: &KeyChange) -> Result<Option<ApiKey>, StoreError> {
    let (sets_expiry, expires_at) = (change.expires_at.is_some(), change.expires_at.flatten());
    one(pool, CHANGE, &[&id, &change.name, &sets_expiry, &expires_at]).await
}

/// Gives a key another token; the one before holds until `previous_expires_at`, or not at all.
///
/// # Errors
/// When Postgres is away.
pub async fn rotate(
    pool: &Pool,
    id: &str,
    token_sha256: [u8; 32],
    token_start: &str,
    previous_expires_at: Option<Timestamp>,
) -> Result<Option<ApiKey>, StoreError> {
    let hash = &token_sha256[..];
    one(pool, ROTATE, &[&id, &hash, &token_start, &previous_expires_at]).await
}

/// Ends a key; false when there is no such key.
///
/// # Errors
/// When Postgres is away.
pub async fn revoke(pool: &Pool, id: &str) -> Result<bool, StoreError> {
    let gone = pool.with(async |client| Ok(client.execute("DELETE FROM api_key WHERE id = $1", &[&id]).await?));
    Ok(gone.await? > 0)
}

/// Finds the holder of the token of this hash, and notes now and then that it is used. Keys of deleted customers hold
/// nothing.
///
/// # Errors
/// When Postgres is away.
pub async fn holder(pool: &Pool, token_sha256: [u8; 32]) -> Result<Option<TokenHolder>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(HOLDER).await?;
        let Some(row) = client.query_opt(&statement, &[&&token_sha256[..]]).await? else { return Ok(None) };
        let (role, customer_id) = role(&row)?;
        let holder = TokenHolder {
            key_id: row.try_get("id")?,
            role,
            customer_id,
            customer_uid: row.try_get("uid")?,
            ends_at: row.try_get("ends_at")?,
        };
        if row.try_get("use_is_news")? {
            client.execute(USED, &[&holder.key_id]).await?;
        }
        Ok(Some(holder))
    })
    .await
}

async fn one(
    pool: &Pool,
    statement: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Option<ApiKey>, StoreError> {
    pool.with(async |client| client.query_opt(statement, parameters).await?.as_ref().map(parse).transpose()).await
}

fn parse(row: &Row) -> Result<ApiKey, StoreError> {
    let (role, customer_id) = role(row)?;
    Ok(ApiKey {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role,
        customer_id,
        token_start: row.try_get("token_start")?,
        previous_expires_at: row.try_get("previous_expires_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        created_by: row.try_get("created_by")?,
    })
}

/// The role, and the id of the customer of a customer's key. A role that this version does not know may do nothing.
fn role(row: &Row) -> Result<(KeyRole, Option<String>), StoreError> {
    let (role, customer_id): (String, Option<String>) = (row.try_get("role")?, row.try_get("customer_id")?);
    match KeyRole::of(&role) {
        Some(known) if (known == KeyRole::Customer) == customer_id.is_some() => Ok((known, customer_id)),
        _ => Err(StoreError::Unreadable(format!("an API key has the role `{role}`"))),
    }
}

macro_rules! columns {
    () => {
        "id, name, role, customer_id, token_start, previous_expires_at, expires_at, last_used_at, created_at,
        updated_at, created_by"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO api_key (id, name, role, customer_id, token_sha256, token_start, expires_at, created_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
    columns!()
);
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM api_key WHERE id > $1 AND ($3::text IS NULL OR customer_id = $3) ORDER BY id LIMIT $2"
);
const READ: &str = concat!("SELECT ", columns!(), " FROM api_key WHERE id = $1");
const CHANGE: &str = concat!(
    "UPDATE api_key SET name = coalesce($2, name), expires_at = CASE WHEN $3 THEN $4 ELSE expires_at END,
        updated_at = now()
    WHERE id = $1 RETURNING ",
    columns!()
);
const ROTATE: &str = concat!(
    "UPDATE api_key SET previous_sha256 = CASE WHEN $4::timestamptz IS NULL THEN NULL ELSE token_sha256 END,
        previous_expires_at = $4, token_sha256 = $2, token_start = $3, updated_at = now()
    WHERE id = $1 RETURNING ",
    columns!()
);
// The least of two times is the other one where one is NULL.
const HOLDER: &str = "
    SELECT k.id, k.role, k.customer_id, c.uid,
        least(k.expires_at, CASE WHEN k.token_sha256 = $1 THEN NULL ELSE k.previous_expires_at END) AS ends_at,
        (k.last_used_at IS NULL OR k.last_used_at < now() - interval '10 minutes') AS use_is_news
    FROM api_key k LEFT JOIN customer c ON c.id = k.customer_id
    WHERE (k.token_sha256 = $1 OR k.previous_sha256 = $1) AND (k.customer_id IS NULL OR c.deleted_at IS NULL)";
const HASHES: &str = "
    SELECT token_sha256 FROM api_key WHERE expires_at IS NULL OR expires_at > now()
    UNION ALL SELECT previous_sha256 FROM api_key WHERE previous_expires_at > now() LIMIT $1";
const USED: &str = "UPDATE api_key SET last_used_at = now() WHERE id = $1";
