//! ● The names of customers beside what belongs to them: one statement for a whole page.

use std::collections::HashMap;

use super::{problem::Problem, state::AdminState};
use crate::{api::customer::CustomerName, store::customers};

/// Names of the customers of these ids; of those that there are.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn names<'a>(
    state: &AdminState,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, CustomerName>, Problem> {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(customers::names(&state.pool, &ids).await?)
}
