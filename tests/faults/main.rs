//! ● Every fault that Postrider must survive, done to real processes with a real Kafka and PostgreSQL, and one table of
//! what it cost. Nothing may be lost, no offset may be committed early, and duplicates have a bound.
//!
//! `make faults` runs every row, `make faults ROWS=1,12,mix` some; without arguments, as in `cargo test`, the quickest
//! ones run; `ROWS=outage` takes up to an hour and runs only when named. `POSTRIDER_FAULTS_SEED=n` repeats the entropy of a run, which are printed with it.

// Faults take their time in the world; only the program itself is told the time.
#![allow(clippy::disallowed_methods)]
#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports)] // shared with the stories: each uses its part
mod harness; // what the stories are told with

mod row; // one fault, and what it came to
mod rows; // all of them
mod setup; // what most rows begin with
mod run; // some at a time
mod table; // the result

mod process; // processes that die, freeze and stop
mod group; // Kafka, its topics and the group
mod log; // logs that change behind the group's back
mod leader; // partitions that nobody leads
mod backlog; // backlogs that are large
mod database; // PostgreSQL that is away, full or read-only
mod receiver; // customers' servers that misbehave
mod tls; // customers' servers that are not to be trusted
mod http2; // customers' servers whose HTTP/2 misbehaves
mod outage; // endpoints that are down for minutes
mod cpu_steal; // when the host took the machine away
mod shares; // customers that take what all share
mod crowd; // many endpoints, many changes
mod quota; // customers that write more than their share
mod event; // events that cannot be delivered
mod attack; // the API, attacked
mod mix; // several faults at once

use std::{
    hash::{BuildHasher, RandomState},
    process::ExitCode,
};

use row::{Chosen, Row};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        rows::ALL.iter().for_each(|row| println!("{}: {}", row.number, row.fault));
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = arguments.iter().filter(|argument| !argument.starts_with('-')).map(String::as_str).collect();
    let chosen: Vec<&Row> = match chosen(&words) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("there is no row {unknown}");
            return ExitCode::from(2);
        }
    };
    let seed = seed();
    eprintln!("POSTRIDER_FAULTS_SEED={seed}");
    let results = run::run(&chosen, seed);
    table::print(&results);
    if results.iter().all(|result| result.problems().is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Nothing said: the quickest. `cargo test WORD` asks every binary for tests of that name: here they have numbers.
fn chosen<'a>(words: &[&'a str]) -> Result<Vec<&'static Row>, &'a str> {
    let all = rows::ALL.iter();
    match words {
        [] => Ok(all.filter(|row| row.chosen == Chosen::Always).collect()),
        ["all"] => Ok(all.filter(|row| row.chosen != Chosen::Named).collect()),
        words => {
            let numbers: Vec<&str> = words.iter().flat_map(|word| word.split([',', ' '])).collect();
            let known = |number: &str| rows::ALL.iter().any(|row| row.number == number);
            match numbers.iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && !known(word)) {
                Some(unknown) => Err(unknown),
                None => Ok(all.filter(|row| numbers.contains(&row.number)).collect()),
            }
        }
    }
}

fn seed() -> u64 {
    match std::env::var("POSTRIDER_FAULTS_SEED") {
        Ok(seed) => seed.parse().expect("POSTRIDER_FAULTS_SEED is a number"),
        Err(_) => RandomState::new().hash_one("seed") >> 32,
    }
}
