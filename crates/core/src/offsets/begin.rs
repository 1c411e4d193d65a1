//! ○ The beginning of an assigned partition, and the reason why one waits before it does.

use std::sync::Arc;

/// The position to begin at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    At {
        offset: i64,
        topic_id: Option<Arc<str>>,
        /// The group has committed it.
        is_committed: bool,
    },
    /// The group has no business in it yet: at its first record, whatever its offset.
    Beginning { topic_id: Option<Arc<str>> },
    /// The group's commit is of a log that is gone. All of the new one is news.
    NewLog { topic_id: Arc<str> },
    /// Nobody can say yet: it waits.
    Unknown(Hold),
}

/// The reason why an assigned partition does not begin, or go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The group's commit is not known.
    Commit,
    /// Nobody leads the partition, and where it begins can be asked of its leader alone.
    NoLeader,
    /// The broker does not say where it begins.
    Broker,
}

impl Hold {
    pub const ALL: [Hold; 3] = [Hold::Commit, Hold::NoLeader, Hold::Broker];
}

/// The group's commit in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommit {
    pub offset: i64,
    /// Id of the topic; `None` from versions that did not write it, and from other tools.
    pub topic_id: Option<Arc<str>>,
}

/// Knowledge of the group's first start in a partition that has no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It was born later.
    Unwritten,
    At(i64),
    Unknown(Hold),
}

/// Decides. `topic_id` is the topic's as it is now, where that is known.
#[must_use]
pub fn begin_of(committed: Option<&GroupCommit>, topic_id: Option<Arc<str>>, first: First) -> Begin {
    match (committed, topic_id, first) {
        (Some(GroupCommit { topic_id: Some(then), .. }), Some(now), _) if *then != now => {
            Begin::NewLog { topic_id: now }
        }
        (Some(committed), now, _) => {
            let topic_id = now.or_else(|| committed.topic_id.clone());
            Begin::At { offset: committed.offset, topic_id, is_committed: true }
        }
        (None, topic_id, First::Unwritten) => Begin::Beginning { topic_id },
        (None, topic_id, First::At(offset)) => Begin::At { offset, topic_id, is_committed: false },
        (None, _, First::Unknown(hold)) => Begin::Unknown(hold),
    }
}

/// The position of the group's first start in a partition without a commit: the offset that was `fixed` then, unless
/// its broker says that records since that time begin earlier. Unless the broker has said so, nobody knows: in a topic that
/// was made again the fixed offset lies beyond what is to be read.
#[must_use]
pub fn first_of(fixed: Option<i64>, since: Option<i64>, has_leader: bool) -> First {
    match (fixed, since) {
        // In a topic that was deleted and made again all records are newer, at whatever offsets; clocks may be apart.
        (Some(fixed), Some(since)) => First::At(fixed.min(since)),
        (None, Some(offset)) => First::At(offset),
        (_, None) if has_leader => First::Unknown(Hold::Broker),
        (_, None) => First::Unknown(Hold::NoLeader),
    }
}

/// The metadata of each commit: the id of its topic.
#[must_use]
pub fn note_of(topic_id: &str) -> String {
    format!("{NOTE}{topic_id}")
}

/// The topic's id in the metadata of a commit.
#[must_use]
pub fn id_of(note: &str) -> Option<&str> {
    note.strip_prefix(NOTE).filter(|id| !id.is_empty())
}

const NOTE: &str = "topic-id:";

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<Arc<str>> {
        Some(Arc::from(text))
    }

    fn committed(offset: i64, topic_id: Option<&str>) -> GroupCommit {
        GroupCommit { offset, topic_id: topic_id.map(Arc::from) }
    }

    #[test]
    fn a_commit_of_this_very_log_is_gone_on_from() {
        let begin = begin_of(Some(&committed(100, Some("a"))), id("a"), First::Unwritten);
        assert_eq!(begin, Begin::At { offset: 100, topic_id: id("a"), is_committed: true });
    }

    #[test]
    fn a_commit_of_a_log_that_is_gone_says_nothing_of_the_one_that_has_its_name() {
        let begin = begin_of(Some(&committed(100, Some("a"))), id("b"), First::At(7));
        assert_eq!(begin, Begin::NewLog { topic_id: Arc::from("b") });
    }

    #[test]
    fn a_commit_without_an_id_and_a_cluster_without_ids_are_taken_at_their_word() {
        let begin = begin_of(Some(&committed(100, None)), id("b"), First::Unwritten);
        assert_eq!(begin, Begin::At { offset: 100, topic_id: id("b"), is_committed: true });
        let begin = begin_of(Some(&committed(100, Some("a"))), None, First::Unwritten);
        assert_eq!(
            begin,
            Begin::At { offset: 100, topic_id: id("a"), is_committed: true },
            "the id is looked at again later"
        );
    }

    #[test]
    fn without_a_commit_the_first_start_says_where() {
        let begin = begin_of(None, id("a"), First::At(42));
        assert_eq!(begin, Begin::At { offset: 42, topic_id: id("a"), is_committed: false });
        assert_eq!(begin_of(None, id("a"), First::Unwritten), Begin::Beginning { topic_id: id("a") });
        assert_eq!(begin_of(None, None, First::Unknown(Hold::NoLeader)), Begin::Unknown(Hold::NoLeader));
    }

    #[test]
    fn at_the_first_start_a_partition_without_a_leader_waits_alone() {
        assert_eq!(first_of(None, None, false), First::Unknown(Hold::NoLeader));
        assert_eq!(first_of(None, None, true), First::Unknown(Hold::Broker));
        assert_eq!(first_of(None, Some(7), true), First::At(7), "the others begin");
        assert_eq!(
            first_of(Some(9), None, false),
            First::Unknown(Hold::NoLeader),
            "the topic may have been made again"
        );
        assert_eq!(first_of(Some(9), Some(3), true), First::At(3), "the topic was made again");
    }

    #[test]
    fn what_is_written_beside_a_commit_can_be_read_again() {
        assert_eq!(id_of(&note_of("Xx0_-9")), Some("Xx0_-9"));
        for other in ["", "topic-id:", "somebody else's"] {
            assert_eq!(id_of(other), None);
        }
    }
}
