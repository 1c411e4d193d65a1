//! `tests/fuzz/request.rs` says what has to hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/request.rs"]
mod check;

fuzz_target!(|input: check::Input<'_>| check::check(&input));
