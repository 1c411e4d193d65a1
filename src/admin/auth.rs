//! ● Keys: bearer tokens, compared by their hashes. The key of the configuration needs no Postgres; all others are looked
//! up there, and known for a moment.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

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
    access::{Access, CONFIGURED, Needs, OwnCustomer, Role},
    client_address::{ForwardedHeaders, TrustedProxies, readable_end, site},
    key_cache::{KnownKeys, TokenHash},
    memory::{self, Memory},
    problem::Problem,
    rate_limits::{CallLimits, WrongKeys},
    request::promised_bytes,
    responses::WrittenId,
};
use crate::{
    api::api_key::KeyRole,
    clock,
    fair_share::{shares, turns},
    model::id,
    store::{
        Pool,
        api_keys::{self, TokenHolder},
    },
    telemetry::names,
};

/// Rates at which the API may be called; `None` is without limit.
#[derive(Debug, Clone, Copy)]
pub struct ApiCallLimits {
    /// By one key; that of the configuration is not held back.
    pub requests_per_second: Option<NonZeroU32>,
    /// Burst size of the rate limit.
    pub burst_requests: NonZeroU32,
    /// With wrong keys, from one address.
    pub wrong_keys_per_second: Option<NonZeroU32>,
}

/// The key of the configuration passes for this long from an address that it came from, whatever else comes from there.
const CONFIGURED_KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// All keys are read again after this long, while an address tries wrong ones.
const ISSUED_FRESH_FOR: Duration = Duration::from_secs(1);
/// More keys than that are not held in memory.
const ISSUED_MAX: i64 = 100_000;

/// Keys of the API.
pub struct Keys {
    configured: TokenHash,
    pool: Pool,
    known: Mutex<KnownKeys<Holder>>,
    calls: Option<Mutex<CallLimits<String>>>,
    wrong: Option<Mutex<WrongKeys>>,
    /// Addresses that the key of the configuration came from, with the last time of each.
    configured_from: Mutex<HashMap<IpAddr, Instant>>,
    /// The hashes of all keys that hold, and when they were read.
    issued: tokio::sync::Mutex<Option<(Instant, HashSet<TokenHash>)>>,
    trusted_proxies: TrustedProxies,
}

#[derive(Debug, Clone)]
struct Holder {
    access: Access,
    ends_at: Option<Timestamp>,
}

impl Keys {
    /// `configured` is the admin key of the configuration; only its hash is kept.
    #[must_use]
    pub fn new(configured: &str, limits: ApiCallLimits, pool: Pool, trusted_proxies: TrustedProxies) -> Self {
        let now = clock::now();
        let calls = |rate| Mutex::new(CallLimits::new(rate, limits.burst_requests, KNOWN_MAX, now));
        Keys {
            configured: hash_of(configured),
            pool,
            known: Mutex::new(KnownKeys::new(KNOWN_MAX)),
            calls: limits.requests_per_second.map(calls),
            wrong: limits.wrong_keys_per_second.map(|rate| Mutex::new(WrongKeys::new(rate, now))),
            configured_from: Mutex::default(),
            issued: tokio::sync::Mutex::default(),
            trusted_proxies,
        }
    }

    /// The address that a request comes from.
    fn client(&self, request: &ServiceRequest) -> Option<IpAddr> {
        let lines = |name: &str| request.headers().get_all(name).map(|line| readable_end(line.as_bytes())).collect();
        let headers = ForwardedHeaders { forwarded: lines("forwarded"), x_forwarded_for: lines("x-forwarded-for") };
        request.peer_addr().map(|peer| self.trusted_proxies.client(peer.ip(), &headers))
    }

    /// True if a key passes although wrong ones came from its address: others behind the same address shall not be shut
    /// out, and whoever guesses shall not learn of a hit. Keys that were issued are too long to be guessed; that of the
    /// configuration passes where it was used before.
    async fn passes_among_wrong_ones(&self, token: &str, hash: &TokenHash, address: IpAddr, now: Instant) -> bool {
        if bool::from(hash.ct_eq(&self.configured)) {
            let used_at = self.configured_from.lock().get(&site(address)).copied();
            return used_at.is_some_and(|at| now.saturating_duration_since(at) < CONFIGURED_KNOWN_FOR);
        }
        let was_held = self.known.lock().was_held(hash);
        was_held || (looks_like_a_token(token) && self.is_issued(hash, now).await)
    }

    /// True if a key of this hash was issued: one statement a second for all that are asked about.
    async fn is_issued(&self, hash: &TokenHash, now: Instant) -> bool {
        let mut issued = self.issued.lock().await;
        let is_fresh = |(at, _): &(Instant, _)| now.saturating_duration_since(*at) < ISSUED_FRESH_FOR;
        if !issued.as_ref().is_some_and(is_fresh) {
            match api_keys::hashes(&self.pool, ISSUED_MAX).await {
                Ok(hashes) => *issued = Some((now, hashes.into_iter().collect())),
                Err(error) => {
                    tracing::debug!(%error, "the issued API keys cannot be read; it is tried again");
                    // Those known before, so that not each of very many guesses waits for Postgres.
                    let known = issued.take().map(|(_, hashes)| hashes).unwrap_or_default();
                    *issued = Some((now, known));
                }
            }
        }
        issued.as_ref().is_some_and(|(_, hashes)| hashes.contains(hash))
    }

    fn note_configured(&self, address: Option<IpAddr>, now: Instant) {
        let Some(address) = address else { return };
        let mut known = self.configured_from.lock();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, at| now.saturating_duration_since(*at) < CONFIGURED_KNOWN_FOR);
        }
        if known.len() < KNOWN_MAX {
            known.insert(site(address), now);
        }
    }

    /// Finds the holder of this token, if it may call now.
    async fn admit(&self, token: &str, address: Option<IpAddr>) -> Result<Access, Problem> {
        let (hash, now) = (hash_of(token), clock::now());
        // Whoever tries keys costs neither the database nor those who have one, though they come from the same address.
        let wait = address.zip(self.wrong.as_ref()).and_then(|(address, wrong)| wrong.lock().wait(address, now));
        if let Some((address, wait)) = address.zip(wait)
            && !self.passes_among_wrong_ones(token, &hash, address, now).await
        {
            metrics::counter!(names::API_REFUSED, "reason" => "wrong_keys").increment(1);
            return Err(Problem::too_many(
                "too many wrong keys came from this address; wait before the next one",
                wait,
            ));
        }
        if hash.ct_eq(&self.configured).into() {
            self.note_configured(address, now);
            return Ok(Access { key_id: CONFIGURED.to_owned(), role: Role::Admin });
        }
        let found = if looks_like_a_token(token) {
            turns::on_behalf_of(asker(address), self.holder(hash, now)).await?
        } else {
            None
        };
        let Some(access) = found else {
            metrics::counter!(names::API_REFUSED, "reason" => "wrong_key").increment(1);
            self.note_wrong(address, now);
            let detail = "this key is not known, or holds no longer";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_key", detail));
        };
        let refused = self.calls.as_ref().and_then(|calls| calls.lock().take(&access.key_id, now).err());
        match refused {
            None => Ok(access),
            Some(wait) => {
                metrics::counter!(names::API_REFUSED, "reason" => "rate").increment(1);
                Err(Problem::too_many("this key calls more often than it may", wait))
            }
        }
    }

    fn note_wrong(&self, address: Option<IpAddr>, now: Instant) {
        let Some((address, wrong)) = address.zip(self.wrong.as_ref()) else { return };
        let mut wrong = wrong.lock();
        if wrong.record(address, now) {
            tracing::debug!(%address, "too many wrong keys came from one address");
        }
    }

    /// The holder of the token of this hash.
    async fn holder(&self, hash: TokenHash, now: Instant) -> Result<Option<Access>, Problem> {
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
        Ok(holder.filter(holds).map(|holder| holder.access))
    }
}

impl From<TokenHolder> for Holder {
    fn from(holder: TokenHolder) -> Self {
        let role = match (holder.role, holder.customer_id) {
            (KeyRole::Admin, _) => Role::Admin,
            (KeyRole::Operator, _) => Role::Operator,
            // Without a customer, which the store does not give, it would find nothing.
            (KeyRole::Customer, id) => {
                Role::Customer(OwnCustomer { id: id.unwrap_or_default(), uid: holder.customer_uid })
            }
        };
        Holder { access: Access { key_id: holder.key_id, role }, ends_at: holder.ends_at }
    }
}

/// A token that nobody has: 256 random bits after a prefix that scanners for leaked secrets can look for.
#[must_use]
pub fn new_token() -> String {
    format!("{TOKEN_PREFIX}{}", id::digits_of(rand::random()))
}

/// The hash of a token, as it is stored.
#[must_use]
pub fn hash_of(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// The beginning of a token that may be shown: enough to know it again, too little to guess the rest.
#[must_use]
pub fn start_of(token: &str) -> &str {
    token.get(..TOKEN_PREFIX.len() + 6).unwrap_or(TOKEN_PREFIX)
}

/// Lets a request through when it carries a key, and says who it is; whoever answers decides what they may do. Each write
/// leaves a line in the log.
pub async fn require_key(
    mut request: ServiceRequest,
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
    let access = keys.admit(&token, keys.client(&request)).await?;
    let memory = request.app_data::<web::Data<Memory>>().cloned().expect("invariant: the server has its budget");
    let holder = access.holder();
    request.extensions_mut().insert(access);
    // Held until the operation has answered, whatever it keeps of its body.
    let promised = promised_bytes(request.headers());
    let (payload, _held) = memory::charged(request.take_payload(), promised, &memory, &holder);
    request.set_payload(payload);
    let response = turns::on_behalf_of(holder, next.call(request)).await?;
    note_write(&response);
    Ok(response)
}

/// The holder of what is used for a request without a key, or before it is known whose its key is: one address with very many of
/// them leaves something to others.
pub(super) fn asker(address: Option<IpAddr>) -> shares::Holder {
    address.map_or_else(String::new, |address| format!("address {}", site(address))).into()
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
    let written = response.response().extensions().get::<WrittenId>().map(|written| written.0.clone());
    let named = ["name", "id"].iter().find_map(|part| request.match_info().get(part));
    let resource = written.as_deref().or(named).unwrap_or_default();
    let operation = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    tracing::info!(key.id = access.key_id, operation, resource, "API write");
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
