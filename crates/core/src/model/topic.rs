//! ○ Names of topics.

/// A topic's name, as Kafka allows it, and none of Kafka's own.
///
/// # Errors
/// Says what to write instead.
pub fn check(name: &str) -> Result<(), String> {
    if !is_legal(name) {
        return Err(format!("must be a topic's name: 1 to {CHARS_MAX} letters, digits or any of . _ -"));
    }
    if is_kafkas_own(name) {
        return Err("is one of Kafka's own topics (their names begin with __), which are never delivered".to_owned());
    }
    Ok(())
}

/// Kafka's own rule.
#[must_use]
pub fn is_legal(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=CHARS_MAX).contains(&name.len()) && name.chars().all(allowed) && !matches!(name, "." | "..")
}

/// Kafka keeps its own books in topics such as `__consumer_offsets`, and so do tools around it: to read them as events, each
/// commit would be the next event.
#[must_use]
pub fn is_kafkas_own(topic: &str) -> bool {
    topic.starts_with("__")
}

/// The longest name that Kafka allows.
pub const CHARS_MAX: usize = 249;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_or_a_topic_of_kafkas_own_is_no_name() {
        let long = "x".repeat(CHARS_MAX + 1);
        for name in ["", "*", "orders.*", "a b", ".", "..", "ünï", "__consumer_offsets", &long] {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["orders", "a.b-c_D", "...", &long[1..]] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}
