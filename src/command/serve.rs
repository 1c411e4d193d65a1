//! ● `postrider serve`: deliver until told to stop.

use std::process::ExitCode;

use crate::{app, config::Config, telemetry};

pub(super) fn run(config: Config) -> ExitCode {
    if let Err(errors) = config.ready_to_serve() {
        return super::usage(&errors);
    }
    // Before the logs, which count what they drop.
    let _metrics = telemetry::metrics();
    let _logs = match telemetry::logs(&config.log) {
        Ok(logs) => logs,
        Err(error) => return super::failure(&error),
    };
    match app::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "postrider cannot run");
            ExitCode::FAILURE
        }
    }
}
