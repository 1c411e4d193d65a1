//! ● All rows, numbered as the matrix of faults has them.

use rand::rngs::SmallRng;

use crate::{
    attack, backlog, crowd, database, event, group, http2, leader, log, mix, outage, process, quota, receiver,
    row::{Chosen, Company, Outcome, Row},
    shares, tls,
};

pub const ALL: &[Row] = &[
    alone("1", "kill -9 at random, 20 times, 5,000 events/s", process::killed_at_random),
    quick("2", "death between a 2xx and its settling", process::killed_before_the_answer_is_taken),
    quick("3", "death between a COMMIT and its receipts", process::killed_before_the_store_is_heard),
    asked("5", "a process frozen beyond its session", process::frozen_beyond_its_session),
    asked("6", "a process frozen for 3 s, twice", process::frozen_for_a_moment),
    asked("10", "actors panic", process::actors_panic),
    quick("12", "SIGTERM under load", process::stopped_under_load),
    asked("13", "SIGTERM while the broker is silent, and gone", process::stopped_without_a_broker),
    asked("15", "the broker is gone for 8 s", group::broker_restarts),
    asked("16", "the broker is silent for 15 s", group::broker_is_silent),
    asked("17", "the broker's connections reset, every second", group::broker_resets_connections),
    asked("20", "members join, leave, crash and freeze", group::rebalance_storm),
    asked("22", "partitions and a topic appear", group::partitions_and_topics_appear),
    asked("24", "compaction and aborted transactions", group::compaction_and_aborted_transactions),
    asked("K1", "topics made again while they are read", log::made_again_while_it_is_read),
    asked("K1a", "topics made again within a second", log::made_again_soon),
    quick("K1b", "a topic made again while nobody reads", log::made_again_while_nobody_reads),
    asked("K2", "a clock a day behind, and a receiver that hangs", receiver::hangs_beside_a_clock_that_is_behind),
    asked("K3", "a batch of 4 kB that holds 90 MB", log::batch_larger_than_it_looks),
    asked("K4", "records behind an open transaction", log::behind_an_open_transaction),
    asked("K4a", "the right to read a topic is taken away", log::the_right_to_read_is_taken_away),
    asked("K4b", "what was read can be stored nowhere", log::a_partition_is_paused),
    quick("K6", "retention takes what was not read", log::retention_is_faster),
    alone("C9", "a million rows that are thought to be old", backlog::large_and_thought_to_be_old),
    asked("K7", "markers and aborted records at the end", log::nothing_at_the_end),
    alone("K12", "a partition without a leader at the first start", leader::none_at_the_first_start),
    quick("26", "Postgres restarts", database::restarted),
    asked("27", "connections to Postgres freeze", database::frozen_connections),
    asked("28", "Postgres is silent until memory is full", database::silent_for_long),
    asked("29", "the disk of Postgres is full", database::disk_full),
    asked("30", "Postgres reads only, as after a failover", database::read_only),
    quick("34", "a receiver hangs after accept", receiver::hangs_after_accept),
    asked("35", "a receiver drips its head, or its body", receiver::drips),
    asked("36", "a body of 1 GiB, a header of 64 MiB", receiver::pours),
    quick("37", "resets before, in and after an answer", receiver::resets),
    quick("38", "a receiver closes kept-alive connections", receiver::closes_kept_alive_connections),
    asked("39", "a receiver never reads", receiver::never_reads),
    asked("40", "100, 103, 204, 97 headers, no HTTP at all", receiver::odd_answers),
    asked("41", "redirects, and a loop of them", receiver::redirects),
    asked("42", "TLS: expired, other name, other roots, 1.0", tls::tls_not_to_be_trusted),
    asked("http2", "HTTP/2: GOAWAY, resets, no window, no frames", http2::misbehaves),
    asked("43", "429 with every kind of Retry-After", receiver::asks_to_wait),
    alone("44", "of 1,000 endpoints a tenth dead, a tenth slow", crowd::tenth_dead_tenth_slow),
    asked("45", "no receiver can be reached, twice", crowd::way_out_is_cut),
    asked("46", "50 endpoints come back in one moment", crowd::mass_recovery),
    asked("48", "fewer file handles than requests", crowd::few_handles),
    asked("50", "settings change all the time", crowd::settings_change_all_the_time),
    alone("settings", "100 subscriptions to 10,000 invented departments", quota::settings_without_end),
    alone("crowd", "3,000 endpoints of one customer at a closed port", quota::crowd_at_a_closed_port),
    asked("51", "Postgres is away at the start", database::away_at_the_start),
    quick("52", "poison in a batch of 100", event::poison_in_a_batch),
    asked("53", "an event of 10 MB", event::oversize),
    alone("permits", "a customer's 64 endpoints never answer", shares::receivers_that_never_answer),
    alone("names", "a customer's names, and a silent name server", shares::names_that_nobody_answers_for),
    alone("61", "2,048 sockets that ask once and send one byte", attack::sockets),
    alone("62", "bodies without an end, answers that nobody reads", attack::memory),
    alone("62a", "pages of 8 MB, and nobody there when they come", attack::hang_ups),
    alone("63", "filters that match none of 300,000 letters", attack::queries),
    alone("64", "sample events of 90,000 unknown fields", attack::matches),
    alone("65", "bulk calls, tests and long polls that hang", attack::slots),
    alone("66", "guesses of the configured key", attack::guesses),
    asked("d1", "an event that fails its batch of 20 with 500", event::fails_its_batch),
    asked("d2", "one event, and nobody listens there", event::alone_with_nobody_there),
    asked("d5", "a redrive of what is no longer granted", event::redriven_ungranted),
    asked("d6", "a replay by time of records in disorder", event::replayed_in_disorder),
    named("outage", "endpoints down for 10 min, 500 events/s each", outage::down_for_minutes),
    asked("mix", "3 to 5 of these at once, 3 times", mix::of_faults),
];

/// Takes many minutes, and the whole machine.
const fn named(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Named, company: Company::Alone, play }
}

type Play = fn(&mut SmallRng) -> Outcome;

/// In every `cargo test`.
const fn quick(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Always, company: Company::Shared, play }
}

const fn asked(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Asked, company: Company::Shared, play }
}

/// Needs the whole machine.
const fn alone(number: &'static str, fault: &'static str, play: Play) -> Row {
    Row { number, fault, chosen: Chosen::Asked, company: Company::Alone, play }
}
