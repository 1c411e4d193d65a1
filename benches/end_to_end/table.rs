//! ○ Rows and columns as aligned text.

use std::time::Duration;

/// A title, a heading and rows of as many cells; the first column is aligned left, the others right.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &str, heading: &[&str]) -> Self {
        Table { title: title.to_owned(), rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// A column for each of `all`, and what each number should be in the last one.
    pub fn of_columns<T>(title: &str, all: &[(String, T)], rows: &[(&str, Cell<T>, &str)]) -> Self {
        let heading: Vec<&str> =
            [""].into_iter().chain(all.iter().map(|(label, _)| label.as_str())).chain(["bar"]).collect();
        let mut table = Table::new(title, &heading);
        for (label, cell, bar) in rows {
            let cells = all.iter().map(|(_, of)| cell(of));
            table.row([(*label).to_owned()].into_iter().chain(cells).chain([(*bar).to_owned()]));
        }
        table
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = format!("{}\n", self.title);
        for row in &self.rows {
            let mut line = format!("  {:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number of what was measured, as text.
pub type Cell<T> = fn(&T) -> String;

/// `1234567` as `1,234,567`.
pub fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.763` as `76 %`.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.0} %", share * 100.0) } else { "–".to_owned() }
}

/// `0.0076` as `0.8 %`.
pub fn tenths_of_percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Bytes as megabytes.
pub fn megabytes(bytes: u64) -> String {
    thousands(bytes as f64 / 1e6)
}

pub fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
