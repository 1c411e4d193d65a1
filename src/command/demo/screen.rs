//! ○ The demo's table, and the sums at the end.

use super::{
    fixtures::DemoEndpoint,
    tally::{DemoLatencies, DemoTally},
};

/// The last second's numbers, and the state of the instance.
#[derive(Default)]
pub(super) struct ScreenNumbers {
    pub seconds: u64,
    pub produced_per_second: u64,
    pub delivered_per_second: u64,
    /// From the instance's metrics, when they could be read.
    pub dead_letters: Option<u64>,
}

/// The table of the receivers, one string a line.
#[must_use]
pub(super) fn table(parts: &[DemoEndpoint], tally: &DemoTally) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<20} {:<7} {:<12} {:<15} {:>9} {:>8} {:>7} {:>6} {:>6}  {}",
        "receiver", "mode", "level", "topic", "events", "requests", "refused", "failed", "bad", "last"
    )];
    for (part, row) in parts.iter().zip(&tally.rows) {
        lines.push(format!(
            "{:<20} {:<7} {:<12} {:<15} {:>9} {:>8} {:>7} {:>6} {:>6}  {}",
            part.uid.trim_start_matches("demo-"),
            part.mode(),
            part.level(),
            part.topic,
            row.events,
            row.requests,
            row.refused,
            row.failed,
            row.bad_signatures,
            row.last
        ));
    }
    lines
}

/// The run so far: what moved, and how long it took.
#[must_use]
pub(super) fn status(tally: &DemoTally, moment: &ScreenNumbers) -> [String; 2] {
    let moved = format!(
        "{} s  produced {} ({}/s)  delivered {} ({}/s)  under way {}  dead letters {}",
        moment.seconds,
        tally.produced,
        moment.produced_per_second,
        delivered(tally),
        moment.delivered_per_second,
        tally.due(),
        moment.dead_letters.map_or("–".to_owned(), |letters| letters.to_string()),
    );
    [moved, latencies(tally)]
}

/// The sums of a run that is over.
#[must_use]
pub(super) fn sums(tally: &DemoTally, dead_letters: Option<u64>) -> String {
    format!(
        "{} events produced, {} deliveries, {} dead letters\n{}",
        tally.produced,
        delivered(tally),
        dead_letters.map_or("–".to_owned(), |letters| letters.to_string()),
        latencies(tally),
    )
}

fn latencies(tally: &DemoTally) -> String {
    format!("from produce to receipt: stream {}, batch {}", latency(&tally.stream), latency(&tally.batch))
}

fn latency(latencies: &DemoLatencies) -> String {
    let quantile = |share| latencies.quantile(share).map_or("–".to_owned(), |ms| format!("{ms:.1} ms"));
    format!("p50 {} p99 {}", quantile(0.5), quantile(0.99))
}

#[must_use]
pub(super) fn delivered(tally: &DemoTally) -> u64 {
    tally.rows.iter().map(|row| row.events).sum()
}

/// Faults of a run that is over; empty when it went as promised.
#[must_use]
pub(super) fn complaints(parts: &[DemoEndpoint], tally: &DemoTally) -> Vec<String> {
    let mut complaints = Vec::new();
    for (part, row) in parts.iter().zip(&tally.rows) {
        let mut complain = |wrong: bool, what: String| {
            if wrong {
                complaints.push(format!("{} ({}, {}): {what}", part.uid, part.level(), part.mode()));
            }
        };
        complain(row.events == 0, "received nothing".to_owned());
        complain(row.bad_signatures > 0, format!("{} bad signatures", row.bad_signatures));
        complain(row.strays > 0, format!("{} events that it has no subscription for", row.strays));
    }
    if tally.due() > 0 {
        complaints.push(format!("{} deliveries did not come", tally.due()));
    }
    complaints
}

/// The sum of a counter in a Prometheus page, over all its labels.
#[must_use]
pub(super) fn counter(page: &str, name: &str) -> u64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        (rest.starts_with(['{', ' '])).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::command::demo::fixtures::parts;

    #[test]
    fn a_counter_is_summed_over_its_labels() {
        let page = "# TYPE letters_total counter\nletters_total{reason=\"a\"} 3\nletters_total{reason=\"b\"} 4\nletters_total_other 9\n";
        assert_eq!(counter(page, "letters_total"), 7);
    }

    #[test]
    fn a_receiver_that_got_nothing_is_complained_about() {
        let parts = parts("salt");
        let mut tally = DemoTally::new("run".into(), parts.len(), Instant::now());
        for row in &mut tally.rows {
            row.events = 1;
        }
        assert_eq!(complaints(&parts, &tally), Vec::<String>::new());
        tally.rows[1].events = 0;
        tally.rows[2].bad_signatures = 1;
        assert_eq!(
            complaints(&parts, &tally),
            [
                "demo-acme-batch (whole topic, batch): received nothing",
                "demo-globex-stream (tenants, stream): 1 bad signatures"
            ]
        );
    }

    #[test]
    fn the_table_has_a_line_for_each_receiver() {
        let parts = parts("salt");
        let tally = DemoTally::new("run".into(), parts.len(), Instant::now());
        assert_eq!(table(&parts, &tally).len(), parts.len() + 1);
    }
}
