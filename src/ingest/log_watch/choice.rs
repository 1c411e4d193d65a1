//! ● Asks which of the chosen topics are there: often while the group has nothing for this instance, and seldom otherwise.

use std::time::{Duration, Instant};

use rdkafka::{config::ClientConfig, consumer::Consumer as _, error::KafkaError};

use super::{ASK_TIMEOUT, Looks};
use crate::{
    clock,
    ingest::{
        chosen::{Absent, Chosen},
        consumer::Topics,
        topic_ids,
    },
};

/// A list of all topics may be long.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Beyond the time after which the client notices a topic: the group assigns it.
const ASSIGNED_WITHIN: Duration = Duration::from_secs(30);

/// Memory from look to look.
pub(super) struct Choice {
    asked_at: Option<Instant>,
    /// Topics that come are noticed, and assigned, within this time.
    noticed_within: Duration,
    /// Names and patterns that topics are hidden by.
    hidden: String,
}

impl Choice {
    pub(super) fn new(client: &ClientConfig) -> Self {
        let refresh_ms = client.get("topic.metadata.refresh.interval.ms").and_then(|ms| ms.parse().ok());
        let noticed_within = Duration::from_millis(refresh_ms.unwrap_or(300_000)) + ASSIGNED_WITHIN;
        let hidden = client.get("topic.blacklist").unwrap_or_default().to_owned();
        Choice { asked_at: None, noticed_within, hidden }
    }
}

impl Looks {
    pub(super) fn look_at_choice(&mut self, has_partitions: bool) {
        let (membership, now) = (self.watch.state.membership(), clock::now());
        let is_due = self.choice.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASK_EVERY);
        if !membership.is_in_doubt() && !is_due {
            return;
        }
        let asked = self.ask_for_choice(has_partitions);
        match &asked {
            Ok(chosen) => tell(&membership.chosen(), chosen),
            Err(error) => tracing::debug!(%error, "the topic list is unavailable"),
        }
        membership.asked(asked.ok(), now, self.choice.noticed_within);
        self.choice.asked_at = Some(now);
    }

    fn ask_for_choice(&self, has_partitions: bool) -> Result<Chosen, KafkaError> {
        match &self.watch.topics {
            Topics::Names(names) => {
                let asked: Vec<&str> = names.iter().map(String::as_str).collect();
                let known = topic_ids::ask(self.consumer.client(), &asked, ASK_TIMEOUT)?;
                Ok(Chosen::of_names(names, &known))
            }
            Topics::Pattern(_) if has_partitions => Ok(Chosen::default()),
            Topics::Pattern(pattern) => {
                let metadata = self.consumer.fetch_metadata(None, ASK_TIMEOUT)?;
                let known = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
                let absent = Absent::of_pattern(pattern, &self.choice.hidden, known.map(|topic| topic.name()));
                Ok(Chosen { absent, refused: Vec::new() })
            }
        }
    }
}

/// Once for each change.
fn tell(before: &Chosen, now: &Chosen) {
    if before.absent == now.absent {
        return;
    }
    match &now.absent {
        Some(absent) => tracing::warn!("{absent}"),
        None => tracing::info!("the topics that were waited for are there"),
    }
}
