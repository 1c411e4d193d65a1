//! ○ JSON as people read it: rows and columns, or a field a line.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::Value;

/// A column: its heading, and where its values stand (RFC 6901).
pub(super) type Column = (&'static str, &'static str);

/// A line for each row. `width` is the terminal's; without one nothing is folded.
pub(super) fn rows(rows: &[Value], columns: &[Column], width: Option<u16>) -> String {
    if rows.is_empty() {
        return "nothing".to_owned();
    }
    let mut table = table(width);
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(columns.iter().map(|(_, at)| row.pointer(at).map_or_else(|| ABSENT.to_owned(), text)));
    }
    trimmed(&table)
}

/// A line for each field; what is within a field follows its name with a dot.
pub(super) fn fields(resource: &Value, width: Option<u16>) -> String {
    let mut table = table(width);
    let mut lines = Vec::new();
    flatten(String::new(), resource, &mut lines);
    for (name, value) in lines {
        table.add_row([name, value]);
    }
    trimmed(&table)
}

pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Nothing that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn table(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// Cells are padded on both sides; lines begin and end with what is in them.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n")
}

fn flatten(name: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (part, value) in object {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(format!("{name}{dot}{}", plain(part)), value, lines);
            }
        }
        value => lines.push((name, text(value))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => ABSENT.to_owned(),
        Value::String(text) => time(text).unwrap_or_else(|| plain(text)),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let shown: Vec<String> = items.iter().take(ITEMS_SHOWN).map(self::text).collect();
            let more = if items.len() > ITEMS_SHOWN { format!(", … ({})", items.len()) } else { String::new() };
            shown.join(", ") + &more
        }
        value => plain(&value.to_string()),
    }
}

/// `2026-01-31 12:00:00Z`
fn time(text: &str) -> Option<String> {
    let is_time = text.ends_with('Z') && text.len() >= 20 && text.as_bytes()[10] == b'T';
    let time: Timestamp = is_time.then(|| text.parse().ok())??;
    Some(time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

const ABSENT: &str = "-";
const ITEMS_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_aligned_and_what_is_not_there_is_a_dash() {
        let data = [
            json!({"uid": "erp", "at": "2026-01-31T12:00:00.123Z", "batch": {"events_max": 5}}),
            json!({"uid": null, "at": "soon", "batch": {}}),
        ];
        let columns = [("UID", "/uid"), ("AT", "/at"), ("EVENTS", "/batch/events_max")];
        let shown = rows(&data, &columns, None);
        let expected = "UID  AT                    EVENTS\nerp  2026-01-31 12:00:00Z  5\n-    soon                  -";
        assert_eq!(shown, expected);
        assert_eq!(rows(&[], &columns, None), "nothing");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_customer_wrote() {
        let shown = fields(&json!({"url": "a\u{1b}[2Jb", "tls": {"ca": null}, "n": [1, 2]}), None);
        assert_eq!(shown, "n       1, 2\ntls.ca  -\nurl     a\u{fffd}[2Jb");
    }

    #[test]
    fn a_narrow_terminal_folds_and_wider_output_does_not() {
        let data = [json!({"a": "x".repeat(100)})];
        assert!(rows(&data, &[("A", "/a")], Some(40)).lines().count() > 2);
        assert_eq!(rows(&data, &[("A", "/a")], None).lines().count(), 2);
    }
}
