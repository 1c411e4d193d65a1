//! ● `postrider endpoints …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{CommandFailure, PageArguments, Session, apply, parsed, show, show_list, table::Column};
use crate::api::{attempt::TestView, endpoint::EndpointSettings, endpoint_body::EndpointBody, fields::about};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum EndpointCommand {
    /// List endpoints
    List {
        /// A part of an id, uid, URL or description
        #[arg(long, short)]
        q: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["enabled", "paused", "disabled"])]
        state: Option<String>,
        /// Only those of this customer (id or uid)
        #[arg(long)]
        customer: Option<String>,
        /// created, updated, uid or url; with - before it the other way round
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// One endpoint with all its settings
    Get {
        /// An id, or your own key
        endpoint: String,
    },
    /// Create an endpoint; prints its signing secret, this once
    Create(EndpointCreateArguments),
    /// Change settings: a JSON merge patch, such as '{"in_flight_max": 4}'
    Set {
        /// An id, or your own key
        endpoint: String,
        /// The settings that change, as a JSON object
        patch: String,
    },
    /// Create or change many from a file (JSON: a list, or {"endpoints": […]}; "-" reads standard input)
    Apply {
        /// The file
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete an endpoint with its subscriptions
    Delete {
        /// An id, or your own key
        endpoint: String,
    },
    /// Keep its events waiting
    Pause {
        /// An id, or your own key
        endpoint: String,
    },
    /// Send what waits, and go on
    Resume {
        /// An id, or your own key
        endpoint: String,
    },
    /// Take a disabled endpoint up again
    Enable {
        /// An id, or your own key
        endpoint: String,
    },
    /// Send nothing any more; what comes waits
    Disable {
        /// An id, or your own key
        endpoint: String,
    },
    /// Rebuild its actor, on every instance
    Restart {
        /// An id, or your own key
        endpoint: String,
    },
    /// Send one synthetic event now, whatever its state, and say what came back
    Test {
        /// An id, or your own key
        endpoint: String,
    },
    /// A new signing secret; the one before goes on signing for a while
    Rotate {
        /// An id, or your own key
        endpoint: String,
        /// For how long the old one goes on signing; a day without
        #[arg(long, value_name = "MS")]
        overlap_ms: Option<u64>,
    },
    /// Its attempts, the newest first
    Attempts {
        /// An id, or your own key
        endpoint: String,
        /// not_delivered, delivered, failed, rejected, …
        #[arg(long)]
        outcome: Option<String>,
        /// Only those of this event, by the id its receiver sees
        #[arg(long)]
        event_id: Option<String>,
        /// From this time on (RFC 3339)
        #[arg(long)]
        since: Option<String>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Numbers of events that it took and of attempts that failed, by the minute or the hour
    Counts(AttemptCountArguments),
    /// Its state in one word, rates, durations, what waits, the newest error
    Stats {
        /// An id, or your own key
        endpoint: String,
    },
    /// Number of events that wait for it, and since when
    Backlog {
        /// An id, or your own key
        endpoint: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::command) struct EndpointCreateArguments {
    #[arg(long, help = about::<EndpointBody>("customer_id"))]
    customer: Option<String>,
    #[arg(long, help = about::<EndpointBody>("url"))]
    url: String,
    #[arg(long, help = about::<EndpointBody>("uid"))]
    uid: Option<String>,
    #[arg(long, help = about::<EndpointSettings>("description"))]
    description: Option<String>,
    /// Send batches: N events or T milliseconds, whichever comes first
    #[arg(long, value_name = "EVENTS[,MS]")]
    batch: Option<String>,
    /// More settings as JSON, such as '{"auth": {"type": "bearer", "token": "…"}}'
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct AttemptCountArguments {
    /// An id, or your own key
    endpoint: String,
    /// Span of time of each number
    #[arg(long, value_parser = ["minute", "hour"])]
    per: Option<String>,
    /// From this time on (RFC 3339); an hour ago without, or a day by the hour
    #[arg(long)]
    since: Option<String>,
    /// Before this time; now without
    #[arg(long)]
    until: Option<String>,
}

pub(super) async fn run(session: &Session, command: &EndpointCommand) -> Result<(), CommandFailure> {
    match command {
        EndpointCommand::List { q, state, customer, sort, page } => {
            let query = [
                ("q", q.as_deref()),
                ("state", state.as_deref()),
                ("customer_id", customer.as_deref()),
                ("sort", sort.as_deref()),
            ];
            show_list(session, &session.list(&["endpoints"], &query, page.rows_max()).await?, &COLUMNS);
        }
        EndpointCommand::Get { endpoint } => show(session, &session.get(&["endpoints", endpoint], &[]).await?),
        EndpointCommand::Create(create) => show(session, &session.post(&["endpoints"], &create.body()?).await?),
        EndpointCommand::Set { endpoint, patch } => {
            let patch = Value::Object(object(patch, "the patch")?);
            show(session, &session.patch(&["endpoints", endpoint], &patch).await?);
        }
        EndpointCommand::Apply { file } => apply::section(session, file, "endpoints").await?,
        EndpointCommand::Delete { endpoint } => {
            session.delete(&["endpoints", endpoint]).await?;
        }
        EndpointCommand::Pause { endpoint } => act(session, endpoint, "pause").await?,
        EndpointCommand::Resume { endpoint } => act(session, endpoint, "resume").await?,
        EndpointCommand::Enable { endpoint } => act(session, endpoint, "enable").await?,
        EndpointCommand::Disable { endpoint } => act(session, endpoint, "disable").await?,
        EndpointCommand::Restart { endpoint } => act(session, endpoint, "restart").await?,
        EndpointCommand::Test { endpoint } => test(session, endpoint).await?,
        EndpointCommand::Rotate { endpoint, overlap_ms } => {
            let body = overlap_ms.map_or_else(|| json!({}), |ms| json!({ "overlap_ms": ms }));
            let rotated = session.post(&["endpoints", endpoint, "secrets", "rotate"], &body).await?;
            let shown = json!({ "id": rotated["id"], "uid": rotated["uid"], "secret": rotated["secret"] });
            show(session, &shown);
        }
        EndpointCommand::Attempts { endpoint, outcome, event_id, since, page } => {
            let query =
                [("outcome", outcome.as_deref()), ("event_id", event_id.as_deref()), ("since", since.as_deref())];
            let rows = session.list(&["endpoints", endpoint, "attempts"], &query, page.rows_max()).await?;
            show_list(session, &rows, &ATTEMPTS);
            session.note(
                "failures are kept in full; of first attempts that went well only a sample is (attempts.delivered_sample_every): \
                 `postrider endpoints counts` counts all",
            );
        }
        EndpointCommand::Counts(counts) => counts.show(session).await?,
        EndpointCommand::Stats { endpoint } => {
            let mut stats = session.get(&["endpoints", endpoint, "stats"], &[]).await?;
            if !session.json {
                // As a table they have a command of their own.
                stats["counts"]["data"].take();
            }
            show(session, &stats);
        }
        EndpointCommand::Backlog { endpoint } => {
            show(session, &session.get(&["endpoints", endpoint, "backlog"], &[]).await?)
        }
    }
    Ok(())
}

impl AttemptCountArguments {
    async fn show(&self, session: &Session) -> Result<(), CommandFailure> {
        let given = [("per", &self.per), ("since", &self.since), ("until", &self.until)];
        let query: Vec<(&str, &str)> =
            given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let mut stats = session.get(&["endpoints", &self.endpoint, "stats"], &query).await?;
        let counts = stats["counts"].take();
        if session.json {
            show(session, &counts);
            return Ok(());
        }
        show_list(session, counts["data"].as_array().map_or(&[], Vec::as_slice), &COUNTS);
        let (delivered, failed) = (&counts["delivered"], &counts["failed_attempts"]);
        session.say(&format!("\n{delivered} delivered, {failed} attempts failed"));
        Ok(())
    }
}

impl EndpointCreateArguments {
    fn body(&self) -> Result<Value, CommandFailure> {
        let mut body = match &self.settings {
            Some(settings) => object(settings, "--settings")?,
            None => Map::new(),
        };
        body.insert("url".to_owned(), self.url.as_str().into());
        let named = [("customer_id", &self.customer), ("uid", &self.uid), ("description", &self.description)];
        for (name, value) in named {
            if let Some(value) = value {
                body.insert(name.to_owned(), value.as_str().into());
            }
        }
        if let Some(batch) = &self.batch {
            let (events, ms) = batch.split_once(',').unwrap_or((batch, "1000"));
            let (Ok(events), Ok(ms)) = (events.trim().parse::<u32>(), ms.trim().parse::<u64>()) else {
                return Err(CommandFailure::Usage("--batch must be EVENTS or EVENTS,MS, such as 1000,1000".to_owned()));
            };
            body.insert("mode".to_owned(), "batch".into());
            body.insert("batch".to_owned(), json!({ "events_max": events, "wait_ms_max": ms }));
        }
        Ok(Value::Object(body))
    }
}

/// A JSON object from the command line.
pub(super) fn object(text: &str, what: &str) -> Result<Map<String, Value>, CommandFailure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(CommandFailure::Usage(format!("{what} must be a JSON object"))),
        Err(error) => Err(CommandFailure::Usage(format!("{what} is not JSON: {error}"))),
    }
}

async fn act(session: &Session, endpoint: &str, action: &str) -> Result<(), CommandFailure> {
    let done = session.post(&["endpoints", endpoint, action], &json!({})).await?;
    match session.json {
        true => show(session, &done),
        false => show_list(session, &[done], &COLUMNS),
    }
    Ok(())
}

/// Fails when the endpoint does.
async fn test(session: &Session, endpoint: &str) -> Result<(), CommandFailure> {
    let tested = session.post(&["endpoints", endpoint, "test"], &json!({})).await?;
    show(session, &tested);
    match parsed::<TestView>(&tested)?.outcome.outcome.as_str() {
        "delivered" => Ok(()),
        _ => Err(CommandFailure::Failed("the endpoint did not take the test event".to_owned())),
    }
}

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("UID", "/uid"),
    ("CUSTOMER", "/customer_id"),
    ("STATE", "/state"),
    ("MODE", "/mode"),
    ("URL", "/url"),
];
const COUNTS: [Column; 3] = [("FROM", "/at"), ("DELIVERED", "/delivered"), ("FAILED", "/failed_attempts")];
const ATTEMPTS: [Column; 8] = [
    ("ENDED", "/ended_at"),
    ("OUTCOME", "/outcome"),
    ("STATUS", "/status"),
    ("MS", "/duration_ms"),
    ("ATTEMPT", "/attempt"),
    ("EVENTS", "/events"),
    ("NEXT", "/next"),
    ("ANSWER", "/excerpt"),
];
