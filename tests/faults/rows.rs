//! ● All rows, numbered as the matrix of faults has them.

use rand::rngs::SmallRng;

use crate::{
    database, event, process, receiver,
    row::{Chosen, Company, Outcome, Row},
};

pub const ALL: &[Row] = &[
    alone("1", "kill -9 at random, 20 times, 5,000 events/s", process::killed_at_random),
    quick("12", "SIGTERM under load", process::stopped_under_load),
    quick("26", "Postgres restarts", database::restarted),
    quick("34", "a receiver hangs after accept", receiver::hangs_after_accept),
    quick("38", "a receiver closes kept-alive connections", receiver::closes_kept_alive_connections),
    quick("52", "poison in a batch of 100", event::poison_in_a_batch),
];

type Play = fn(&mut SmallRng) -> Outcome;

/// In every `cargo test`.
const fn quick(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Always, company: Company::Shared, play: Some(play) }
}

/// Needs the whole machine.
const fn alone(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Asked, company: Company::Alone, play: Some(play) }
}
