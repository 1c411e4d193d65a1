//! ● The commands that talk to a running Postrider: one for each of its resources, the same calls that any program makes.
//!
//! Tables for people, as wide as their terminal; `--json` for programs. Exit codes: 0, 1 when the API refused, 64 when it is
//! not said where the API is or with which key, 69 when nobody answers.

mod actors;
mod apply; // many at once, from a file
mod customers;
mod dead_letters;
mod endpoints;
mod keys;
mod progress; // of long work
mod replays;
mod session; // one caller's conversation with the API
mod subscriptions;
mod table; // JSON as rows and columns
mod match_event; // a dry run

pub(super) use self::{
    session::{CommandFailure, Session, SessionArguments, parsed, typed},
    subscriptions::ScopeArguments,
};

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

/// A resource's commands, and how to reach the API.
#[derive(Debug, Args)]
pub(super) struct Remote<C: Subcommand> {
    #[command(flatten)]
    connection: SessionArguments,
    #[command(subcommand)]
    what: C,
}

/// One command without others below it.
#[derive(Debug, Args)]
pub(super) struct SingleCommand<C: Args> {
    #[command(flatten)]
    connection: SessionArguments,
    #[command(flatten)]
    what: C,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident($arguments:ty) = $run:path;)*) => {
        /// A command that talks to a running Postrider.
        #[derive(Debug, Subcommand)]
        pub(super) enum Resource {
            $($(#[$doc])* $name($arguments),)*
        }

        impl Resource {
            pub(super) fn run(&self) -> ExitCode {
                match self {
                    $(Resource::$name(arguments) => {
                        run(&arguments.connection, async |session| $run(session, &arguments.what).await)
                    })*
                }
            }
        }
    };
}

resources! {
    /// Customers' endpoints: list, get, create, change, pause, test, …
    Endpoints(Remote<endpoints::EndpointCommand>) = endpoints::run;
    /// Subscriptions: the events that an endpoint gets
    Subscriptions(Remote<subscriptions::SubscriptionCommand>) = subscriptions::run;
    /// Shows who would get an event, and why an endpoint would not; nothing is sent
    Match(SingleCommand<match_event::MatchArguments>) = match_event::run;
    /// Dead letters: list, acknowledge, send again
    DeadLetters(Remote<dead_letters::DeadLetterCommand>) = dead_letters::run;
    /// A range of Kafka again, for one endpoint
    Replays(Remote<replays::ReplayCommand>) = replays::run;
    /// Customers and their grants
    Customers(Remote<customers::CustomerCommand>) = customers::run;
    /// API keys and their roles
    Keys(Remote<keys::KeyCommand>) = keys::run;
    /// The health of every actor
    Actors(Remote<actors::ActorCommand>) = actors::run;
    /// Write customers, endpoints and subscriptions from a file; repeating it changes nothing
    Apply(SingleCommand<apply::ApplyArguments>) = apply::run;
}

/// Connects, runs a command, and says what went wrong.
fn run(connection: &SessionArguments, command: impl AsyncFnOnce(&Session) -> Result<(), CommandFailure>) -> ExitCode {
    let done = actix::System::new().block_on(async {
        let session = Session::open(connection)?;
        command(&session).await
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("postrider: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints a resource that was read or written.
fn show(session: &Session, resource: &Value) {
    session.say(&if session.json { table::pretty(resource) } else { table::fields(resource, session.width()) });
}

/// Prints a list.
fn show_list(session: &Session, rows: &[Value], columns: &[table::Column]) {
    let text = match session.json {
        true => table::pretty(&Value::Array(rows.to_vec())),
        false => table::rows(rows, columns, session.width()),
    };
    session.say(&text);
}

/// The part of a list that is shown.
#[derive(Debug, Args)]
pub(in crate::command) struct PageArguments {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl PageArguments {
    fn rows_max(&self) -> usize {
        if self.all { usize::MAX } else { self.limit as usize }
    }
}
