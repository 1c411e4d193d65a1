//! ○ An API key as it is answered.

use crate::{api::api_key::ApiKeyView, store::api_keys::ApiKey};

/// The key as it is answered; the token is not known any more.
#[must_use]
pub(super) fn view(key: ApiKey) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        name: key.name,
        role: key.role,
        customer_id: key.customer_id,
        token_start: key.token_start,
        previous_expires_at: key.previous_expires_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
        created_at: key.created_at,
        updated_at: key.updated_at,
        created_by: key.created_by,
    }
}
