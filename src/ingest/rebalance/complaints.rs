//! ● Reports of the client: errors, commits, and ends of partitions.

use std::sync::{Arc, atomic::Ordering};

use rdkafka::{
    Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::PollContext;
use crate::{
    clock,
    ingest::{begin::id_of, client_errors::Say, client_report::ClientReport},
    notifications::{OperatorEvent, emit},
};

/// A topic has its old name and another log behind it: all of that is read.
pub(in crate::ingest) fn made_again(topic: &Arc<str>, partition: Option<i32>) {
    tracing::warn!(%topic, partition, "the topic was deleted and made again; the new one is read from its beginning");
    emit(OperatorEvent::TopicMadeAgain { topic: Arc::clone(topic) });
}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

impl PollContext {
    pub(super) fn complain(&self, error: &KafkaError, reason: &str) {
        self.metrics.errors.increment(1);
        let kind = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"));
        let say = self.state.trouble.lock().complain(&kind, reason, clock::now());
        match say {
            Say::Began => tracing::warn!(target: "librdkafka", %error, "{reason}"),
            Say::GoesOn(complaints) => tracing::warn!(target: "librdkafka", %error, complaints, "{reason}"),
            Say::Nothing => {}
        }
    }

    pub(super) fn look_at(&self, report: &ClientReport<'_>) {
        if report.is_any_broker_up() {
            self.went_well();
        }
        let ledgers = self.ledgers.lock();
        // No callback tells a member without partitions that its group has put it out.
        if ledgers.is_empty() && report.is_out_of_group() {
            self.state.membership.lose();
        }
        // Its own `consumer_lag` is unknown before the first commit, when it may matter most.
        for ((topic, partition), ledger) in &*ledgers {
            if let Some(seen) = report.partition(topic, *partition) {
                ledger.saw_log(seen.lo_offset, seen.hi_offset);
                ledger.saw_fetch(seen.ls_offset, seen.next_offset);
            }
        }
        self.reported.store(true, Ordering::Release);
    }

    pub(super) fn committed(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let stored_at = self.stored_at.lock().take();
        self.taken_back(offsets);
        match result {
            Ok(()) => {
                self.metrics.commits_ok.increment(1);
                if let Some(stored_at) = stored_at {
                    self.metrics.commit_seconds.record(clock::now().duration_since(stored_at));
                }
            }
            // Nothing was stored since the last commit.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            // What was deleted needs no commit. That it is not read any more is the group's next assignment.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                self.metrics.commits_absent.increment(1);
                self.complain_of_commit(RDKafkaErrorCode::UnknownTopicOrPartition);
            }
            // The group is assigning: what is kept is committed after that, the rest is its new owner's.
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::AssignmentLost,
            )) => {
                self.uncommitted.store(true, Ordering::Release);
            }
            Err(error) => {
                self.metrics.commits_failed.increment(1);
                self.uncommitted.store(true, Ordering::Release);
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                self.complain_of_commit(code);
            }
        }
    }

    fn complain_of_commit(&self, code: RDKafkaErrorCode) {
        let kind = format!("commit {code:?}");
        let words = format!("a commit failed: {code}; the next one covers it");
        match self.state.trouble.lock().complain(&kind, &words, clock::now()) {
            Say::Began => tracing::warn!("{words}"),
            Say::GoesOn(complaints) => tracing::warn!(complaints, "{words}"),
            Say::Nothing => {}
        }
    }

    fn went_well(&self) {
        if let Some(over) = self.state.trouble.lock().well(clock::now()) {
            let (lasted_ms, complaints) = (over.lasted.as_millis(), over.complaints);
            tracing::info!(lasted_ms, complaints, "Kafka's client has recovered");
        }
    }

    /// Forgets commits ahead, in a log that is gone, where the commit of the new one went through. One of a position that
    /// was not handed over since is older: its answer was under way.
    fn taken_back(&self, offsets: &TopicPartitionList) {
        let (ledgers, mut rewinds) = (self.ledgers.lock(), self.rewinds.lock());
        if rewinds.is_empty() {
            return;
        }
        for element in offsets.elements().iter().filter(|element| element.error().is_ok()) {
            let name = (Arc::from(element.topic()), element.partition());
            let Offset::Offset(offset) = element.offset() else { continue };
            let is_of_it = |id: &Arc<str>| id_of(element.metadata()) == Some(&**id);
            let was_handed =
                rewinds.get(&name).is_some_and(|handed| handed.as_ref().is_some_and(|at| at.contains(&offset)));
            if was_handed && ledgers.get(&name).is_some_and(|ledger| ledger.topic_id().is_none_or(is_of_it)) {
                rewinds.remove(&name);
            }
        }
    }
}
