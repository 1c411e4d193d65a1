//! ● `postrider check`: the configuration that is in effect.

use std::process::ExitCode;

use crate::config::Config;

pub(super) fn run(config: &Config) -> ExitCode {
    print!("{}", config.to_toml());
    // Secrets often come only where it runs, so their absence here is no failure.
    if let Err(missing) = config.ready_to_serve() {
        for error in missing.0 {
            eprintln!("postrider: note: {error}");
        }
    }
    ExitCode::SUCCESS
}
