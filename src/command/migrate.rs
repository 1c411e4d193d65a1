//! ● `postrider migrate`: the database's schema. Safe while instances run, and to repeat.

use std::process::ExitCode;

use secrecy::ExposeSecret;

use crate::{config::Config, store};

pub(super) fn run(config: &Config) -> ExitCode {
    match actix::System::new().block_on(store::migrate(config.postgres.url.expose_secret())) {
        Ok(()) => {
            eprintln!("postrider: the database is up to date");
            ExitCode::SUCCESS
        }
        Err(error) => super::failure(&error),
    }
}
