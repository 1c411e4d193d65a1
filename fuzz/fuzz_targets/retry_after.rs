//! Whatever an endpoint answers: what is made of it ends without a panic, waits no longer than an hour, and keeps little.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postrider::model::outcome::{Answer, EXCERPT_BYTES_MAX, Outcome, classify};

fuzz_target!(|input: (u16, Option<&str>, &str, i64)| {
    let (status, retry_after, excerpt, wall_ms) = input;
    let answer = Answer::Answered { status, retry_after: retry_after.map(str::to_owned), excerpt: excerpt.into() };
    let (outcome, note) = classify(&answer, wall_ms);
    if let Outcome::Failed { retry_after: Some(wait) } = outcome {
        assert!(wait <= Duration::from_secs(3_600), "{wait:?}");
    }
    assert_eq!(outcome == Outcome::Delivered, (200..300).contains(&status));
    assert!(note.excerpt.len() <= EXCERPT_BYTES_MAX);
    assert!(!note.excerpt.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{:?}", note.excerpt);
});
