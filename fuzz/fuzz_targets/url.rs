//! `tests/fuzz/url.rs` says what has to hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/url.rs"]
mod check;

fuzz_target!(|text: &str| check::check(text));
