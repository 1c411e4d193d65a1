//! ● Keys: bearer tokens, compared by their hashes. The key of the configuration needs no Postgres; all others are looked
//! up there, and known for a moment.

use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::{
    access::{Access, CONFIGURED, Needs, Own, Role},
    answer::Written,
    known_keys::{KnownKeys, TokenHash},
    problem::Problem,
};
use crate::{
    clock,
    store::{
        Pool,
        api_keys::{self, StoredRole, TokenHolder},
        id,
    },
};

/// Who may come in.
pub struct Keys {
    configured: TokenHash,
    pool: Pool,
    known: Mutex<KnownKeys<Holder>>,
}

#[derive(Debug, Clone)]
struct Holder {
    access: Access,
    ends_at: Option<Timestamp>,
}

impl Keys {
    /// `configured` is the admin key of the configuration; only its hash is kept.
    #[must_use]
    pub fn new(configured: &str, pool: Pool) -> Self {
        Keys { configured: hash_of(configured), pool, known: Mutex::new(KnownKeys::new(KNOWN_MAX)) }
    }

    /// Who holds this token.
    async fn holder(&self, token: &str) -> Result<Access, Problem> {
        let hash = hash_of(token);
        if hash.ct_eq(&self.configured).into() {
            return Ok(Access { key_id: CONFIGURED.to_owned(), role: Role::Admin });
        }
        if !looks_like_a_token(token) {
            return Err(wrong_key());
        }
        let now = clock::now();
        let known = self.known.lock().get(&hash, now);
        let holder = match known {
            Some(holder) => holder,
            None => {
                let holder = api_keys::holder(&self.pool, hash).await?.map(Holder::from);
                self.known.lock().put(hash, holder.clone(), now);
                holder
            }
        };
        let holds = |holder: &Holder| holder.ends_at.is_none_or(|ends_at| ends_at.as_millisecond() > clock::wall_ms());
        holder.filter(holds).map(|holder| holder.access).ok_or_else(wrong_key)
    }
}

impl From<TokenHolder> for Holder {
    fn from(holder: TokenHolder) -> Self {
        let role = match holder.role {
            StoredRole::Admin => Role::Admin,
            StoredRole::Operator => Role::Operator,
            StoredRole::Customer(id) => Role::Customer(Own { id, uid: holder.customer_uid }),
        };
        Holder { access: Access { key_id: holder.key_id, role }, ends_at: holder.ends_at }
    }
}

/// A token that nobody has: 256 random bits after a prefix that scanners for leaked secrets can look for.
#[must_use]
pub fn new_token() -> String {
    format!("{TOKEN_PREFIX}{}", id::digits_of(rand::random()))
}

/// What is stored of a token.
#[must_use]
pub fn hash_of(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// What may be shown of a token: enough to know it again, too little to guess the rest.
#[must_use]
pub fn start_of(token: &str) -> &str {
    token.get(..TOKEN_PREFIX.len() + 6).unwrap_or(TOKEN_PREFIX)
}

/// Lets a request through when it carries a key, and says who it is; whoever answers decides what they may do. Each write
/// leaves a line in the log.
pub async fn require_key(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let keys = request.app_data::<web::Data<Keys>>().cloned().expect("invariant: the server has its keys");
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim().to_owned());
    let Some(token) = given else {
        let detail = "send the key: authorization: Bearer …";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_key", detail).into());
    };
    let access = keys.holder(&token).await?;
    request.extensions_mut().insert(access);
    let response = next.call(request).await?;
    note_write(&response);
    Ok(response)
}

/// One line for each write: who did what to what.
fn note_write(response: &ServiceResponse<impl MessageBody>) {
    let request = response.request();
    let writes = matches!(request.extensions().get(), Some(Needs::Write | Needs::Administer));
    if !writes || request.method() == Method::GET || !response.status().is_success() {
        return;
    }
    let extensions = request.extensions();
    let Some(access) = extensions.get::<Access>() else { return };
    let written = response.response().extensions().get::<Written>().map(|written| written.0.clone());
    let named = ["name", "id"].iter().find_map(|part| request.match_info().get(part));
    let resource = written.as_deref().or(named).unwrap_or_default();
    let operation = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    tracing::info!(key.id = access.key_id, operation, resource, "the API was written to");
}

fn wrong_key() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "wrong_key", "this key is not known, or holds no longer")
}

fn looks_like_a_token(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX)
        .is_some_and(|digits| digits.len() == 52 && digits.bytes().all(|c| c.is_ascii_alphanumeric()))
}

const TOKEN_PREFIX: &str = "prk_";
const KNOWN_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_long_looks_like_one_and_is_like_no_other() {
        let (one, other) = (new_token(), new_token());
        assert!(looks_like_a_token(&one) && one.len() == 56, "{one}");
        assert_ne!(one[10..], other[10..]);
        assert_eq!(start_of(&one).len(), 10);
        assert!(!looks_like_a_token("prk_short") && !looks_like_a_token(&one[1..]));
    }
}
