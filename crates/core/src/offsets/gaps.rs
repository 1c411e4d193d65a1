//! ○ Offsets that were passed over in reading, and which of them the log had lost before they were read.
//!
//! Most are nothing: compaction takes records out, and a transaction ends with a marker. One whose offsets lie before the
//! log's beginning is a loss: retention was faster than this service.

/// Remembered until Kafka has said where the log begins; of more, the widest are kept.
const GAPS_MAX: usize = 16;

/// The gaps that nobody has judged yet.
#[derive(Debug, Default)]
pub struct Gaps {
    /// The first offset, and the one after the last.
    open: Vec<(i64, i64)>,
    /// Everything below was judged.
    judged_to: i64,
}

impl Gaps {
    /// `to` was read where `from` was expected.
    pub fn record(&mut self, from: i64, to: i64) {
        if self.open.len() >= GAPS_MAX {
            let narrowest = self.open.iter().enumerate().min_by_key(|(_, (from, to))| to - from).map(|(at, _)| at);
            if let Some(at) = narrowest {
                self.open.swap_remove(at);
            }
        }
        self.open.push((from, to));
    }

    /// The log begins at `begin`, and `next` is the offset that is read next. The first and the last offset of whatever was
    /// gone before it was read; the same is told once.
    pub fn lost(&mut self, begin: i64, next: Option<i64>) -> Vec<(i64, i64)> {
        let ahead = next.filter(|next| *next < begin).map(|next| (next, begin));
        let mut gaps = std::mem::take(&mut self.open);
        gaps.extend(ahead);
        gaps.sort_unstable();
        let mut lost = Vec::new();
        for (from, to) in gaps {
            let (first, end) = (from.max(self.judged_to), to.min(begin));
            if first < end {
                lost.push((first, end - 1));
                self.judged_to = end;
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_before_the_logs_beginning_and_was_not_read_is_lost_and_told_once() {
        let mut gaps = Gaps::default();
        gaps.record(100, 700);
        assert_eq!(gaps.lost(700, Some(800)), [(100, 699)]);
        assert_eq!(gaps.lost(700, Some(800)), []);
    }

    #[test]
    fn a_gap_within_the_log_is_compaction_or_a_marker_and_no_loss() {
        let mut gaps = Gaps::default();
        gaps.record(100, 700);
        assert_eq!(gaps.lost(40, Some(800)), []);
        assert_eq!(gaps.lost(750, Some(800)), [], "retention came after it was passed");
    }

    #[test]
    fn an_empty_log_that_begins_beyond_the_position_has_lost_what_is_between_and_reading_on_adds_nothing() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.lost(1_000, Some(100)), [(100, 999)]);
        gaps.record(100, 1_004);
        assert_eq!(gaps.lost(1_002, Some(1_005)), [(1_000, 1_001)]);
    }

    #[test]
    fn of_many_gaps_the_widest_are_remembered() {
        let mut gaps = Gaps::default();
        gaps.record(0, 1_000);
        (0..100).for_each(|n| gaps.record(2_000 + 2 * n, 2_001 + 2 * n));
        assert_eq!(gaps.lost(10_000, Some(3_000))[0], (0, 999));
        assert!(gaps.open.is_empty());
    }
}
