//! ● Catching up with a receiver of everybody that takes so much and no more: it is kept busy, and what it cannot take yet
//! stays in Kafka.

use std::io;

use crate::{
    catch_up::{self, Caught},
    options::Name,
    plan::Plan,
    scenarios::Bench,
    sender::Stage,
    table::{Cell, Table, megabytes, percent, seconds, thousands},
};

/// What came, and the answers a second that the receiver was good for.
type Column = (Caught, f64);

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::CatchUpSlow) {
        return Ok(None);
    }
    let events = bench.options.events_or(300_000);
    let rate = f64::from(bench.options.rate);
    let mut columns = Vec::new();
    for partitions in bench.options.partitions.clone() {
        let name = format!("catch-up-slow-{partitions}");
        let topic = bench.full_topic(&name, partitions, catch_up::many_tenants(bench), events)?;
        let plan = Plan { answers_per_second: Some(rate), ..Plan::many(&topic, partitions, bench.options.endpoints) };
        let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        for round in 1..=bench.options.rounds_or(1) {
            let label = format!("{partitions} partitions, round {round}");
            let caught = catch_up::catch_up(&mut stage, events, &label, &mut bench.topics)?;
            bench.lost += caught.lost;
            columns.push((label, (caught, rate)));
        }
        drop(stage);
        bench.topics.delete(&topic);
    }
    let title = format!(
        "Catching up with {} events at a receiver that takes {}/s, {} endpoints",
        thousands(events as f64),
        thousands(rate),
        bench.options.endpoints
    );
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

const ROWS: [(&str, Cell<Column>, &str); 9] = [
    ("answers/s, from the first to the last", |(caught, _)| thousands(caught.events_per_second()), ""),
    ("the receiver is busy", |(caught, rate)| percent(caught.events_per_second() / rate), "≥ 95 %"),
    ("events per CPU-second", |(caught, _)| thousands(caught.events_per_cpu_second()), ""),
    ("parked", |(caught, _)| thousands(caught.worst.parked as f64), "0"),
    ("backlog, rows at most", |(caught, _)| thousands(caught.worst.backlog_rows as f64), ""),
    ("outstanding at most", |(caught, _)| thousands(caught.worst.outstanding as f64), ""),
    ("RSS at most, MB", |(caught, _)| megabytes(caught.worst.rss_bytes), ""),
    ("oldest uncommitted, s", |(caught, _)| seconds(caught.worst.uncommitted), ""),
    ("twice", |(caught, _)| caught.duplicates.to_string(), ""),
];
