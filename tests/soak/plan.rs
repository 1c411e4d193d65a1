//! ○ The faults of a run: when each begins and ends. The same dice give the same plan.

use std::fmt;

use rand::{Rng as _, rngs::SmallRng, seq::SliceRandom as _};

/// An endpoint that is there all the time and suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Batch,
    Ordered,
    /// The one that gives up at once: its failures are dead letters.
    Impatient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    Fails,
    Hangs,
    BreaksOff,
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Receiver(Victim, Behavior),
    /// All connections end, and for a while there are no new ones.
    KafkaAway,
    PostgresAway,
    /// An instance more, which is asked to stop in the end.
    Joins,
    /// An instance is asked to stop; in the end another one takes its place.
    Terminated,
    Killed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Receiver(victim, behavior) => write!(f, "the {victim:?} receiver: {behavior:?}"),
            Fault::KafkaAway => f.write_str("Kafka away"),
            Fault::PostgresAway => f.write_str("Postgres away"),
            Fault::Joins => f.write_str("an instance joins"),
            Fault::Terminated => f.write_str("SIGTERM of an instance"),
            Fault::Killed => f.write_str("kill -9 of an instance"),
        }
    }
}

/// All of them come in one round, in an order of its own, before any comes a second time.
pub const ROUND: [Fault; 12] = [
    Fault::Receiver(Victim::Batch, Behavior::Fails),
    Fault::Receiver(Victim::Batch, Behavior::Hangs),
    Fault::Receiver(Victim::Ordered, Behavior::BreaksOff),
    Fault::Receiver(Victim::Ordered, Behavior::Slow),
    Fault::Receiver(Victim::Ordered, Behavior::Hangs),
    Fault::Receiver(Victim::Impatient, Behavior::Fails),
    Fault::Receiver(Victim::Impatient, Behavior::Hangs),
    Fault::KafkaAway,
    Fault::PostgresAway,
    Fault::Joins,
    Fault::Terminated,
    Fault::Killed,
];

/// A fault of the plan; times in seconds since the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    pub fault: Fault,
    pub from: f64,
    pub to: f64,
}

/// A fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub at: f64,
    pub fault: Fault,
    pub begins: bool,
}

/// Rounds in a run, where that leaves a fault its time.
const ROUNDS: f64 = 5.0;
/// From one fault's begin to the next one's, on the average, at least and at most.
const GAP: (f64, f64) = (8.0, 60.0);
/// What comes first and last without a fault.
const CALM_PART: f64 = 0.04;

pub fn plan(lasting: f64, dice: &mut SmallRng) -> Vec<Planned> {
    let gap = (lasting / ROUNDS / ROUND.len() as f64).clamp(GAP.0, GAP.1);
    let last = lasting * (1.0 - CALM_PART);
    let (mut planned, mut from) = (Vec::new(), lasting * CALM_PART);
    loop {
        let mut round = ROUND;
        round.shuffle(dice);
        for fault in round {
            let to = from + length(fault, gap, dice);
            if to > last {
                return planned;
            }
            planned.push(Planned { fault, from, to });
            from += gap * dice.random_range(0.5..1.5);
        }
    }
}

fn length(fault: Fault, gap: f64, dice: &mut SmallRng) -> f64 {
    match fault {
        Fault::KafkaAway => dice.random_range(2.0..9.0),
        Fault::PostgresAway => dice.random_range(2.0..12.0),
        Fault::Terminated | Fault::Killed => dice.random_range(1.0..10.0),
        Fault::Receiver(..) | Fault::Joins => gap * dice.random_range(0.7..2.0),
    }
}

/// Begins and ends in the order of time.
pub fn steps(plan: &[Planned]) -> Vec<Step> {
    let both = plan.iter().flat_map(|Planned { fault, from, to }| {
        [Step { at: *from, fault: *fault, begins: true }, Step { at: *to, fault: *fault, begins: false }]
    });
    let mut steps: Vec<Step> = both.collect();
    steps.sort_by(|a, b| a.at.total_cmp(&b.at));
    steps
}
