//! ○ An API key as it is answered, and the role that its body asks for.

use crate::{
    api::api_key::{ApiKeyBody, ApiKeyView, KeyRole},
    store::api_keys::{ApiKey, NewRole, StoredRole},
};

/// The role of a new key.
#[must_use]
pub(super) fn role(body: &ApiKeyBody) -> NewRole<'_> {
    match body.role {
        KeyRole::Admin => NewRole::Admin,
        KeyRole::Operator => NewRole::Operator,
        KeyRole::Customer => NewRole::Customer(body.customer_id.as_deref().unwrap_or_default()),
    }
}

/// The key as it is answered; the token is not known any more.
#[must_use]
pub(super) fn view(key: ApiKey) -> ApiKeyView {
    let (role, customer_id) = match key.role {
        StoredRole::Admin => (KeyRole::Admin, None),
        StoredRole::Operator => (KeyRole::Operator, None),
        StoredRole::Customer(id) => (KeyRole::Customer, Some(id)),
    };
    ApiKeyView {
        id: key.id,
        name: key.name,
        role,
        customer_id,
        token_start: key.token_start,
        previous_expires_at: key.previous_expires_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
        created_at: key.created_at,
        updated_at: key.updated_at,
        created_by: key.created_by,
    }
}
