//! ○ Whatever an endpoint answers: what is made of it ends without a panic, waits no longer than an hour, and keeps little.

use std::time::Duration;

use postrider::model::outcome::{Answer, EXCERPT_BYTES_MAX, Outcome, classify};

pub(super) fn check(status: u16, retry_after: Option<&str>, excerpt: &str, wall_ms: i64) {
    let answer = Answer::Answered { status, retry_after: retry_after.map(str::to_owned), excerpt: excerpt.into() };
    let (outcome, note) = classify(&answer, wall_ms);
    if let Outcome::Failed { retry_after: Some(wait) } = outcome {
        assert!(wait <= Duration::from_secs(3_600), "{wait:?}");
    }
    assert_eq!(outcome == Outcome::Delivered, (200..300).contains(&status));
    assert!(note.excerpt.len() <= EXCERPT_BYTES_MAX);
    assert!(!note.excerpt.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{:?}", note.excerpt);
}
