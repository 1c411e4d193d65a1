//! ○ The world's answers in our few words. Nobody else compares status codes.

use std::time::Duration;

/// Result of a request, as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A complete answer within the deadline.
    Answered {
        status: u16,
        retry_after: Option<String>,
        excerpt: Box<str>,
    },
    /// The deadline passed; the endpoint may have got the events.
    TimedOut,
    /// The deadline passed before there was a place for the request: the endpoint's server takes so many at once. Nothing was
    /// sent.
    NoStream,
    /// No connection: unreachable, timed out, reset before anything was sent.
    ConnectFailed(Box<str>),
    /// No connection: the host, or something on the way to it, said no.
    Refused(Box<str>),
    /// The name has no address.
    ResolveFailed(Box<str>),
    TlsFailed(Box<str>),
    /// No access token for the endpoint; the endpoint got nothing.
    TokenFailed(Box<str>),
    /// The same: the token server's name has no address.
    TokenServerUnresolved(Box<str>),
    /// The operator does not let us connect there; nothing was sent.
    Blocked,
    /// The connection broke after something was sent: ambiguous.
    Broken(Box<str>),
    /// A kept-alive connection was closed under the request before an answer: ambiguous, but usually just idleness.
    Disconnected,
    /// The answer is not HTTP, or its head is too large.
    Malformed(Box<str>),
    /// Ours: no file handles, no route at all, our own DNS down.
    LocalFault(Box<str>),
}

/// Meaning of the answer for the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Delivered,
    /// 400, 413, 422: blames the events.
    Rejected,
    /// Everything else that the endpoint did or failed to do: retried, counted by the breaker.
    Failed { retry_after: Option<Duration> },
    /// 410: the endpoint wants nothing more.
    Gone,
    /// The kept-alive connection was closed under us: retried once at once, not counted the first time.
    Disconnected,
    /// Our own trouble, or nothing was sent at all: no attempt is used up.
    LocalFault,
}

/// Evidence in an answer about our own way to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// Somebody was there, whatever they said.
    Made,
    /// Not even a connection: the endpoint's fault or ours, which this answer alone does not tell.
    Failed,
    /// Neither: a server may hang, break off or refuse by itself, and so may a network.
    Unclear,
}

/// Evidence in an answer about the number of requests that the endpoint bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearing {
    /// It served this one.
    Served,
    /// It says that it is too much, or does not answer.
    TooMuch,
    /// Its trouble, or ours, may be any other.
    Unclear,
}

impl Outcome {
    #[must_use]
    pub fn bearing(&self, note: &AttemptNote) -> Bearing {
        match (self, note.status, note.class) {
            (Outcome::Delivered, ..) => Bearing::Served,
            (Outcome::Failed { .. }, Some(429 | 502 | 503 | 504), _)
            | (Outcome::Failed { .. }, None, "timeout" | "connect" | "broken")
            | (Outcome::LocalFault, None, NO_STREAM) => Bearing::TooMuch,
            _ => Bearing::Unclear,
        }
    }
}

impl Answer {
    #[must_use]
    pub fn contact(&self) -> Contact {
        match self {
            Answer::Answered { .. } | Answer::TlsFailed(_) | Answer::Malformed(_) => Contact::Made,
            Answer::ConnectFailed(_) | Answer::ResolveFailed(_) | Answer::LocalFault(_) => Contact::Failed,
            Answer::TimedOut
            | Answer::NoStream
            | Answer::Refused(_)
            | Answer::Broken(_)
            | Answer::Disconnected
            | Answer::TokenFailed(_)
            | Answer::TokenServerUnresolved(_)
            | Answer::Blocked => Contact::Unclear,
        }
    }
}

/// The answer as it is remembered: in a dead letter, as an endpoint's last error, in a log line. Without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptNote {
    pub status: Option<u16>,
    /// A stable word: `timeout`, `connect`, `resolve`, `tls`, `oauth`, `blocked`, `broken`, `disconnected`, `malformed`,
    /// `no_stream`, `local`, `http_1xx` … `http_5xx`, `http_other`.
    pub class: &'static str,
    /// At most 1 KiB of the answer's body or of the error; empty for a 2xx.
    pub excerpt: Box<str>,
}

/// The newest failure of an endpoint, for people.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct LastError {
    /// The time of its end, in milliseconds since 1970.
    pub at_ms: i64,
    /// The kind of answer or failure.
    pub class: &'static str,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The beginning of the answer.
    pub excerpt: String,
}

/// Every word of [`AttemptNote::class`], the usual one first.
pub const CLASSES: [&str; 17] = [
    "http_2xx",
    "http_5xx",
    "http_4xx",
    "timeout",
    "connect",
    "resolve",
    "tls",
    "oauth",
    "blocked",
    "broken",
    "disconnected",
    "malformed",
    "local",
    "http_3xx",
    "http_1xx",
    "http_other",
    NO_STREAM,
];

/// The class of [`Answer::NoStream`].
pub const NO_STREAM: &str = "no_stream";

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The most that is kept of an answer.
pub const EXCERPT_BYTES_MAX: usize = 1024;

/// In the words of a process that has no connection left.
const EVERY_STREAM_IN_USE: &str = "every stream that the endpoint's server allows at once is in use";

/// The one place where an answer becomes an outcome. `wall_ms` (since 1970) is what a `Retry-After` date is compared with.
#[must_use]
pub fn classify(answer: &Answer, wall_ms: i64) -> (Outcome, AttemptNote) {
    let failed = Outcome::Failed { retry_after: None };
    match answer {
        Answer::Answered { status, retry_after, excerpt } => {
            let outcome = outcome_of(*status, retry_after.as_deref(), wall_ms);
            let kept = if outcome == Outcome::Delivered { Box::default() } else { shortened(excerpt) };
            (outcome, AttemptNote { status: Some(*status), class: status_class(*status), excerpt: kept })
        }
        Answer::TimedOut => (failed, note("timeout", "")),
        Answer::NoStream => (Outcome::LocalFault, note(NO_STREAM, EVERY_STREAM_IN_USE)),
        Answer::ConnectFailed(error) | Answer::Refused(error) => (failed, note("connect", error)),
        Answer::ResolveFailed(error) => (failed, note("resolve", error)),
        Answer::TlsFailed(error) => (failed, note("tls", error)),
        Answer::TokenFailed(error) => (failed, note("oauth", error)),
        // The class of any name: apart, it would tell a customer which names exist inside.
        Answer::TokenServerUnresolved(error) => (failed, note("resolve", &format!("the token server: {error}"))),
        // What stands at the address is nobody's business.
        Answer::Blocked => (failed, note("blocked", "the endpoint's address is not allowed")),
        Answer::Broken(error) => (failed, note("broken", error)),
        Answer::Disconnected => (Outcome::Disconnected, note("disconnected", "")),
        Answer::Malformed(error) => (failed, note("malformed", error)),
        Answer::LocalFault(error) => (Outcome::LocalFault, note("local", error)),
    }
}

/// The endpoint does not take our access token.
#[must_use]
pub fn refuses_token(status: u16) -> bool {
    status == 401
}

fn outcome_of(status: u16, retry_after: Option<&str>, wall_ms: i64) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        // Too large for now, as RFC 9110 has it.
        413 if retry_after.is_some_and(|text| parse_retry_after(text, wall_ms).is_some()) => {
            Outcome::Failed { retry_after: retry_after.and_then(|text| parse_retry_after(text, wall_ms)) }
        }
        400 | 413 | 422 => Outcome::Rejected,
        410 => Outcome::Gone,
        // 3xx too: whoever redirects has not taken the event, and we follow nobody. 1xx too: it is not an answer.
        _ => Outcome::Failed { retry_after: retry_after.and_then(|text| parse_retry_after(text, wall_ms)) },
    }
}

/// Seconds or an HTTP date, at most [`RETRY_AFTER_MAX`]; a date that is over is zero; anything else is ignored.
fn parse_retry_after(text: &str, wall_ms: i64) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit is just a long wait.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    // Not what the RFC says, but what is meant is clear.
    if let Some((whole, part)) = text.split_once('.')
        && [whole, part].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    {
        let up = u64::from(part.bytes().any(|b| b != b'0'));
        let seconds = whole.parse().unwrap_or(u64::MAX).saturating_add(up);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let wait_ms = parse_http_date(text)?.saturating_sub(wall_ms);
    Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(RETRY_AFTER_MAX))
}

/// Milliseconds since 1970. All three forms of RFC 9110, section 5.6.7; the two obsolete ones still occur.
fn parse_http_date(text: &str) -> Option<i64> {
    let formats = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let parsed = formats.iter().find_map(|format| jiff::fmt::strtime::parse(format, text).ok())?;
    let utc = parsed.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(utc.timestamp().as_millisecond())
}

fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "http_1xx",
        200..=299 => "http_2xx",
        300..=399 => "http_3xx",
        400..=499 => "http_4xx",
        500..=599 => "http_5xx",
        _ => "http_other",
    }
}

fn note(class: &'static str, excerpt: &str) -> AttemptNote {
    AttemptNote { status: None, class, excerpt: shortened(excerpt) }
}

/// Nor anything that could steer the terminal of whoever reads it.
fn shortened(text: &str) -> Box<str> {
    let kept = &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)];
    if !kept.chars().any(steers) {
        return kept.into();
    }
    kept.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests;
