//! ● The admin key: a bearer token, compared by its hash in constant time.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web,
};
use subtle::ConstantTimeEq as _;

use super::problem::Problem;

/// The hash of the key; the key itself is not kept.
#[derive(Clone)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    #[must_use]
    pub fn of(key: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref());
        KeyHash(hash)
    }

    fn matches(&self, key: &str) -> bool {
        self.0.ct_eq(&KeyHash::of(key).0).into()
    }
}

/// Lets a request through when it carries the key.
pub async fn require_key(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let hash = request.app_data::<web::Data<KeyHash>>().expect("invariant: the server has its key's hash");
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
    match given {
        Some(key) if hash.matches(key) => next.call(request).await,
        Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_key", "this key is not known").into()),
        None => {
            let detail = "send the key: authorization: Bearer …";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_key", detail).into())
        }
    }
}
