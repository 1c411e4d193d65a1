//! ○ A customer, from the body that writes it to a row, and from the row to JSON.

use serde_json::{Value, json};

use crate::{
    api::customer::CustomerBody,
    store::{
        customers::{Customer, CustomerWrite},
        quotas::OwnQuotas,
    },
};

/// The customer as it will be.
#[must_use]
pub fn write(body: CustomerBody) -> CustomerWrite {
    CustomerWrite { name: body.name, grants: body.grants, quotas: body.quotas.map(OwnQuotas) }
}

/// The customer as JSON.
#[must_use]
pub fn view(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "uid": customer.uid,
        "name": customer.name,
        "grants": customer.grants,
        "quotas": customer.quotas,
        "version": customer.stamps.version,
        "created_at": customer.stamps.created_at,
        "updated_at": customer.stamps.updated_at,
    })
}

/// The body that would write the customer as it is: PATCH merges into it.
#[must_use]
pub fn as_body(customer: &Customer) -> Value {
    json!({"uid": customer.uid, "name": customer.name, "grants": customer.grants, "quotas": customer.quotas})
}
