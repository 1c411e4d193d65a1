//! ● The table.

use crate::row::{Outcome, Played};

/// One row for each fault; below it, what must not be.
pub fn print(results: &[Played]) {
    println!();
    println!(
        "{:>4}  {FAULT:<FAULT_WIDTH$} {:>9} {:>9} {:>7} {:>7} {:>9} {:>5} {:>18} {:>9} {:>9} {:>7}",
        "no",
        "expected",
        "delivered",
        "backlog",
        "dead",
        "cancelled",
        "LOST",
        "duplicates (most)",
        "reordered",
        "COMMITTED",
        "seconds",
        FAULT = "fault",
    );
    println!("{:>112} {:>9}", "", "EARLY");
    results.iter().for_each(|played| println!("{}", line(played)));
    println!();
    for (what, say) in [("", notes as fn(&Played) -> Vec<String>), ("FAILED ", Played::problems)] {
        for played in results {
            say(played).iter().for_each(|text| println!("{what}{}: {text}", played.row.number));
        }
    }
    let failed = results.iter().filter(|played| !played.problems().is_empty()).count();
    println!("{} faults, {failed} failed", results.len());
}

const FAULT_WIDTH: usize = 44;

fn notes(played: &Played) -> Vec<String> {
    match &played.outcome {
        Ok(outcome) if !outcome.note.is_empty() => vec![outcome.note.clone()],
        _ => Vec::new(),
    }
}

fn line(played: &Played) -> String {
    let head = format!("{:>4}  {:<FAULT_WIDTH$}", played.row.number, played.row.fault);
    match &played.outcome {
        Err(_) => format!("{head} {:<82} {:>7.1}", "BROKE OFF", played.took.as_secs_f64()),
        Ok(outcome) => format!("{head} {} {:>7.1}", numbers(outcome), played.took.as_secs_f64()),
    }
}

fn numbers(outcome: &Outcome) -> String {
    let found = &outcome.findings;
    let most = outcome.duplicates_max.map_or("any".to_owned(), |most| most.to_string());
    let duplicates = format!("{} ({most})", found.duplicates);
    format!(
        "{:>9} {:>9} {:>7} {:>7} {:>9} {:>5} {:>18} {:>9} {:>9}",
        found.expected,
        found.delivered,
        found.backlog,
        found.dead_letters,
        found.cancelled,
        found.lost.len(),
        duplicates,
        found.reordered,
        found.early.len(),
    )
}
