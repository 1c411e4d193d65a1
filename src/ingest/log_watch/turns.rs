//! ○ The partitions that a look asks Kafka about: those where something happens, and the quiet ones in turn.
//!
//! Each costs the cluster something, and the client more. Of thousands most are quiet: all was read and is settled, so that
//! whatever a later answer says of them is said in time.

/// A partition at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartitionMark {
    pub received: u64,
    pub next: Option<i64>,
    /// Everything up to the known end of its log is settled, and nothing keeps it from being read.
    pub is_quiet: bool,
}

/// Memory from look to look.
#[derive(Debug, Default)]
pub(super) struct LookTurns {
    /// In the order of the partitions.
    marks: Vec<PartitionMark>,
    next: usize,
}

impl LookTurns {
    /// True of those that have nothing to do, as of the last look.
    pub(super) fn is_quiet(&self, place: usize) -> bool {
        self.marks[place].is_quiet
    }

    /// The places of those to ask about. `is_same`: these are the partitions of the last look, in the same order.
    pub(super) fn take(&mut self, marks: Vec<PartitionMark>, is_same: bool) -> Vec<usize> {
        let before = std::mem::replace(&mut self.marks, marks);
        let (marks, count) = (&self.marks, self.marks.len());
        if !is_same || before.len() != count {
            self.next = 0;
            return (0..count).collect();
        }
        let share = count.div_ceil(LOOKS_FOR_ALL).max(SHARE_MIN).min(count);
        let first = self.next;
        self.next = (first + share) % count.max(1);
        let is_in_turn = |place: usize| (place + count - first) % count < share;
        (0..count)
            .filter(|place| is_in_turn(*place) || !marks[*place].is_quiet || marks[*place] != before[*place])
            .collect()
    }
}

/// Quiet partitions are asked about once in so many looks at least.
const LOOKS_FOR_ALL: usize = 14;
/// Partitions that are asked about at every look, at least.
const SHARE_MIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: PartitionMark = PartitionMark { received: 7, next: Some(7), is_quiet: true };

    #[test]
    fn of_few_partitions_and_of_new_ones_all_are_asked_about() {
        let mut turns = LookTurns::default();
        assert_eq!(turns.take(vec![QUIET; SHARE_MIN], true).len(), SHARE_MIN);
        assert_eq!(turns.take(vec![QUIET; SHARE_MIN], true).len(), SHARE_MIN);
        assert_eq!(turns.take(vec![QUIET; 10_000], false).len(), 10_000);
        assert!(turns.take(Vec::new(), true).is_empty());
    }

    #[test]
    fn of_many_the_quiet_ones_take_turns_and_all_have_theirs() {
        let mut turns = LookTurns::default();
        turns.take(vec![QUIET; 10_000], false);
        let mut asked = vec![0_usize; 10_000];
        for _ in 0..LOOKS_FOR_ALL {
            let places = turns.take(vec![QUIET; 10_000], true);
            assert!(places.len() <= 10_000_usize.div_ceil(LOOKS_FOR_ALL));
            places.into_iter().for_each(|place| asked[place] += 1);
        }
        assert!(asked.iter().all(|asked| *asked >= 1));
        assert!(asked.iter().sum::<usize>() < 10_000 + 10_000 / LOOKS_FOR_ALL, "the last turn begins the next round");
    }

    #[test]
    fn where_something_happens_it_is_asked_about_at_once_and_as_long_as_it_lasts() {
        let mut turns = LookTurns::default();
        turns.take(vec![QUIET; 10_000], false);
        let mut marks = vec![QUIET; 10_000];
        marks[9_000] = PartitionMark { received: 8, next: Some(8), is_quiet: true };
        marks[9_001].is_quiet = false;
        for _ in 0..3 {
            assert!(turns.take(marks.clone(), true).contains(&9_001));
        }
        marks[9_000].next = Some(9);
        assert!(turns.take(marks.clone(), true).contains(&9_000));
        assert!(!turns.take(marks, true).contains(&9_000));
    }
}
