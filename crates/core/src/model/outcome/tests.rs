//! The meaning of every answer.

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
    check_fault(Answer::TokenServerUnresolved("no such name".into()), FAILED, "resolve");
    check_fault(Answer::Blocked, FAILED, "blocked");
    check_fault(Answer::Broken("reset".into()), FAILED, "broken");
    check_fault(Answer::Malformed("head too large".into()), FAILED, "malformed");
    check_fault(Answer::Disconnected, Outcome::Disconnected, "disconnected");
    check_fault(Answer::LocalFault("no file handles".into()), Outcome::LocalFault, "local");
}

#[test]
fn a_request_that_found_no_stream_is_no_attempt_and_says_that_it_is_too_much() {
    check_fault(Answer::NoStream, Outcome::LocalFault, "no_stream");
    let (outcome, note) = classify(&Answer::NoStream, WALL_MS);
    assert_eq!(outcome.bearing(&note), Bearing::TooMuch);
    let (ours, note) = classify(&Answer::LocalFault("no file handles".into()), WALL_MS);
    assert_eq!(ours.bearing(&note), Bearing::Unclear);
}

#[test]
fn only_a_connection_that_did_not_come_about_may_be_our_own_trouble() {
    for failed in [Answer::ConnectFailed, Answer::ResolveFailed, Answer::LocalFault] {
        assert_eq!(failed("no route".into()).contact(), Contact::Failed);
    }
    let broken = Answer::Broken("".into());
    for unclear in [Answer::TimedOut, Answer::NoStream, Answer::Refused("no".into()), broken, Answer::Disconnected] {
        assert_eq!(unclear.contact(), Contact::Unclear, "{unclear:?}");
    }
    for made in [answered(200, None), answered(503, None), Answer::TlsFailed("".into()), Answer::Malformed("".into())] {
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

#[test]
fn only_some_failures_say_that_there_are_too_many_requests() {
    let bearing = |answer: &Answer| {
        let (outcome, note) = classify(answer, WALL_MS);
        outcome.bearing(&note)
    };
    assert_eq!(bearing(&answered(204, None)), Bearing::Served);
    for answer in [answered(429, Some("3")), answered(503, None), Answer::TimedOut, Answer::Broken("".into())] {
        assert_eq!(bearing(&answer), Bearing::TooMuch, "{answer:?}");
    }
    for answer in [answered(500, None), answered(422, None), Answer::TlsFailed("".into()), Answer::Disconnected] {
        assert_eq!(bearing(&answer), Bearing::Unclear, "{answer:?}");
    }
}
