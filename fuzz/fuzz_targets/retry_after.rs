//! `tests/fuzz/retry_after.rs` says what has to hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/retry_after.rs"]
mod check;

fuzz_target!(|input: (u16, Option<&str>, &str, i64)| check::check(input.0, input.1, input.2, input.3));
