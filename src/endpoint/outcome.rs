//! ○ The world's answers in our few words. Nobody else compares status codes.

use std::time::Duration;

/// What happened to a request, as the client saw it.
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
    /// No connection: refused, unreachable, reset before anything was sent.
    ConnectFailed(Box<str>),
    /// The name has no address.
    ResolveFailed(Box<str>),
    TlsFailed(Box<str>),
    /// The connection broke after something was sent: ambiguous.
    Broken(Box<str>),
    /// A kept-alive connection was closed under the request before an answer: ambiguous, but usually just idleness.
    Disconnected,
    /// The answer is not HTTP, or its head is too large.
    Malformed(Box<str>),
    /// Ours: no file handles, no route at all, our own DNS down.
    LocalFault(Box<str>),
}

/// What it means for the batch.
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
    /// Our own trouble: no attempt is used up.
    LocalFault,
}

/// The answer as it is remembered: in a dead letter, as an endpoint's last error, in a log line. Without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptNote {
    pub status: Option<u16>,
    /// A stable word: `timeout`, `connect`, `resolve`, `tls`, `broken`, `disconnected`, `malformed`, `local`, `http_5xx`, …
    pub class: &'static str,
    /// At most 1 KiB of the answer's body or of the error.
    pub excerpt: Box<str>,
}

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The one place where an answer becomes an outcome.
#[must_use]
pub fn classify(answer: &Answer, wall_ms: i64) -> (Outcome, AttemptNote) {
    let _ = (answer, wall_ms);
    (Outcome::LocalFault, AttemptNote::default())
}
