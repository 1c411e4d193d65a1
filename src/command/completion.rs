//! ● `postrider completion`: what a shell needs to complete commands and options.

use std::{io::Write as _, process::ExitCode};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::CommandLine;

#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// For bash: source <(postrider completion bash)
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "postrider", &mut script);
    let _ = std::io::stdout().write_all(&script);
    ExitCode::SUCCESS
}
