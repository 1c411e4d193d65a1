//! ● `postrider match`: a dry run.

use std::{fs, io::Read as _, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{CommandFailure, Session, endpoints::object, parsed, show, show_list, table::Column};
use crate::api::match_view::MatchView;

#[derive(Debug, Args)]
pub(in crate::command) struct MatchArguments {
    /// The topic
    topic: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The department
    #[arg(long)]
    department: Option<String>,
    /// A whole record in their place: {"key", "headers", "value"} as JSON; "-" reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "department"])]
    record: Option<PathBuf>,
    /// Explain why this endpoint (id or uid) gets the event or not; fails when it does not
    #[arg(long)]
    endpoint: Option<String>,
}

pub(super) async fn run(session: &Session, arguments: &MatchArguments) -> Result<(), CommandFailure> {
    let mut body = json!({ "topic": arguments.topic });
    let named =
        [("tenant", &arguments.tenant), ("department", &arguments.department), ("endpoint_id", &arguments.endpoint)];
    for (name, value) in named {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    if let Some(file) = &arguments.record {
        body["record"] = Value::Object(object(&text_of(file)?, "the record")?);
    }
    let answer = session.post(&["match"], &body).await?;
    let matched: MatchView = parsed(&answer)?;
    if session.json {
        show(session, &answer);
    } else {
        let rows = answer["data"].as_array().cloned().unwrap_or_default();
        if let Some(refused) = &matched.event.refused {
            session.note(&refused.detail);
        }
        match arguments.endpoint {
            Some(_) => rows.iter().for_each(|row| show(session, row)),
            None => {
                show_list(session, &rows, &COLUMNS);
                session.note(&format!("{} endpoint(s) would get it", matched.matched));
            }
        }
    }
    match arguments.endpoint {
        Some(_) if matched.data.first().is_some_and(|endpoint| !endpoint.verdict.gets) => {
            Err(CommandFailure::Failed("the endpoint does not get this event".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A file's text, or that of standard input.
pub(super) fn text_of(file: &PathBuf) -> Result<String, CommandFailure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(|_| text),
        false => fs::read_to_string(file),
    };
    read.map_err(|error| CommandFailure::Usage(format!("{}: cannot be read: {error}", file.display())))
}

const COLUMNS: [Column; 5] = [
    ("ENDPOINT", "/endpoint_id"),
    ("UID", "/uid"),
    ("CODE", "/code"),
    ("SUBSCRIPTIONS", "/subscription_ids"),
    ("URL", "/url"),
];
