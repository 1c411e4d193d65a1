//! ● A long run: load that comes in waves while receivers fail, Kafka and PostgreSQL go away, and instances, endpoints and
//! subscriptions come and go. In the end the books must be right, and nothing may have grown that should not.
//!
//! `make soak` runs it for half an hour, `SOAK_MINUTES=480 make soak` for a night; without `SOAK_MINUTES`, as in
//! `cargo test`, it does nothing. `SOAK_SEED=n` repeats the load and the faults of a run, which prints it.

// A run takes its time in the world; only the program itself is told the time.
#![allow(clippy::disallowed_methods)]
#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports)] // shared with the stories: each uses its part
mod harness; // what the stories are told with

mod options; // how long, how much
mod waves; // the load
mod plan; // the faults
mod stand; // what is there all the time
mod fleet; // instances that come and go
mod changes; // endpoints that come and go
mod sampler; // looks at all of it
mod samples; // what it saw
mod run; // from the start to the books
mod growth; // what grows, and what may
mod report; // a table
mod chart; // a picture

use std::{fs, process::ExitCode};

use options::Options;
use run::Outcome;

fn main() -> ExitCode {
    let Some(options) = Options::read() else { return ExitCode::SUCCESS };
    let Options { lasting, events_per_second, seed, binary } = &options;
    let (minutes, build) = (lasting.as_secs_f64() / 60.0, binary.as_deref().unwrap_or("the build of the tests"));
    let title = format!("{minutes} minutes, {events_per_second} events/s on the average, SOAK_SEED={seed}, {build}");
    eprintln!("{title}");
    let outcome = run::run(&options);
    write(&options, &title, &outcome);

    let rows = report::rows(&outcome.samples, lasting.as_secs_f64());
    let problems: Vec<String> =
        [outcome.books.problems(), report::grows(&rows), outcome.complaints].into_iter().flatten().collect();
    println!("\n{title}\nAfter warming up, of the first instance and of all together:\n\n{}", report::table(&rows));
    println!("{}\n{}\n{} faults", outcome.books, outcome.tally, outcome.marks.len());
    problems.iter().for_each(|problem| println!("FAILED {problem}"));
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The picture, and what it was made of.
fn write(options: &Options, title: &str, outcome: &Outcome) {
    let folder = Options::folder();
    fs::create_dir_all(&folder).expect("a folder in target");
    let Outcome { samples, marks, .. } = outcome;
    let until = samples.last().map_or(0.0, |sample| sample.at);
    let faults = marks.iter().map(|mark| format!("{:.1},{:.1},{}\n", mark.from, mark.to, mark.label));
    let files = [
        (".svg", chart::svg(title, until, &report::panels(samples), marks)),
        ("-whole.csv", samples::csv_of_whole(samples)),
        ("-instances.csv", samples::csv_of_instances(samples)),
        ("-faults.csv", format!("from_s,to_s,fault\n{}", faults.collect::<String>())),
    ];
    for (name, text) in files {
        let path = folder.join(format!("soak-{}{name}", options.seed));
        fs::write(&path, text).expect("a file in target");
        println!("{}", path.display());
    }
}
