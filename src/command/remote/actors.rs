//! ● `postrider actors`

use clap::{Args, Subcommand};

use super::{CommandFailure, PageArguments, Session, show, show_list, table::Column};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum ActorCommand {
    /// List actors
    List(ActorListArguments),
    /// One actor
    Get {
        /// Its id: an endpoint's, or TOPIC/PARTITION
        actor: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::command) struct ActorListArguments {
    /// Only of this kind: endpoint, ingest, router, …
    #[arg(long)]
    kind: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<String>,
    /// Only those with this in their names
    #[arg(long, short)]
    q: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

pub(super) async fn run(session: &Session, command: &ActorCommand) -> Result<(), CommandFailure> {
    match command {
        ActorCommand::List(arguments) => list(session, arguments).await,
        ActorCommand::Get { actor } => {
            show(session, &session.get(&["actors", actor], &[]).await?);
            Ok(())
        }
    }
}

async fn list(session: &Session, arguments: &ActorListArguments) -> Result<(), CommandFailure> {
    let ActorListArguments { kind, state, q, page } = arguments;
    let query = [("kind", kind.as_deref()), ("state", state.as_deref()), ("q", q.as_deref())];
    show_list(session, &session.list(&["actors"], &query, page.rows_max()).await?, &COLUMNS);
    Ok(())
}

const COLUMNS: [Column; 11] = [
    ("KIND", "/kind"),
    ("ID", "/id"),
    ("INSTANCE", "/instance"),
    ("STATE", "/state"),
    ("QUEUED", "/queue_events"),
    ("IN FLIGHT", "/in_flight"),
    ("BREAKER", "/breaker"),
    ("RESTARTS", "/restarts"),
    ("FAILED", "/failed_attempts"),
    ("LAST ERROR", "/last_error/class"),
    ("WHY", "/why"),
];
