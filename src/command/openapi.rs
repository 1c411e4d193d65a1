//! ● `postrider openapi`: the API as a document, for generators of clients.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::admin::openapi_routes;

/// Prints it. A reader that has seen enough is no failure.
pub(super) fn run() -> ExitCode {
    match writeln!(io::stdout(), "{}", openapi_routes::written()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => super::failure(&error),
        _ => ExitCode::SUCCESS,
    }
}
