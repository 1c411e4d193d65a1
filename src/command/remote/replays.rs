//! ● `postrider replays …`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CommandFailure, PageArguments, Session, parsed, progress, show, show_list, table::Column};
use crate::api::{
    fields::about,
    replay::{ReplayBody, ReplayState, ReplayView, ReplayedPartition},
};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum ReplayCommand {
    /// List replays
    List {
        /// Only those of this endpoint (id or uid)
        #[arg(long)]
        endpoint: Option<String>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// The progress of one replay
    Get {
        /// Its id
        id: String,
    },
    /// Send a closed range of a topic to one endpoint again
    Create(ReplayCreateArguments),
    /// Watch a replay until it is over
    Follow {
        /// Its id
        id: String,
    },
    /// End a replay
    Cancel {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::command) struct ReplayCreateArguments {
    #[arg(long, help = about::<ReplayBody>("endpoint_id"))]
    endpoint: String,
    #[arg(long, help = about::<ReplayBody>("topic"))]
    topic: String,
    #[arg(long, value_name = "RFC3339", help = about::<ReplayBody>("from_time"))]
    from: String,
    #[arg(long, value_name = "RFC3339", help = about::<ReplayBody>("to_time"))]
    to: String,
    /// Watch it until it is over
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(session: &Session, command: &ReplayCommand) -> Result<(), CommandFailure> {
    match command {
        ReplayCommand::List { endpoint, page } => {
            let query = [("endpoint_id", endpoint.as_deref())];
            show_list(session, &session.list(&["replays"], &query, page.rows_max()).await?, &COLUMNS);
        }
        ReplayCommand::Get { id } => show_one(session, &session.get(&["replays", id], &[]).await?),
        ReplayCommand::Create(create) => {
            let body = json!({
                "endpoint_id": create.endpoint, "topic": create.topic, "from_time": create.from, "to_time": create.to,
            });
            let replay = session.post(&["replays"], &body).await?;
            match create.follow {
                true => follow(session, &parsed::<ReplayView>(&replay)?.id).await?,
                false => show_one(session, &replay),
            }
        }
        ReplayCommand::Follow { id } => follow(session, id).await?,
        ReplayCommand::Cancel { id } => show_one(session, &session.post(&["replays", id, "cancel"], &json!({})).await?),
    }
    Ok(())
}

fn show_one(session: &Session, replay: &Value) {
    if session.json {
        return show(session, replay);
    }
    show_list(session, std::slice::from_ref(replay), &COLUMNS);
    let parts = replay["partitions"].as_array().cloned().unwrap_or_default();
    if !parts.is_empty() {
        session.say("");
        show_list(session, &parts, &PARTS);
    }
}

/// Until it is done or cancelled; an interrupt leaves the replay as it is.
async fn follow(session: &Session, id: &str) -> Result<(), CommandFailure> {
    let mut answer = session.get(&["replays", id], &[]).await?;
    let bar = progress::bar(offsets(&answer)?.1, "replaying");
    let ended = loop {
        // A state that only a newer server knows is not an end that this command knows.
        match parsed(&answer["state"]) {
            Ok(ended @ (ReplayState::Done | ReplayState::Cancelled)) => break ended,
            Ok(ReplayState::Waiting | ReplayState::Running) | Err(_) => {}
        }
        bar.set_position(offsets(&answer)?.0);
        tokio::time::sleep(LOOK_EVERY).await;
        answer = session.get(&["replays", id], &[]).await?;
    };
    bar.finish_and_clear();
    show_one(session, &answer);
    match ended {
        ReplayState::Done => Ok(()),
        _ => Err(CommandFailure::Failed("the replay was cancelled".to_owned())),
    }
}

/// Offsets that are done, and all of them.
fn offsets(replay: &Value) -> Result<(u64, u64), CommandFailure> {
    let parts: Vec<ReplayedPartition> = parsed(&replay["partitions"])?;
    Ok(parts.iter().fold((0, 0), |(done, all), part| {
        let count = |to: i64| u64::try_from(to - part.from_offset).unwrap_or(0);
        (done + count(part.next_offset), all + count(part.to_offset + 1))
    }))
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("ENDPOINT", "/endpoint_id"),
    ("TOPIC", "/topic"),
    ("STATE", "/state"),
    ("SENT", "/events_sent"),
    ("GAPS", "/gap_offsets"),
];
const PARTS: [Column; 7] = [
    ("PARTITION", "/partition"),
    ("FROM", "/from_offset"),
    ("TO", "/to_offset"),
    ("NEXT", "/next_offset"),
    ("DELIVERED", "/delivered"),
    ("BACKLOGGED", "/backlogged"),
    ("DEAD LETTERS", "/dead_lettered"),
];
