//! ○ OAuth2 client credentials of an endpoint.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::url::EndpointUrl;

/// Options for getting an endpoint's access tokens.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    pub token_url: EndpointUrl,
    pub client_id: String,
    pub client_secret: SecretString,
    pub scope: Option<String>,
    /// Not of the RFC, but asked for by some token servers.
    pub audience: Option<String>,
    pub style: ClientStyle,
}

/// The place of the client's id and secret in the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ClientStyle {
    /// In the `Authorization` header.
    #[default]
    Basic,
    /// In the form.
    Body,
}
