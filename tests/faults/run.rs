//! ● Plays rows: those that need the machine for themselves one by one, the others some at a time.

use std::{sync::Mutex, thread, time::Instant};

use crate::row::{Company, Played, Row};

/// Rows that run beside each other: most of their time is waiting.
const AT_ONCE: usize = 4;

/// Plays them; the results stand in the order of the rows.
pub fn run(rows: &[&'static Row], seed: u64) -> Vec<Played> {
    let played = Mutex::new(Vec::new());
    let (alone, shared): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.company == Company::Alone);
    let waiting = Mutex::new(shared.into_iter());
    alone.into_iter().for_each(|row| played.lock().unwrap().push(play(row, seed)));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || waiting.lock().unwrap().next();
                while let Some(row) = next() {
                    let result = play(row, seed);
                    played.lock().unwrap().push(result);
                }
            });
        }
    });
    let mut played = played.into_inner().expect("no row breaks out of its thread");
    played.sort_by_key(|played| rows.iter().position(|row| row.number == played.row.number));
    played
}

fn play(row: &'static Row, seed: u64) -> Played {
    let started = Instant::now();
    let mut entropy = row.entropy(seed);
    // On a thread of its own, so that what it says when it breaks off carries its name.
    let thread = thread::Builder::new().name(format!("row {}", row.number));
    let outcome = thread.spawn(move || (row.play)(&mut entropy)).expect("a thread").join().map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        text.unwrap_or("it broke off").to_owned()
    });
    let played = Played { row, outcome, took: started.elapsed() };
    let end = if played.problems().is_empty() { "ok" } else { "FAILED" };
    eprintln!("row {:>3} {end} in {:.0} s: {}", row.number, played.took.as_secs_f64(), row.fault);
    played
}
