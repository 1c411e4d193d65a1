//! ○ Complaints of Kafka's client in few lines: at the beginning, for each new kind of complaint, once a minute, and at
//! the end.

use std::time::{Duration, Instant};

/// The line for another complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    Began,
    /// Number of complaints since this was last said.
    GoesOn(u64),
    Nothing,
}

/// The complaints of one client.
#[derive(Debug, Default)]
pub struct ClientTrouble {
    newest: String,
    spell: Option<Spell>,
}

#[derive(Debug)]
struct Spell {
    began: Instant,
    last: Instant,
    said: Instant,
    complaints: u64,
    unsaid: u64,
    /// Kinds that were said.
    kinds: Vec<String>,
}

/// The end of a time of complaints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComplaintsEnd {
    pub lasted: Duration,
    pub complaints: u64,
}

impl ClientTrouble {
    /// One more: its kind, and its words.
    pub fn complain(&mut self, kind: &str, words: &str, now: Instant) -> Say {
        words.clone_into(&mut self.newest);
        let Some(spell) = &mut self.spell else {
            let kinds = vec![kind.to_owned()];
            self.spell = Some(Spell { began: now, last: now, said: now, complaints: 1, unsaid: 0, kinds });
            return Say::Began;
        };
        spell.last = now;
        spell.complaints += 1;
        spell.unsaid += 1;
        let is_new = spell.kinds.len() < KINDS_MAX && !spell.kinds.iter().any(|known| known == kind);
        if is_new {
            spell.kinds.push(kind.to_owned());
        }
        if !is_new && now.saturating_duration_since(spell.said) < SAY_EVERY {
            return Say::Nothing;
        }
        spell.said = now;
        Say::GoesOn(std::mem::take(&mut spell.unsaid))
    }

    /// Something went well; the trouble is over when there was no complaint for a while.
    pub fn well(&mut self, now: Instant) -> Option<ComplaintsEnd> {
        let quiet = |spell: &mut Spell| now.saturating_duration_since(spell.last) >= QUIET;
        let spell = self.spell.take_if(quiet)?;
        self.newest.clear();
        Some(ComplaintsEnd { lasted: spell.last - spell.began, complaints: spell.complaints })
    }

    /// The newest complaint while there is trouble; empty when all is well.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.newest
    }
}

const SAY_EVERY: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(10);
const KINDS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_seconds_without_brokers_are_three_lines_and_one_at_the_end() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut trouble = ClientTrouble::default();
        let mut said = Vec::new();
        for n in 0..1_000 {
            assert_eq!(trouble.well(at(n * 100)), None);
            match trouble.complain("AllBrokersDown", "1/1 brokers are down", at(n * 100)) {
                Say::Nothing => {}
                say => said.push(say),
            }
        }
        assert_eq!(said, [Say::Began, Say::GoesOn(600)]);
        assert_eq!(trouble.words(), "1/1 brokers are down");
        assert_eq!(trouble.well(at(105_000)), None, "it may go on");
        let over = trouble.well(at(110_000)).expect("it is over");
        assert_eq!((over.complaints, over.lasted), (1_000, Duration::from_millis(99_900)));
        assert_eq!(trouble.words(), "");
        assert_eq!(trouble.well(at(120_000)), None, "that is said once");
    }

    #[test]
    fn another_kind_of_complaint_is_said_at_once_and_two_that_alternate_are_not_said_in_turn() {
        let now = Instant::now();
        let mut trouble = ClientTrouble::default();
        assert_eq!(trouble.complain("a", "", now), Say::Began);
        assert_eq!(trouble.complain("b", "", now), Say::GoesOn(1));
        for _ in 0..100 {
            assert_eq!(trouble.complain("a", "", now), Say::Nothing);
            assert_eq!(trouble.complain("b", "", now), Say::Nothing);
        }
    }
}
