//! ○ Authentication at an endpoint: the operator's rules for it, the form in which it is stored, and the part that may be shown.

use super::endpoint_tls;
use crate::{
    api::{body::Said, endpoint::AuthView, endpoint_auth::AuthBody},
    endpoint::egress::Egress,
    model::url::EndpointUrl,
    store::secrets::{StoredAuth, StoredOAuth2},
};

/// Notes an address that nothing may be sent to.
pub(super) fn check_url(said: &mut Said, pointer: &str, field: &str, egress: &Egress) {
    let text = said.at(pointer).and_then(|url| url.as_str());
    // Text that is no URL was noted as it was read; one that was read can be read again.
    let Some(url) = text.and_then(|text| EndpointUrl::parse(text).ok()) else { return };
    if let Err(refusal) = egress.check_url(&url) {
        said.wrong(field, refusal);
    }
}

/// The authentication as it is sealed.
#[must_use]
pub(super) fn stored(auth: AuthBody) -> StoredAuth {
    match auth {
        AuthBody::None => StoredAuth::None,
        AuthBody::Basic { username, password } => StoredAuth::Basic { username, password },
        AuthBody::Bearer { token } => StoredAuth::Bearer { token },
        AuthBody::Headers { headers } => StoredAuth::Headers { headers: headers.into_iter().collect() },
        AuthBody::OAuth2 { token_url, client_id, client_secret, scope, audience, style } => {
            StoredAuth::OAuth2(StoredOAuth2 { token_url, client_id, client_secret, scope, audience, style })
        }
        AuthBody::MutualTls { certificate, key } => StoredAuth::MutualTls { certificate, key },
    }
}

/// The part of an authentication that may be shown.
#[must_use]
pub(super) fn view(auth: &StoredAuth) -> AuthView {
    match auth {
        StoredAuth::None => AuthView::None,
        StoredAuth::Basic { username, .. } => AuthView::Basic { username: username.clone() },
        StoredAuth::Bearer { .. } => AuthView::Bearer,
        StoredAuth::Headers { headers } => {
            AuthView::Headers { names: headers.iter().map(|(name, _)| name.clone()).collect() }
        }
        StoredAuth::OAuth2(oauth) => AuthView::OAuth2 {
            token_url: oauth.token_url.clone(),
            client_id: oauth.client_id.clone(),
            scope: oauth.scope.clone(),
            audience: oauth.audience.clone(),
            style: oauth.style,
        },
        StoredAuth::MutualTls { certificate, .. } => endpoint_tls::view(certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        let auth = stored(AuthBody::Headers { headers: [("x-key".to_owned(), "hush".to_owned())].into() });
        let shown = serde_json::to_string(&view(&auth)).expect("json");
        assert_eq!(shown, r#"{"type":"headers","names":["x-key"]}"#);
    }
}
