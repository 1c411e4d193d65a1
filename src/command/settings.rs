//! ● `postrider settings`: every setting, its default and its meaning, as a page.

use std::process::ExitCode;

use crate::config::{DEFAULT, manual};

pub(super) fn run() -> ExitCode {
    print!("{}", manual::markdown(DEFAULT));
    ExitCode::SUCCESS
}
