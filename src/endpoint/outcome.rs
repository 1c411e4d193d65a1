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
    /// No connection: unreachable, timed out, reset before anything was sent.
    ConnectFailed(Box<str>),
    /// No connection: the host, or something on the way to it, said no.
    Refused(Box<str>),
    /// The name has no address.
    ResolveFailed(Box<str>),
    TlsFailed(Box<str>),
    /// No access token for the endpoint; the endpoint got nothing.
    TokenFailed(Box<str>),
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

/// What an answer says of our own way to the world; see [`OwnTrouble`](super::own_trouble::OwnTrouble).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// Somebody was there, whatever they said.
    Made,
    /// Not even a connection: the endpoint's fault or ours, which this answer alone does not tell.
    Failed,
    /// Neither: a server may hang, break off or refuse by itself, and so may a network.
    Unclear,
}

impl Answer {
    #[must_use]
    pub fn contact(&self) -> Contact {
        match self {
            Answer::Answered { .. } | Answer::TlsFailed(_) | Answer::Malformed(_) => Contact::Made,
            Answer::ConnectFailed(_) | Answer::ResolveFailed(_) | Answer::LocalFault(_) => Contact::Failed,
            Answer::TimedOut
            | Answer::Refused(_)
            | Answer::Broken(_)
            | Answer::Disconnected
            | Answer::TokenFailed(_)
            | Answer::Blocked => Contact::Unclear,
        }
    }
}

/// The answer as it is remembered: in a dead letter, as an endpoint's last error, in a log line. Without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptNote {
    pub status: Option<u16>,
    /// A stable word: `timeout`, `connect`, `resolve`, `tls`, `oauth`, `blocked`, `broken`, `disconnected`, `malformed`,
    /// `local`, `http_1xx` … `http_5xx`, `http_other`.
    pub class: &'static str,
    /// At most 1 KiB of the answer's body or of the error; empty for a 2xx.
    pub excerpt: Box<str>,
}

/// Every word of [`AttemptNote::class`], the usual one first.
pub const CLASSES: [&str; 16] = [
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
];

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The most that is kept of an answer.
pub const EXCERPT_BYTES_MAX: usize = 1024;

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
        Answer::ConnectFailed(error) | Answer::Refused(error) => (failed, note("connect", error)),
        Answer::ResolveFailed(error) => (failed, note("resolve", error)),
        Answer::TlsFailed(error) => (failed, note("tls", error)),
        Answer::TokenFailed(error) => (failed, note("oauth", error)),
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
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z
    const WALL_MS: i64 = 1_767_225_600_000;

    const FAILED: Outcome = Outcome::Failed { retry_after: None };

    fn answered(status: u16, retry_after: Option<&str>) -> Answer {
        Answer::Answered { status, retry_after: retry_after.map(String::from), excerpt: "said".into() }
    }

    #[track_caller]
    fn check(status: u16, outcome: Outcome, class: &str) {
        let (got, note) = classify(&answered(status, None), WALL_MS);
        assert_eq!(got, outcome, "{status}");
        assert_eq!((note.status, note.class), (Some(status), class));
        assert!(CLASSES.contains(&note.class), "{class}");
        assert_eq!(&*note.excerpt, if got == Outcome::Delivered { "" } else { "said" }, "{status}");
    }

    #[test]
    fn only_2xx_is_delivered() {
        for status in [200, 201, 202, 204, 206, 299] {
            check(status, Outcome::Delivered, "http_2xx");
        }
    }

    #[test]
    fn an_answer_that_is_none_has_failed() {
        check(100, FAILED, "http_1xx");
        check(103, FAILED, "http_1xx");
        check(0, FAILED, "http_other");
        check(99, FAILED, "http_other");
        check(600, FAILED, "http_other");
        check(999, FAILED, "http_other");
    }

    #[test]
    fn a_redirect_has_failed() {
        for status in [300, 301, 302, 303, 304, 307, 308] {
            check(status, FAILED, "http_3xx");
        }
    }

    #[test]
    fn only_400_413_and_422_blame_the_event() {
        for status in [400, 413, 422] {
            check(status, Outcome::Rejected, "http_4xx");
        }
        for status in [401, 402, 403, 404, 405, 406, 408, 409, 411, 415, 418, 421, 423, 425, 429, 431, 451, 499] {
            check(status, FAILED, "http_4xx");
        }
        for status in [500, 501, 502, 503, 504, 507, 599] {
            check(status, FAILED, "http_5xx");
        }
    }

    #[test]
    fn an_event_that_is_too_large_for_now_is_tried_again() {
        let wait = Some(Duration::from_secs(60));
        assert_eq!(classify(&answered(413, Some("60")), WALL_MS).0, Outcome::Failed { retry_after: wait });
        assert_eq!(classify(&answered(413, Some("soon")), WALL_MS).0, Outcome::Rejected);
        assert_eq!(classify(&answered(400, Some("60")), WALL_MS).0, Outcome::Rejected);
    }

    #[test]
    fn only_410_is_gone() {
        check(410, Outcome::Gone, "http_4xx");
    }

    #[track_caller]
    fn check_fault(answer: Answer, outcome: Outcome, class: &str) {
        let (got, note) = classify(&answer, WALL_MS);
        assert_eq!((got, note.status, note.class), (outcome, None, class));
    }

    #[test]
    fn what_the_network_does_is_the_endpoints_and_what_we_lack_is_ours() {
        check_fault(Answer::TimedOut, FAILED, "timeout");
        check_fault(Answer::ConnectFailed("unreachable".into()), FAILED, "connect");
        check_fault(Answer::Refused("refused".into()), FAILED, "connect");
        check_fault(Answer::ResolveFailed("no such name".into()), FAILED, "resolve");
        check_fault(Answer::TlsFailed("expired".into()), FAILED, "tls");
        check_fault(Answer::TokenFailed("invalid_client".into()), FAILED, "oauth");
        check_fault(Answer::Blocked, FAILED, "blocked");
        check_fault(Answer::Broken("reset".into()), FAILED, "broken");
        check_fault(Answer::Malformed("head too large".into()), FAILED, "malformed");
        check_fault(Answer::Disconnected, Outcome::Disconnected, "disconnected");
        check_fault(Answer::LocalFault("no file handles".into()), Outcome::LocalFault, "local");
    }

    #[test]
    fn only_a_connection_that_did_not_come_about_may_be_our_own_trouble() {
        for failed in [Answer::ConnectFailed, Answer::ResolveFailed, Answer::LocalFault] {
            assert_eq!(failed("no route".into()).contact(), Contact::Failed);
        }
        for unclear in [Answer::TimedOut, Answer::Refused("no".into()), Answer::Broken("".into()), Answer::Disconnected]
        {
            assert_eq!(unclear.contact(), Contact::Unclear, "{unclear:?}");
        }
        for made in
            [answered(200, None), answered(503, None), Answer::TlsFailed("".into()), Answer::Malformed("".into())]
        {
            assert_eq!(made.contact(), Contact::Made, "{made:?}");
        }
    }

    #[track_caller]
    fn check_retry_after(text: &str, wait: Option<u64>) {
        for status in [429, 503] {
            let (outcome, _) = classify(&answered(status, Some(text)), WALL_MS);
            assert_eq!(outcome, Outcome::Failed { retry_after: wait.map(Duration::from_secs) }, "{text:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        check_retry_after("0", Some(0));
        check_retry_after("1", Some(1));
        check_retry_after(" 120 ", Some(120));
        check_retry_after("3600", Some(3600));
        check_retry_after("86400", Some(3600));
        check_retry_after("3.5", Some(4));
        check_retry_after("3.0", Some(3));
        check_retry_after("0.1", Some(1));
        check_retry_after("99999999999999999999999999", Some(3600));
        check_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", Some(30));
        check_retry_after("Thursday, 01-Jan-26 00:00:30 GMT", Some(30));
        check_retry_after("Thu Jan  1 00:00:30 2026", Some(30));
        check_retry_after("Fri, 02 Jan 2026 00:00:00 GMT", Some(3600));
    }

    #[test]
    fn a_date_that_is_over_asks_for_no_wait() {
        check_retry_after("Wed, 31 Dec 2025 23:59:59 GMT", Some(0));
        check_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
    }

    #[test]
    fn garbage_in_retry_after_is_ignored() {
        for text in [
            "",
            " ",
            "soon",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.5.1",
            "-1.5",
            "1e3",
            "0x10",
            "١",
            "Thu, 32 Jan 2026 00:00:00 GMT",
            "\u{0}",
            "12 s",
        ] {
            check_retry_after(text, None);
        }
        check_retry_after(&"9".repeat(1_000_000), Some(3600));
        check_retry_after(&"x".repeat(1_000_000), None);
    }

    #[test]
    fn an_answer_is_remembered_up_to_a_kibibyte_and_never_cut_within_a_character() {
        let sly = Answer::Answered { status: 500, retry_after: None, excerpt: "a\u{1b}[31m\r\nb\u{9b}".into() };
        assert_eq!(&*classify(&sly, WALL_MS).1.excerpt, "a [31m \nb ", "nothing steers a terminal");
        let excerpt: Box<str> = "ü".repeat(2_000).into();
        let (_, note) = classify(&Answer::Answered { status: 500, retry_after: None, excerpt }, WALL_MS);
        assert_eq!(note.excerpt.len(), EXCERPT_BYTES_MAX);
        let (_, note) = classify(&Answer::Broken(format!("x{}", "ü".repeat(2_000)).into()), WALL_MS);
        assert_eq!(note.excerpt.len(), EXCERPT_BYTES_MAX - 1);
    }
}
