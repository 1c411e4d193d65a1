//! `tests/fuzz/decode.rs` says what has to hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/decode.rs"]
mod check;

fuzz_target!(|input: check::Input<'_>| check::check(&input));
