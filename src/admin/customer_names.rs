//! ● Beside what belongs to a customer, what people call it: one statement for a whole page.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{problem::Problem, state::AdminState};
use crate::store::customers;

/// Adds `customer` to each of a page that has a `customer_id`.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn attach(state: &AdminState, page: &mut [Value]) -> Result<(), Problem> {
    let mut ids: Vec<&str> = page.iter().filter_map(|one| one["customer_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let names = customers::names(&state.pool, &ids).await?;
    let known: HashMap<&str, Value> =
        names.iter().map(|of| (of.id.as_str(), json!({"uid": of.uid, "name": of.name}))).collect();
    for one in page {
        if let Some(customer) = one["customer_id"].as_str().and_then(|id| known.get(id)) {
            one["customer"] = customer.clone();
        }
    }
    Ok(())
}
