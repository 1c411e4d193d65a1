//! ○ Mistakes in the configuration: the key, the value (never a secret's), its source, and the values that are allowed.

use std::fmt;

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// `section.key`, or the name of a file or variable that as a whole is wrong.
    pub key: String,
    /// As it was given; `None` for a secret and where there is none.
    pub value: Option<String>,
    /// `a file's name`, `a variable's name`; `None` for a default.
    pub from: Option<String>,
    /// The values that are allowed.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(from) = &self.from {
            write!(f, " (from {from})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Everything that is wrong, so that one look mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} error{}:", if count == 1 { "" } else { "s" })?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

/// The known name nearest to a mistyped one, if any is near.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.len() / 3).max(2);
    known
        .into_iter()
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Number of letters to change, add or remove to get from one word to the other (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_nearest_known_one() {
        let known = ["kafka.brokers", "kafka.topics", "admin.bind"];
        assert_eq!(nearest("kafka.broker", known), Some("kafka.brokers"));
        assert_eq!(nearest("kafka.topcis", known), Some("kafka.topics"));
        assert_eq!(nearest("weather", known), None);
    }
}
