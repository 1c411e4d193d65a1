//! ● Rows that this version cannot read: they can be deleted, and nothing else.

use super::{conditions::Conditions, problem::Problem, request};
use crate::store::{
    Pool,
    corrupt_rows::{self, RowName, Table},
};

/// Deletes such a row under the conditions that hold for any other, and returns its id. `what` is the resource's name in a problem.
pub(super) async fn delete_unreadable(
    pool: &Pool,
    table: Table,
    named: RowName<'_>,
    what: &str,
    conditions: &Conditions,
) -> Result<String, Problem> {
    let owner = match table {
        Table::Customer | Table::Endpoint => "customer",
        Table::Subscription => "endpoint",
    };
    let written = corrupt_rows::delete(pool, table, named, |found| {
        let head = request::unambiguous(found, what, owner)?.ok_or_else(|| Problem::not_found(what))?;
        conditions.check(Some(head.version))
    });
    Ok(written.await??.row.id)
}
