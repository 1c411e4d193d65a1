//! ○ What a run came to: its table, its charts, and what was wrong.

use std::fmt::{self, Write as _};

use crate::{
    chart::{Line, Panel, short},
    growth::{Bound, Growth},
    samples::{FIRST, Sample, instances, line, line_of},
};

/// Pairs of an event and an endpoint, by what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Books {
    pub expected: usize,
    pub delivered: usize,
    pub dead_letters: usize,
    /// Still waiting when the time for the rest was over.
    pub backlog: usize,
    pub lost: usize,
    pub early: usize,
    pub duplicates: u64,
}

impl Books {
    pub fn problems(&self) -> Vec<String> {
        let Books { expected, delivered, dead_letters, backlog, lost, early, .. } = *self;
        let mut problems = Vec::new();
        let mut must_be_none =
            |count: usize, what: &str| problems.extend((count > 0).then(|| format!("{count} {what}")));
        must_be_none(lost, "events are lost");
        must_be_none(early, "commits came early");
        must_be_none(backlog, "events still wait");
        must_be_none(usize::from(expected == 0), "run without events");
        must_be_none(expected.abs_diff(delivered + dead_letters + backlog + lost), "events are not accounted for");
        problems
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Books { expected, delivered, dead_letters, backlog, lost, early, duplicates } = self;
        write!(
            f,
            "{expected} events expected: {delivered} delivered, {dead_letters} dead letters, {backlog} still waiting, {lost} LOST; \
             {early} commits EARLY; {duplicates} duplicates"
        )
    }
}

/// A line of the table.
pub struct Row {
    pub what: String,
    pub growth: Growth,
}

/// So much of a run is warming up.
const WARM_UP_PART: f64 = 0.2;

const MEMORY: Bound = Bound { part: 0.1, floor: 24.0 };
const THREADS: Bound = Bound { part: 0.0, floor: 4.0 };
const HANDLES: Bound = Bound { part: 0.1, floor: 32.0 };
/// Of tables whose rows come and go.
const TABLE: Bound = Bound { part: 0.25, floor: 16.0 };

const OF_FIRST: [(&str, &str, Option<Bound>); 7] = [
    ("rss_mib", "RSS, MiB", Some(MEMORY)),
    ("threads", "threads", Some(THREADS)),
    ("handles", "file handles", Some(HANDLES)),
    ("connections", "connections to endpoints", None),
    ("outstanding", "outstanding events", None),
    ("lag", "lag, records", None),
    ("uncommitted_s", "oldest uncommitted, s", None),
];

const OF_ALL: [(&str, &str); 5] = [
    ("arrived_per_second", "arrived, events/s"),
    ("p50_ms", "p50, ms"),
    ("p99_ms", "p99, ms"),
    ("backlog_rows", "rows of the backlog"),
    ("dead_letter_rows", "dead letters"),
];

const TABLES: &str = "table_mib ";
const COME_AND_GO: [&str; 6] =
    ["backlog", "backlog_head", "dead_letter", "dead_letter_key", "endpoint", "subscription"];
/// Other tables are worth a line from this size on.
const WORTH_A_LINE_MIB: f64 = 0.5;

/// `lasting`: seconds from the start to the end of the load.
pub fn rows(samples: &[Sample], lasting: f64) -> Vec<Row> {
    let counts = |sample: &&Sample| sample.at >= lasting * WARM_UP_PART && sample.at <= lasting;
    let samples: Vec<Sample> = samples.iter().filter(counts).cloned().collect();
    let row =
        |what: &str, points: Vec<_>, bound| Some(Row { what: what.to_owned(), growth: Growth::of(&points, bound)? });
    let mut rows = Vec::new();
    for (name, what, bound) in OF_FIRST {
        rows.extend(row(what, line_of(&samples, FIRST, name), bound));
    }
    for (name, what) in OF_ALL {
        rows.extend(row(what, line(&samples, name), None));
    }
    for name in tables(&samples) {
        let table = name.trim_start_matches(TABLES);
        let bound = COME_AND_GO.contains(&table).then_some(TABLE);
        let row = row(&format!("table {table}, MiB"), line(&samples, name), bound);
        rows.extend(row.filter(|row| bound.is_some() || row.growth.end >= WORTH_A_LINE_MIB));
    }
    rows
}

fn tables(samples: &[Sample]) -> impl Iterator<Item = &str> {
    let names = samples.last().into_iter().flat_map(|sample| sample.whole.keys());
    names.map(String::as_str).filter(|name| name.starts_with(TABLES))
}

pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>9} {:>9}\n",
        "", "start", "middle", "end", "most", "an hour", "risen", "2nd half", "may rise"
    );
    for Row { what, growth } in rows {
        let Growth { start, middle, end, most, per_hour, risen, risen_later, allowed } = growth;
        let numbers = [start, middle, end, most].map(|number| format!("{:>9}", short(*number))).join(" ");
        let verdict = match (allowed, growth.grows()) {
            (None, _) => "",
            (Some(_), false) => "flat",
            (Some(_), true) => "GROWS",
        };
        let allowed = allowed.map(short).unwrap_or_default();
        let (per_hour, risen, later) = (short(*per_hour), short(*risen), short(*risen_later));
        let _ = writeln!(text, "{what:<28} {numbers} {per_hour:>10} {risen:>9} {later:>9} {allowed:>9}  {verdict}");
    }
    text
}

/// Whatever rises beyond its bound, in words.
pub fn grows(rows: &[Row]) -> Vec<String> {
    let growing = rows.iter().filter(|row| row.growth.grows());
    growing.map(|row| format!("{} grows: {} an hour", row.what, short(row.growth.per_hour))).collect()
}

pub fn panels(samples: &[Sample]) -> Vec<Panel> {
    let whole = |name: &str, label: &str, color| Line { color, label: label.to_owned(), points: line(samples, name) };
    let panel = |title: &str, lines: Vec<Line>| Panel { title: title.to_owned(), lines };
    let mut panels = vec![
        panel("events/s", vec![whole("arrived_per_second", "arrived", BLUE), whole("due_per_second", "due", ORANGE)]),
        panel(
            "latency of the endpoint that never fails, ms",
            vec![whole("p99_ms", "p99", BLUE), whole("p50_ms", "p50", ORANGE)],
        ),
    ];
    panels.extend(OF_FIRST.iter().map(|(name, title, _)| panel(title, of_instances(samples, name))));
    panels.push(panel("rows of the backlog", vec![whole("backlog_rows", "", BLUE)]));
    panels.push(panel("dead letters", vec![whole("dead_letter_rows", "", BLUE)]));
    let mut largest: Vec<&str> = tables(samples).collect();
    let size = |name: &str| line(samples, name).last().map_or(0.0, |point| point.1);
    largest.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let lines = largest.iter().zip(COLORS).map(|(name, color)| whole(name, name.trim_start_matches(TABLES), color));
    panels.push(panel("largest tables, MiB", lines.collect()));
    panels
}

/// The first instance before the others.
fn of_instances(samples: &[Sample], name: &str) -> Vec<Line> {
    let others = instances(samples).into_iter().filter(|instance| *instance != FIRST);
    let label = |number| if number == 0 { "those that come and go" } else { "" };
    let of = |instance, color, label: &str| Line {
        color,
        label: label.to_owned(),
        points: line_of(samples, instance, name),
    };
    let mut lines: Vec<Line> = (0..).zip(others).map(|(number, other)| of(other, GREY, label(number))).collect();
    lines.push(of(FIRST, BLUE, "the first instance"));
    lines
}

const BLUE: &str = "#2563eb";
const ORANGE: &str = "#ea7c1c";
const GREY: &str = "#9aa5b4";
const COLORS: [&str; 6] = [BLUE, ORANGE, "#15803d", "#b91c1c", "#7c3aed", GREY];
