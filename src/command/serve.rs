//! ● `postrider serve`: deliver until told to stop.

use std::{future, io, process::ExitCode, thread};

use clap::Args;

use crate::{app, config::Config, telemetry};

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Also stop when standard input ends, so that it cannot outlive the program that started it
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

pub(super) fn run(arguments: &ServeArguments, config: Config) -> ExitCode {
    if let Err(errors) = config.ready_to_serve() {
        return super::usage(&errors);
    }
    forbid_core_dumps();
    // Compiled in for the tests alone: what `FAILPOINTS` says goes wrong.
    let _faults = fail::has_failpoints().then(fail::FailScenario::setup);
    // Before the logs, which count what they drop.
    let _metrics = telemetry::metrics();
    let instance = app::new_instance();
    let exports = match telemetry::otlp::start(&(&config.otlp).into(), &config.kafka.group_id, &instance) {
        Ok(exports) => exports,
        Err(error) => return super::failure(&error),
    };
    let _logs = match telemetry::logs(&(&config.log).into(), exports.log_bridge()) {
        Ok(logs) => logs,
        Err(error) => return super::failure(&error),
    };
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let result = if arguments.until_stdin_ends {
        app::run_until(config, instance, stdin_ended())
    } else {
        app::run_until(config, instance, future::pending())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "postrider cannot run");
            ExitCode::FAILURE
        }
    }
}

/// A core dump would hold customers' secrets in the clear.
fn forbid_core_dumps() {
    if let Err(error) = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0) {
        eprintln!("postrider: core dumps cannot be turned off: {error}");
    }
}

async fn stdin_ended() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let reader = thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(end);
    });
    match reader {
        Ok(_) => drop(ended.await),
        Err(_) => future::pending().await,
    }
}
