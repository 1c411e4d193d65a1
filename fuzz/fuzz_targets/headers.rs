//! `tests/fuzz/headers.rs` says what has to hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/headers.rs"]
mod check;

fuzz_target!(|input: (Vec<(&str, &str)>, &str, &str)| check::check(&input.0, input.1, input.2));
