//! A seeded simulation of ingest → router → endpoint in virtual time: the pure parts as they are, around them a Kafka
//! log, receivers and a store that misbehave, and processes that crash, stop, freeze and lose partitions.
//!
//! The checks (see `audit.rs`): nothing is lost; a commit never passes an event that has not ended (I1) and never
//! decreases (I2); what settles after a revoke moves nothing (I3); each receipt ends once (I4); memory stays within
//! its limits (I5). Each run prints its seed; `POSTRIDER_SIM_SEED=n` repeats it.

#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

mod audit;
mod endpoint;
mod faults;
mod instance;
mod kafka;
mod receiver;
mod store;
mod world;

use std::hash::{BuildHasher, RandomState};

use world::{Plan, World};

const SEEDS: std::ops::Range<u64> = 0..12;

/// The seed that someone wants to see again.
fn wanted() -> Option<u64> {
    let seed = std::env::var("POSTRIDER_SIM_SEED").ok()?;
    Some(seed.parse().expect("POSTRIDER_SIM_SEED is a number"))
}

fn run(seed: u64, plan: Plan) -> World {
    println!("POSTRIDER_SIM_SEED={seed}");
    let mut world = World::new(seed, plan);
    world.run();
    println!("{}", world.summary());
    world
}

#[test]
fn nothing_is_lost_and_nothing_committed_early_whatever_fails() {
    let mut seen = audit::Totals::default();
    match wanted() {
        Some(seed) => drop(run(seed, Plan::FAULTS)),
        None => {
            SEEDS.for_each(|seed| seen += run(seed, Plan::FAULTS).totals());
            println!("{seen:?}");
            assert!(seen.saw_everything(), "every fault was met with in some run: {seen:?}");
        }
    }
}

#[test]
fn nor_in_a_run_that_nobody_has_seen_before() {
    run(wanted().unwrap_or_else(|| RandomState::new().hash_one("seed") >> 16), Plan::FAULTS);
}

#[test]
fn without_faults_every_event_is_delivered_once_and_no_receipt_is_abandoned() {
    for seed in wanted().map_or(0..3, |seed| seed..seed + 1) {
        let totals = run(seed, Plan::CALM).totals();
        assert!(totals.delivered > 1_000);
        assert_eq!((totals.duplicates, totals.abandoned, totals.stale_settles), (0, 0, 0), "seed {seed}");
    }
}
