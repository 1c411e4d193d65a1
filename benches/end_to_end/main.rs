//! ● The end-to-end benchmark: how much of a bare loop's speed is left once the events are safe.
//!
//! On a real Kafka and PostgreSQL, with 512-byte events over plain HTTP, each part in a process of its own so that
//! CPU is counted apart. Postrider and the bare loop (the same libraries, bodies and signatures; no router, no
//! actors, no guarantees) take turns in one run, because only ratios within one run mean anything: machines differ.
//! Bars stand beside the numbers and decide nothing; only a lost event fails the run.

#![allow(clippy::disallowed_methods, reason = "a benchmark is about real time")]
#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

mod addresses; // where the endpoints are
mod payload; // what an event is
mod spread; // and whose
mod plan; // what is delivered where
mod options;

mod role; // this program as another process:
mod producer; // who produces,
mod bare; // who delivers in Postrider's place,
mod bare_post;
mod receiver; // who receives,
mod connection;
mod streams;
mod tally;
mod authority;
mod throttle;
mod windows;
mod histogram;
mod process; // and what each of them used

mod kafka;
mod database;
mod rest;
mod postrider; // the real thing
mod sampler;
mod sender; // either of them

mod drain; // a full topic, as fast as it goes
mod paced; // events at a rate
mod parking; // into the backlog and out of it
mod catch_up; // more than a short drain ever sees
mod catch_up_slow;
mod spike; // more than the machine can do
mod slow_tenth; // some are slow
mod skew; // some have most of the events
mod backlog_drain; // a large backlog goes out
mod topics; // many that are quiet
mod idle; // nothing happens
mod tls; // HTTPS
mod http2; // requests that share connections
mod wan; // to many who are far away
mod subscriptions; // a million entries
mod fleet; // instances come and go
mod settings; // written, in effect, listed, loaded
mod scenarios;
mod table;

use std::{io, process::ExitCode};

use clap::Parser;

/// The same allocator as Postrider's, for the bare loop's sake.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, given] = &arguments[..]
        && role == role::ROLE
    {
        play(name, given)?;
        return Ok(ExitCode::SUCCESS);
    }
    scenarios::run(&options::Options::parse())
}

fn play(name: &str, given: &str) -> io::Result<()> {
    match name {
        "receiver" => receiver::run(&serde_json::from_str(given)?),
        "producer" => producer::run(&serde_json::from_str(given)?),
        "bare" => bare::run(&serde_json::from_str(given)?),
        _ => Err(io::Error::other(format!("no role is called {name}"))),
    }
}
