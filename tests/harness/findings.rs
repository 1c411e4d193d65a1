//! ● What the books say in the end.

use std::fmt;

/// Pairs of an event and an endpoint that should get it, by what became of them.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    pub expected: usize,
    /// Answered with 2xx.
    pub delivered: usize,
    /// Not delivered, and kept to be.
    pub backlog: usize,
    /// Not delivered, and given up.
    pub dead_letters: usize,
    /// Owed to an endpoint that was deleted.
    pub cancelled: usize,
    /// None of these, by endpoint and event. Must stay empty.
    pub lost: Vec<(String, u32)>,
    /// 2xx answers beyond the first of an event.
    pub duplicates: u64,
    /// Events that first came after a later one of their lane.
    pub reordered: u64,
    /// Commits that passed an event before it had ended, in words. Must stay empty.
    pub early: Vec<String>,
    /// Whatever else should not be: records that stay uncommitted, bad signatures.
    pub complaints: Vec<String>,
}

impl Findings {
    /// Nothing is lost, nothing was committed early, and nobody complains.
    #[track_caller]
    pub fn assert_sound(&self) {
        let some = |all: &[String]| format!("{}, such as {:?}", all.len(), &all[..all.len().min(5)]);
        let lost: Vec<String> = self.lost.iter().map(|(endpoint, seq)| format!("{endpoint}: event {seq}")).collect();
        assert!(lost.is_empty(), "lost: {}", some(&lost));
        assert!(self.early.is_empty(), "committed early: {}", some(&self.early));
        assert!(self.complaints.is_empty(), "{}", some(&self.complaints));
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { expected, backlog, dead_letters, duplicates, lost, .. } = self;
        let lost = lost.len();
        write!(
            f,
            "{expected} expected, {lost} lost, {backlog} waiting, {dead_letters} dead letters, {duplicates} duplicates"
        )
    }
}
