//! ● The command line: one file a command.
//!
//! Exit codes: 0, 1 when a command failed or the API refused, 2 for a wrong command line, 64 (`EX_USAGE`) for a wrong
//! configuration, 69 (`EX_UNAVAILABLE`) when the API does not answer.

pub mod check; // is the configuration right, and what is in effect?
pub mod demo; // everything at work, with sample customers
pub mod health; // does a running instance live?
pub mod listen; // a customer's side: receive and verify
pub mod migrate; // the database's schema
pub mod openapi; // the API, described
pub mod produce; // events to try things out with
pub mod serve; // deliver
pub mod settings; // the manual as a page
mod completion; // what a shell needs to complete commands
mod remote; // the API, for people

mod topics; // topics of Kafka and a rate, for produce and demo
mod receiver; // a customer's side, for listen and demo

use std::{fmt::Display, fs, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, ConfigErrors, DEFAULT};

/// Delivers events from Kafka to customers' HTTP endpoints: at least once, each endpoint on its own.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, max_term_width = 100, after_help = AFTER_HELP)]
struct CommandLine {
    /// Settings that override the defaults (TOML)
    #[arg(long, global = true, env = "POSTRIDER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Every setting can be given as a variable too: POSTRIDER_SECTION_KEY, or POSTRIDER_SECTION_KEY_FILE \
                          to read it from a file. `postrider check` prints them all.\n\
                          Exit codes: 0 done, 1 failed or refused, 2 wrong command line, 64 wrong configuration or no API \
                          key, 69 the API does not answer.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Deliver events until SIGTERM or Ctrl-C
    Serve(serve::ServeArguments),
    /// Bring the database to this version's schema
    Migrate,
    /// Say whether the settings are right, and print what is in effect, secrets hidden
    Check(check::CheckArguments),
    /// Print every setting, its default and its meaning, as a page of Markdown
    Settings,
    /// Print the API as an OpenAPI 3.1 document
    Openapi,
    /// Receive deliveries as a customer would: verify signatures and print what comes
    Listen(listen::ListenArguments),
    /// Send events to a topic: one, or a file of them, at a rate
    Produce(produce::ProduceArguments),
    /// Deliver sample events to sample customers, and show it
    Demo(demo::DemoArguments),
    /// Succeed when the instance lives (for container health checks)
    Health(health::HealthArguments),
    #[command(flatten)]
    Remote(remote::Resource),
    /// Print what a shell needs to complete commands: source <(postrider completion bash)
    Completion(completion::CompletionArguments),
}

/// `EX_USAGE`: something outside must be put right before another try makes sense.
const USAGE: u8 = 64;

/// Parses the command line and runs its command.
#[must_use]
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    let config = || load(line.config.as_ref());
    match line.command {
        Command::Openapi => openapi::run(),
        Command::Listen(arguments) => listen::run(&arguments),
        Command::Health(arguments) => health::run(&arguments, config),
        Command::Remote(resource) => resource.run(),
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Serve(arguments) => with(config(), |config| serve::run(&arguments, config)),
        Command::Migrate => with(config(), |config| migrate::run(&config)),
        Command::Produce(arguments) => with(config(), |config| produce::run(&arguments, &config)),
        Command::Settings => settings::run(),
        Command::Check(arguments) => with(config(), |config| check::run(&arguments, &config)),
        Command::Demo(arguments) => with(config(), |config| demo::run(&arguments, line.config.as_ref(), config)),
    }
}

fn with(config: Result<Config, ConfigErrors>, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config {
        Ok(config) => command(config),
        Err(errors) => usage(&errors),
    }
}

/// The configuration of this process: defaults, file, environment.
fn load(path: Option<&PathBuf>) -> Result<Config, ConfigErrors> {
    let name = path.map(|path| path.display().to_string());
    let text = path.map(fs::read_to_string).transpose().map_err(|error| {
        let problem = format!("cannot be read: {error}");
        ConfigErrors(vec![ConfigError { key: name.clone().unwrap_or_default(), value: None, from: None, problem }])
    })?;
    // A variable that is not UTF-8 cannot be one of ours, but must not end us either.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::parse(DEFAULT, name.as_deref().zip(text.as_deref()), environment, |path| fs::read_to_string(path))
}

fn usage(errors: &ConfigErrors) -> ExitCode {
    eprintln!("postrider: {errors}");
    ExitCode::from(USAGE)
}

fn failure(error: &dyn Display) -> ExitCode {
    eprintln!("postrider: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Every argument of a command and of those below it that nobody explains.
    fn unexplained(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
        found.extend(arguments.map(|argument| format!("{path} {}", argument.get_id())));
        command.get_subcommands().for_each(|below| unexplained(below, &path, found));
    }

    #[test]
    fn every_argument_is_explained() {
        let mut found = Vec::new();
        unexplained(&CommandLine::command(), "", &mut found);
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn how_to_reach_the_api_stands_apart_from_a_commands_own_options() {
        let mut line = CommandLine::command();
        line.build();
        let endpoints = line.find_subcommand("endpoints").and_then(|command| command.find_subcommand("list"));
        let arguments: Vec<_> = endpoints.expect("a command").get_arguments().collect();
        let heading = |id: &str| {
            arguments.iter().find(|argument| argument.get_id() == id).and_then(|argument| argument.get_help_heading())
        };
        assert!(heading("api_url").is_some() && heading("json").is_some());
        assert_eq!(heading("limit"), None);
    }

    #[test]
    fn actors_are_listed_as_everything_else_is() {
        for words in
            [&["postrider", "actors", "list", "--kind", "endpoint"][..], &["postrider", "actors", "get", "ep_1"]]
        {
            assert!(CommandLine::try_parse_from(words).is_ok(), "{words:?}");
        }
    }
}
