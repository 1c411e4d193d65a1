//! ● `postrider openapi`: the API as a document, for generators of clients.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::admin::description;

/// Prints it. A reader that has seen enough is no failure.
pub(super) fn run() -> ExitCode {
    match writeln!(io::stdout(), "{}", description::written()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => super::failure(&error),
        _ => ExitCode::SUCCESS,
    }
}
