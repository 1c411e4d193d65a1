//! ○ What was seen of a run, as rows of CSV and as lines over time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::growth::Point;

/// Numbers by their names; what was not to be learned is missing.
pub type Numbers = BTreeMap<String, f64>;

/// The number of the instance that is there from the beginning to the end.
pub const FIRST: u32 = 1;

/// What was seen at one time.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Seconds since the start.
    pub at: f64,
    /// Of all together.
    pub whole: Numbers,
    /// Of each instance, by its number.
    pub instances: BTreeMap<u32, Numbers>,
}

/// A number of the whole.
pub fn line(samples: &[Sample], name: &str) -> Vec<Point> {
    samples.iter().filter_map(|sample| Some((sample.at, *sample.whole.get(name)?))).collect()
}

/// A number of one instance.
pub fn line_of(samples: &[Sample], instance: u32, name: &str) -> Vec<Point> {
    samples.iter().filter_map(|sample| Some((sample.at, *sample.instances.get(&instance)?.get(name)?))).collect()
}

/// All instances that were seen.
pub fn instances(samples: &[Sample]) -> BTreeSet<u32> {
    samples.iter().flat_map(|sample| sample.instances.keys().copied()).collect()
}

/// A row for each time.
pub fn csv_of_whole(samples: &[Sample]) -> String {
    csv("", samples.iter().map(|sample| (format!("{:.1}", sample.at), &sample.whole)))
}

/// A row for each time and instance.
pub fn csv_of_instances(samples: &[Sample]) -> String {
    let rows = samples.iter().flat_map(|sample| {
        sample.instances.iter().map(|(instance, numbers)| (format!("{:.1},{instance}", sample.at), numbers))
    });
    csv(",instance", rows)
}

fn csv<'a>(more: &str, rows: impl Iterator<Item = (String, &'a Numbers)> + Clone) -> String {
    let names: BTreeSet<&String> = rows.clone().flat_map(|(_, numbers)| numbers.keys()).collect();
    let mut text = format!("at_s{more}");
    for name in &names {
        let _ = write!(text, ",{name}");
    }
    text.push('\n');
    for (head, numbers) in rows {
        text.push_str(&head);
        for name in &names {
            let number = numbers.get(*name).map_or(String::new(), |number| format!("{}", (number * 1e3).round() / 1e3));
            let _ = write!(text, ",{number}");
        }
        text.push('\n');
    }
    text
}
