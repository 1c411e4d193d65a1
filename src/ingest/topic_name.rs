//! ○ The topics that may be read, by their names.

/// Topics of Kafka's own ([`crate::model::topic::is_kafkas_own`]), as librdkafka's pattern.
pub const KAFKAS_OWN: &str = "^__";

/// True if a pattern means to librdkafka what it means here: it knows POSIX's extended regular expressions, and passes over
/// what other languages write beyond them as if they were letters.
///
/// # Errors
/// The cause, and what can be written in its place.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let mut rest = pattern.chars();
    let mut in_brackets = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' if in_brackets => return Err(format!("has a backslash within brackets; {UNDERSTOOD}")),
            '\\' => match rest.next() {
                None => return Err(format!("ends with a backslash; {UNDERSTOOD}")),
                Some(letter) if letter.is_ascii_alphanumeric() => {
                    return Err(format!("has `\\{letter}`, which Kafka's client does not know; {UNDERSTOOD}"));
                }
                Some(_) => {}
            },
            '(' if !in_brackets && rest.as_str().starts_with('?') => {
                return Err(format!("has `(?`, which Kafka's client does not know; {UNDERSTOOD}"));
            }
            '[' if !in_brackets => {
                in_brackets = true;
                // A bracket that comes first stands for itself.
                let inner = rest.as_str();
                let inner = inner.strip_prefix('^').unwrap_or(inner);
                rest = inner.strip_prefix(']').unwrap_or(inner).chars();
            }
            '[' if rest.as_str().starts_with([':', '.', '=']) => {
                let kind = rest.next().unwrap_or(':');
                let Some(end) = rest.as_str().find(&format!("{kind}]")) else {
                    return Err(format!("has `[{kind}` without its end; {UNDERSTOOD}"));
                };
                rest = rest.as_str()[end + 2..].chars();
            }
            ']' => in_brackets = false,
            _ => {}
        }
    }
    if in_brackets {
        return Err(format!("has `[` without `]`; {UNDERSTOOD}"));
    }
    regex_syntax::parse(pattern).map(drop).map_err(|error| {
        let line = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("cannot be read: {line}; {UNDERSTOOD}")
    })
}

const UNDERSTOOD: &str = "understood are letters, `.`, `[a-z]`, `[^a-z]`, `(a|b)`, `*`, `+`, `?`, `{2,3}`, and `\\` before a sign, as in `\\.`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_kafkas_client_reads_as_they_are_meant_are_taken() {
        let patterns =
            [".*", "orders", r"orders\.(eu|us)", "[a-z]+-[0-9]{2,3}", "[]x]", "[^]x]", "[[:alpha:]_]+", "^a$", "a?b+"];
        for pattern in patterns {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn what_it_would_refuse_or_read_otherwise_is_refused_with_what_is_understood() {
        let patterns =
            ["(?:a|b)", "(?i)orders", "[0-9", r"\d+", r"orders\w", r"[\d]", "a\\", "(a", "*a", "a**{", "[[:alpha"];
        for pattern in patterns {
            let problem = check_pattern(pattern).expect_err(pattern);
            assert!(problem.contains("understood are"), "{pattern}: {problem}");
        }
    }
}
