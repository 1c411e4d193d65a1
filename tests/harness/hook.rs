//! ● One endpoint's side of a receiver: how it behaves, and the ledger of what it got.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::{http::HttpRequest, misbehaving::Misbehavior};

/// How a hook behaves.
#[derive(Clone, Debug)]
pub enum Mode {
    /// 200
    Ok,
    /// Says nothing until the mode changes, then breaks the connection off.
    Hang,
    Status(u16),
    StatusWith(u16, Vec<(&'static str, String)>),
    /// This status with this body.
    Say(u16, String),
    /// 200 for a request whose `authorization` is this, and 401 for the others.
    Authorized(String),
    /// Breaks the connection off after the request was read.
    BreakOff,
    /// 400 for a request that has one of these, and 200 for the others.
    Refuse(HashSet<u32>),
    /// 500 for a request that has one of these, and 200 for the others.
    FailOn(HashSet<u32>),
    /// 200 after a while.
    Slow(Duration),
    /// 200 after a while; so many are served at once, and the others wait for their turn.
    Serving(usize, Duration),
    /// An answer that is none, or one that comes in a bad way.
    Misbehavior(Misbehavior),
}

/// What a hook says to one request.
pub enum Answer {
    Say { status: u16, headers: Vec<(&'static str, String)>, body: String },
    BreakOff,
    Misbehavior(Misbehavior),
}

impl Answer {
    pub fn of(status: u16, body: &str) -> Self {
        Answer::Say { status, headers: Vec::new(), body: body.to_owned() }
    }
}

/// A request as the ledger keeps it.
#[derive(Clone)]
pub struct Received {
    pub webhook_id: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The events in it, in order.
    pub seqs: Vec<u32>,
    /// `None`: no answer was given.
    pub answer: Option<u16>,
    pub at: Instant,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no header {name}"), |(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// A request that [`Mode::Serving`] answered.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// Requests that waited for an answer when it came, this one included.
    pub under_way: usize,
    pub took: Duration,
}

/// A path of a receiver. Clones are the same hook.
#[derive(Clone)]
pub struct Hook(Arc<Inner>);

struct Inner {
    name: String,
    url: String,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    ended: bool,
    keeps_requests: bool,
    secrets: Vec<ring::hmac::Key>,
    /// 2xx answers by event.
    accepted: Vec<u16>,
    /// Events in the order in which they first came, whatever was answered.
    order: Vec<(u32, Instant)>,
    seen: Vec<bool>,
    requests: Vec<Received>,
    requests_count: u64,
    /// Requests now waiting for an answer, …
    waiting: usize,
    /// … and those of them that are being served.
    serving: usize,
    served: Vec<Served>,
    /// What should never happen, in words.
    complaints: Vec<String>,
}

impl Hook {
    pub(super) fn new(name: &str, url: String) -> Self {
        let state = State {
            mode: Mode::Ok,
            ended: false,
            keeps_requests: true,
            secrets: Vec::new(),
            accepted: Vec::new(),
            order: Vec::new(),
            seen: Vec::new(),
            requests: Vec::new(),
            requests_count: 0,
            waiting: 0,
            serving: 0,
            served: Vec::new(),
            complaints: Vec::new(),
        };
        Hook(Arc::new(Inner { name: name.to_owned(), url, state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub fn set(&self, mode: Mode) {
        self.state(|state| state.mode = mode);
        self.0.changed.notify_all();
    }

    /// Every request must be signed with one of these secrets (`whsec_…`).
    pub fn verify_with(&self, secrets: &[&str]) {
        let key = |secret: &&str| {
            let bytes = secret.strip_prefix("whsec_").expect("a signing secret begins with whsec_");
            ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64_STANDARD.decode(bytes).expect("base64"))
        };
        let keys = secrets.iter().map(key).collect();
        self.state(|state| state.secrets = keys);
    }

    /// Only counts from now on: for many events.
    pub fn keep_no_requests(&self) {
        self.state(|state| state.keeps_requests = false);
    }

    /// How often this event was answered with 2xx.
    pub fn accepted(&self, seq: u32) -> u16 {
        self.state(|state| state.accepted.get(seq as usize).copied().unwrap_or(0))
    }

    /// How often each event was answered with 2xx, by its number.
    pub fn all_accepted(&self) -> Vec<u16> {
        self.state(|state| state.accepted.clone())
    }

    /// The numbers of the events in the order in which they first came, and when.
    pub fn order(&self) -> Vec<(u32, Instant)> {
        self.state(|state| state.order.clone())
    }

    /// As [`Hook::order`], without those that came before the `from`-th.
    pub fn order_from(&self, from: usize) -> Vec<(u32, Instant)> {
        self.state(|state| state.order.get(from..).unwrap_or_default().to_vec())
    }

    /// Different events answered with 2xx.
    pub fn accepted_count(&self) -> usize {
        self.state(|state| state.accepted.iter().filter(|times| **times > 0).count())
    }

    /// 2xx answers beyond the first, over all events.
    pub fn duplicates(&self) -> u64 {
        self.state(|state| state.accepted.iter().map(|times| u64::from(times.saturating_sub(1))).sum())
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.state(|state| state.requests.clone())
    }

    pub fn requests_count(&self) -> u64 {
        self.state(|state| state.requests_count)
    }

    /// Requests that wait for an answer now.
    pub fn waiting(&self) -> usize {
        self.state(|state| state.waiting)
    }

    /// The requests that [`Mode::Serving`] answered, in order.
    pub fn served(&self) -> Vec<Served> {
        self.state(|state| state.served.clone())
    }

    #[track_caller]
    pub fn assert_no_complaints(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// Bad signatures and unreadable bodies, in words.
    pub fn complaints(&self) -> Vec<String> {
        self.state(|state| state.complaints.iter().map(|what| format!("hook {}: {what}", self.0.name)).collect())
    }

    pub(super) fn end(&self) {
        self.state(|state| state.ended = true);
        self.0.changed.notify_all();
    }

    /// Answers a request and writes it down; a 2xx is in the ledger before it is on the wire.
    pub(super) fn take(&self, request: HttpRequest) -> Answer {
        let (seqs, complaint) = match read_seqs(&request) {
            Ok(seqs) => (seqs, None),
            Err(complaint) => (Vec::new(), Some(complaint)),
        };
        let answer = self.decide(&request, &seqs);
        let status = match &answer {
            Answer::Say { status, .. } => Some(*status),
            Answer::Misbehavior(misbehavior) => misbehavior.status(),
            Answer::BreakOff => None,
        };
        let mut state = self.0.state.lock().unwrap();
        let forged = check_signature(&request, &state.secrets);
        state.complaints.extend(complaint.into_iter().chain(forged));
        state.requests_count += 1;
        seqs.iter().for_each(|seq| state.first_seen(*seq));
        if status.is_some_and(|status| (200..300).contains(&status)) {
            for seq in seqs.iter().map(|seq| *seq as usize) {
                if state.accepted.len() <= seq {
                    state.accepted.resize(seq + 1, 0);
                }
                state.accepted[seq] = state.accepted[seq].saturating_add(1);
            }
        }
        if state.keeps_requests {
            let webhook_id = request.header("webhook-id").unwrap_or_default().to_owned();
            let HttpRequest { headers, body, .. } = request;
            state.requests.push(Received { webhook_id, headers, body, seqs, answer: status, at: Instant::now() });
        }
        answer
    }

    fn decide(&self, request: &HttpRequest, seqs: &[u32]) -> Answer {
        let mut state = self.0.state.lock().unwrap();
        state.waiting += 1;
        let was_hanging = matches!(state.mode, Mode::Hang);
        state = self.0.changed.wait_while(state, |state| !state.ended && matches!(state.mode, Mode::Hang)).unwrap();
        let mode = state.mode.clone();
        let ended = state.ended;
        drop(state);
        if let Mode::Slow(wait) = mode {
            std::thread::sleep(wait); // the receiver's slowness, not a story's patience
        }
        if let Mode::Serving(at_once, time) = mode {
            self.serve(at_once, time);
        }
        self.state(|state| state.waiting -= 1);
        if was_hanging || ended {
            return Answer::BreakOff;
        }
        match mode {
            Mode::Status(status) => Answer::of(status, "as the story has it"),
            Mode::StatusWith(status, headers) => Answer::Say { status, headers, body: String::new() },
            Mode::Say(status, body) => Answer::of(status, &body),
            Mode::Authorized(wanted) if request.header("authorization") != Some(&wanted) => {
                Answer::of(401, "who are you?")
            }
            Mode::BreakOff => Answer::BreakOff,
            Mode::Misbehavior(misbehavior) => Answer::Misbehavior(misbehavior),
            Mode::Refuse(refused) if seqs.iter().any(|seq| refused.contains(seq)) => {
                Answer::of(400, "this event is refused")
            }
            Mode::FailOn(poison) if seqs.iter().any(|seq| poison.contains(seq)) => Answer::of(500, "it hurts"),
            _ => Answer::of(200, "ok"),
        }
    }

    fn serve(&self, at_once: usize, time: Duration) {
        let (came, mut state) = (Instant::now(), self.0.state.lock().unwrap());
        let under_way = state.waiting;
        state = self.0.changed.wait_while(state, |state| !state.ended && state.serving >= at_once).unwrap();
        state.serving += 1;
        drop(state);
        std::thread::sleep(time); // the receiver's work
        self.state(|state| {
            state.serving -= 1;
            state.served.push(Served { under_way, took: came.elapsed() });
        });
        self.0.changed.notify_all();
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.state.lock().unwrap())
    }
}

impl State {
    fn first_seen(&mut self, seq: u32) {
        let index = seq as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.seen[index], true) {
            self.order.push((seq, Instant::now()));
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.name).finish()
    }
}

/// An item of a body: an envelope, or the payload as it is.
#[derive(Deserialize)]
struct Item {
    seq: Option<u32>,
    data: Option<Payload>,
}

#[derive(Deserialize)]
struct Payload {
    seq: Option<u32>,
}

/// The numbers of the events in a body. Bodies without such payloads are some story's own business.
fn read_seqs(request: &HttpRequest) -> Result<Vec<u32>, String> {
    let complain = |error: serde_json::Error| format!("unreadable body: {error}");
    let body = &request.body;
    let items: Vec<Item> = match request.header("content-type") {
        Some("application/x-ndjson") => {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(complain)?
        }
        Some("application/json") if body.starts_with(b"[") => serde_json::from_slice(body).map_err(complain)?,
        Some("application/json") => vec![serde_json::from_slice(body).map_err(complain)?],
        _ => Vec::new(),
    };
    Ok(items.into_iter().filter_map(|item| item.seq.or(item.data.and_then(|data| data.seq))).collect())
}

/// By the Standard Webhooks spec; no keys, no check.
fn check_signature(request: &HttpRequest, keys: &[ring::hmac::Key]) -> Option<String> {
    if keys.is_empty() {
        return None;
    }
    let header = |name: &str| request.header(name).map_or(Cow::Borrowed(""), Cow::Borrowed);
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&request.body);
    let given = header("webhook-signature");
    let verified = given.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        let Ok(tag) = BASE64_STANDARD.decode(signature) else { return false };
        keys.iter().any(|key| ring::hmac::verify(key, &signed, &tag).is_ok())
    });
    (!verified).then(|| format!("bad signature {given:?} of {}", header("webhook-id")))
}
