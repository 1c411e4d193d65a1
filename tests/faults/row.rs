//! ● One fault, and what it came to.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::SmallRng};

use crate::harness::Findings;

/// A row of the table.
pub struct Row {
    /// As the matrix of faults numbers it.
    pub number: &'static str,
    pub fault: &'static str,
    pub chosen: Chosen,
    pub company: Company,
    pub play: fn(&mut SmallRng) -> Outcome,
}

/// When a row runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// In every `cargo test`.
    Always,
    /// When all rows are asked for, or this one.
    Asked,
    /// Only by its name: it takes many minutes.
    Named,
}

/// With whom a row runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// It needs the whole machine.
    Alone,
    /// Beside others.
    Shared,
}

/// What a row found.
pub struct Outcome {
    pub findings: Findings,
    /// More duplicates than these are a fault of ours. `None`: as many as there are.
    pub duplicates_max: Option<u64>,
    /// What else is worth knowing.
    pub note: String,
}

/// A row that was played.
pub struct Played {
    pub row: &'static Row,
    /// Or why it broke off.
    pub outcome: Result<Outcome, String>,
    pub took: Duration,
}

impl Row {
    /// The entropy of this row, whatever runs beside it.
    pub fn entropy(&self, seed: u64) -> SmallRng {
        let own = self.number.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        SmallRng::seed_from_u64(own)
    }
}

impl Outcome {
    pub fn of(findings: Findings) -> Self {
        Outcome { findings, duplicates_max: None, note: String::new() }
    }

    pub fn at_most(self, duplicates: u64) -> Self {
        Outcome { duplicates_max: Some(duplicates), ..self }
    }

    pub fn note(self, note: impl Into<String>) -> Self {
        Outcome { note: note.into(), ..self }
    }
}

impl Played {
    /// What must not be, in words; nothing for a row that is as it should be.
    pub fn problems(&self) -> Vec<String> {
        let outcome = match &self.outcome {
            Err(message) => return vec![message.clone()],
            Ok(outcome) => outcome,
        };
        let Findings { lost, early, duplicates, complaints, .. } = &outcome.findings;
        let mut problems = Vec::new();
        if let Some((endpoint, seq)) = lost.first() {
            problems.push(format!("{} events lost, such as {seq} for {endpoint}", lost.len()));
        }
        if let Some(one) = early.first() {
            problems.push(format!("{} commits came early: {one}", early.len()));
        }
        if let Some(most) = outcome.duplicates_max.filter(|most| duplicates > most) {
            problems.push(format!("{duplicates} duplicates are more than {most}"));
        }
        problems.extend(complaints.iter().take(5).cloned());
        problems
    }
}
