//! ● `postrider dead-letters …`

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{CommandFailure, PageArguments, Session, parsed, progress, show, show_list, table::Column};
use crate::{
    api::dead_letter_view::{Acknowledged, RedriveProgress, Redriving},
    model::settings::EndpointState,
};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum DeadLetterCommand {
    /// List an endpoint's dead letters; without an endpoint, records that never got as far as one
    List {
        /// An id, or your own key
        endpoint: Option<String>,
        #[command(flatten)]
        filter: DeadLetterFilterArguments,
        /// Wait so many seconds for the first one
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=30))]
        wait: Option<u32>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// One dead letter with its record
    Get {
        /// Its id
        id: String,
    },
    /// They were seen: delete them
    Ack(DeadLetterSelectionArguments),
    /// Send them to their endpoint again, and watch until each is delivered, given up again or cancelled
    Redrive {
        #[command(flatten)]
        selection: DeadLetterSelectionArguments,
        /// Return once they are marked; an interrupt leaves them on their way as well
        #[arg(long)]
        no_wait: bool,
    },
}

/// A selection of letters.
#[derive(Debug, Args)]
pub(in crate::command) struct DeadLetterFilterArguments {
    /// rejected, exhausted, undecodable, too_large or internal
    #[arg(long)]
    reason: Option<String>,
    /// Only of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// From this time on (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// Before this time
    #[arg(long)]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct DeadLetterSelectionArguments {
    /// An id, or your own key
    endpoint: String,
    /// These, separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// All that are there now
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    filter: DeadLetterFilterArguments,
}

pub(super) async fn run(session: &Session, command: &DeadLetterCommand) -> Result<(), CommandFailure> {
    match command {
        DeadLetterCommand::List { endpoint, filter, wait, page } => {
            let wait = wait.map(|seconds| format!("{seconds}s"));
            let mut query = filter.pairs().to_vec();
            query.push(("wait", wait.as_deref()));
            let of_endpoint = endpoint.as_deref().map(|endpoint| ["endpoints", endpoint, "dead-letters"]);
            let path: &[&str] = of_endpoint.as_ref().map_or(&["dead-letters"], |path| path);
            show_list(session, &session.list(path, &query, page.rows_max()).await?, &COLUMNS);
        }
        DeadLetterCommand::Get { id } => show(session, &session.get(&["dead-letters", id], &[]).await?),
        DeadLetterCommand::Ack(selection) => {
            let count = |answer: &Acknowledged| (answer.acknowledged, answer.more);
            let (letters, _) = each(session, selection, "ack", "acknowledged", count).await?;
            told(session, &json!({ "acknowledged": letters }), &format!("{letters} acknowledged"));
        }
        DeadLetterCommand::Redrive { selection, no_wait } => redrive(session, selection, !no_wait).await?,
    }
    Ok(())
}

/// Repeats the command while there are more; how many, and the first answer.
async fn each<T: DeserializeOwned>(
    session: &Session,
    selection: &DeadLetterSelectionArguments,
    action: &str,
    done: &'static str,
    count: impl Fn(&T) -> (u64, bool),
) -> Result<(u64, T), CommandFailure> {
    let body = selection.body()?;
    let bar = progress::count(done);
    let (mut letters, mut first) = (0, None);
    loop {
        let answer = session.post(&["endpoints", &selection.endpoint, "dead-letters", action], &body).await?;
        let answer: T = parsed(&answer)?;
        let (more_letters, more) = count(&answer);
        letters += more_letters;
        bar.set_position(letters);
        let first_answer = first.take().unwrap_or(answer);
        if !more {
            bar.finish_and_clear();
            return Ok((letters, first_answer));
        }
        first = Some(first_answer);
    }
}

/// Fails when some were given up again.
async fn redrive(
    session: &Session,
    selection: &DeadLetterSelectionArguments,
    mut wait: bool,
) -> Result<(), CommandFailure> {
    let count = |answer: &Redriving| (answer.redriving, answer.more);
    let (letters, first) = each(session, selection, "redrive", "redriving", count).await?;
    if wait && letters > 0 {
        let endpoint = session.get(&["endpoints", &selection.endpoint], &[]).await?;
        if endpoint["state"] != json!(EndpointState::Enabled) {
            session.note("the endpoint is not enabled: they wait until it is");
            wait = false;
        }
    }
    if !wait {
        told(session, &json!({ "redriving": letters }), &format!("{letters} redriving"));
        return Ok(());
    }
    let ends = follow(session, selection, letters, first.requested_at).await?;
    let RedriveProgress { delivered, dead_again: again, cancelled, .. } = ends;
    let counts = json!({ "redriven": letters, "delivered": delivered, "dead_again": again, "cancelled": cancelled, "waiting": 0 });
    let text = format!("{letters} redriven: {delivered} delivered, {again} given up again, {cancelled} cancelled");
    told(session, &counts, &text);
    match (again, cancelled) {
        (0, 0) => Ok(()),
        (0, _) => Err(CommandFailure::Failed(format!("{cancelled} of {letters} are no longer subscribed to"))),
        _ => Err(CommandFailure::Failed(format!("{again} of {letters} were given up again"))),
    }
}

/// Until none waits any more.
async fn follow(
    session: &Session,
    selection: &DeadLetterSelectionArguments,
    all: u64,
    since: Timestamp,
) -> Result<RedriveProgress, CommandFailure> {
    let since = since.to_string();
    let bar = progress::bar(all, "delivered, given up again or cancelled");
    let mut looks_in_vain = 0;
    let mut before = i64::MAX;
    loop {
        let answer =
            session.get(&["endpoints", &selection.endpoint, "dead-letters", "redrive"], &[("since", &since)]).await?;
        let progress: RedriveProgress = parsed(&answer)?;
        let waiting = progress.waiting;
        bar.set_position(all.saturating_sub(u64::try_from(waiting).unwrap_or(0)));
        if waiting == 0 {
            bar.finish_and_clear();
            return Ok(progress);
        }
        looks_in_vain = if waiting < before { 0 } else { looks_in_vain + 1 };
        before = waiting;
        if looks_in_vain == LOOKS_BEFORE_NOTE {
            session.note(&format!("{waiting} wait for the endpoint; an interrupt leaves them on their way"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn told(session: &Session, counts: &Value, text: &str) {
    match session.json {
        true => show(session, counts),
        false => session.say(text),
    }
}

impl DeadLetterFilterArguments {
    fn pairs(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("reason", self.reason.as_deref()),
            ("topic", self.topic.as_deref()),
            ("tenant", self.tenant.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ]
    }
}

impl DeadLetterSelectionArguments {
    fn body(&self) -> Result<Value, CommandFailure> {
        let said = self.filter.pairs().into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        let filter: Map<String, Value> = said.collect();
        match (self.id.is_empty(), self.all, filter.is_empty()) {
            (false, false, true) => Ok(json!({ "ids": self.id })),
            (true, true, true) => Ok(json!({ "all": true })),
            (true, false, false) => Ok(json!({ "filter": filter })),
            _ => Err(CommandFailure::Usage(
                "say which: --id, --all, or --reason, --topic, --tenant, --since, --until".to_owned(),
            )),
        }
    }
}

/// Looks at which nothing has moved.
const LOOKS_BEFORE_NOTE: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(500);

const COLUMNS: [Column; 8] = [
    ("ID", "/id"),
    ("CREATED", "/created_at"),
    ("TOPIC", "/topic"),
    ("TENANT", "/tenant"),
    ("REASON", "/reason"),
    ("ATTEMPTS", "/attempts"),
    ("STATUS", "/last_status"),
    ("STATE", "/state"),
];
