//! ● Endpoints found by a part of a name, by state, and in an order other than that of their ids.

use tokio_postgres::types::ToSql;

use super::{
    Pool, StoreError, customers,
    endpoints::{Endpoint, parse},
    list_row::{Listed, listed},
};

/// A search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search<'a> {
    /// Id or own key of a customer.
    pub customer: Option<&'a str>,
    /// A part of an id, a key, a URL or a description; small and capital letters are the same.
    pub part: Option<&'a str>,
    pub state: Option<&'a str>,
    pub order: EndpointOrder,
    pub descending: bool,
    /// Key and id of the last row of the page before.
    pub after: Option<(&'a str, &'a str)>,
    /// Only rows with a key above this one.
    pub above: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointOrder {
    Created,
    Updated,
    Uid,
    Url,
}

impl EndpointOrder {
    /// The key of the order, as text that sorts.
    fn key(self) -> &'static str {
        match self {
            EndpointOrder::Created => "e.id",
            // Every change has a version above those before.
            EndpointOrder::Updated => "lpad(e.version::text, 19, '0')",
            EndpointOrder::Uid => "coalesce(e.uid, '')",
            EndpointOrder::Url => "e.url",
        }
    }
}

/// At most `limit` of them, each with the key that it is ordered by.
///
/// # Errors
/// When Postgres is away.
pub async fn search(
    pool: &Pool,
    search: Search<'_>,
    limit: i64,
) -> Result<Vec<(String, Listed<Endpoint>)>, StoreError> {
    let (key, (beyond, direction)) = (search.order.key(), if search.descending { ("<", "DESC") } else { (">", "ASC") });
    // All parts are our own words; what callers say are parameters.
    let statement = format!(
        "SELECT e.*, ({key}) COLLATE \"C\" AS sort_key FROM endpoint e
         WHERE e.deleted_at IS NULL AND ($1::text IS NULL OR e.customer_id = $1) AND ($2::text IS NULL OR e.state = $2)
            AND ($3::text IS NULL OR e.id ILIKE $3 OR e.uid ILIKE $3 OR e.url ILIKE $3
                OR e.settings->>'description' ILIKE $3)
            AND ($4::text IS NULL OR (({key}) COLLATE \"C\", e.id) {beyond} ($4, $5))
            AND ($7::text IS NULL OR ({key}) COLLATE \"C\" > $7)
         ORDER BY sort_key {direction}, e.id {direction} LIMIT $6"
    );
    let pattern = search.part.map(pattern);
    let (after, after_id) = search.after.unzip();
    pool.with(async |client| {
        let customer_id = match search.customer {
            Some(name) => match customers::find(client, name).await? {
                Some(customer) => Some(customer.id),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let statement = client.prepare_cached(&statement).await?;
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&customer_id, &search.state, &pattern, &after, &after_id, &limit, &search.above];
        let rows = client.query(&statement, &parameters).await?;
        let keys: Vec<String> = rows.iter().map(|row| row.try_get("sort_key")).collect::<Result<_, _>>()?;
        Ok(keys.into_iter().zip(listed(&rows, parse)?).collect())
    })
    .await
}

/// Anywhere in a text, and nothing in it is a wildcard.
fn pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for letter in part.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_caller_are_letters() {
        assert_eq!(pattern("a_b%c\\"), "%a\\_b\\%c\\\\%");
    }
}
