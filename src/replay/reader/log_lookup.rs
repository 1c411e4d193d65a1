//! ● The look-up of where a partition's log begins and ends, on a thread of its own: Kafka takes its time to say that a
//! partition has no leader, and whoever reads the others does not wait for it.

use std::sync::mpsc::{self, Receiver, TryRecvError};

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

use crate::replay::range::Extent;

/// Look-ups of one partition: one at a time, for each costs a thread while it lasts.
#[derive(Default)]
pub(super) struct LogLookup {
    under_way: Option<Asked>,
}

struct Asked {
    answer: Receiver<Result<Extent, KafkaError>>,
    /// The end of the part that goes furthest.
    end: i64,
}

impl LogLookup {
    /// Takes the answer, or begins to ask; `None` while there is no answer. `end` is that of the part that goes furthest.
    pub(super) fn poll(
        &mut self,
        end: i64,
        ask: impl FnOnce() -> Result<Extent, KafkaError> + Send + 'static,
    ) -> Result<Option<Extent>, KafkaError> {
        if let Some(Asked { answer, end: known_end }) = &self.under_way {
            let (known_end, answer) = (*known_end, answer.try_recv());
            if answer == Err(TryRecvError::Empty) {
                return Ok(None);
            }
            self.under_way = None;
            let extent = answer.map_err(|_| died())??;
            // A part that came since may end behind what was the end then, and nothing of it is a gap for that.
            if end <= known_end.max(extent.high) {
                return Ok(Some(extent));
            }
        }
        let (sender, answer) = mpsc::sync_channel(1);
        let asking = move || {
            let _ = sender.send(ask()); // nobody waits for it any more
        };
        std::thread::Builder::new().name("replay-lookup".into()).spawn(asking).map_err(|_| died())?;
        self.under_way = Some(Asked { answer, end });
        Ok(None)
    }
}

/// The thread could not be started, or panicked.
fn died() -> KafkaError {
    KafkaError::MetadataFetch(RDKafkaErrorCode::Fail)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::SyncSender, time::Duration};

    use super::*;

    type Answer = Result<Extent, KafkaError>;

    const LOG: Extent = Extent { partition: 0, low: 0, high: 100 };

    /// A Kafka that answers when the test says so.
    fn slow_kafka() -> (SyncSender<Answer>, impl FnOnce() -> Answer + Send + 'static) {
        let (answers, asked) = mpsc::sync_channel(1);
        (answers, move || asked.recv().expect("the test answers"))
    }

    fn not_asked() -> Answer {
        panic!("it was asked")
    }

    /// The answer, which comes from another thread; `again` is what is asked when the first is too old.
    fn answer(lookup: &mut LogLookup, end: i64, again: fn() -> Answer) -> Answer {
        loop {
            if let Some(extent) = lookup.poll(end, again)? {
                return Ok(extent);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_partition_that_is_not_answered_holds_up_no_other_and_is_asked_for_once() {
        let (mut without_leader, mut healthy) = (LogLookup::default(), LogLookup::default());
        let (answers, ask) = slow_kafka();
        assert_eq!(without_leader.poll(100, ask), Ok(None));
        assert_eq!(healthy.poll(100, || Ok(LOG)), Ok(None));
        assert_eq!(answer(&mut healthy, 100, not_asked), Ok(LOG));
        assert_eq!(without_leader.poll(100, not_asked), Ok(None), "the answer is still to come");
        let failure = KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable);
        answers.send(Err(failure.clone())).expect("it is waited for");
        assert_eq!(answer(&mut without_leader, 100, not_asked), Err(failure));
        assert_eq!(without_leader.poll(100, || Ok(LOG)), Ok(None));
        assert_eq!(answer(&mut without_leader, 100, not_asked), Ok(LOG), "it is asked again");
    }

    #[test]
    fn an_answer_that_is_older_than_what_is_to_be_read_is_asked_for_again() {
        const GROWN: Extent = Extent { high: 120, ..LOG };
        let mut lookup = LogLookup::default();
        assert_eq!(lookup.poll(100, || Ok(LOG)), Ok(None));
        // The log has grown since, and a part goes to its end: that is no gap.
        assert_eq!(answer(&mut lookup, 120, || Ok(GROWN)), Ok(GROWN));
    }

    #[test]
    fn a_log_that_is_shorter_than_what_was_asked_for_is_an_answer() {
        let mut lookup = LogLookup::default();
        assert_eq!(lookup.poll(500, || Ok(LOG)), Ok(None));
        assert_eq!(answer(&mut lookup, 500, not_asked), Ok(LOG));
    }

    #[test]
    fn a_look_up_that_panics_is_a_failure() {
        let mut lookup = LogLookup::default();
        assert_eq!(lookup.poll(100, not_asked), Ok(None));
        assert_eq!(answer(&mut lookup, 100, not_asked), Err(died()));
    }
}
