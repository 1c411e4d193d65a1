//! ○ The events in a request's body: a batch as a JSON array or as lines, or a single event.

use serde_json::value::RawValue;

/// The events as they stand in the body; a body that is not JSON is one event.
pub(crate) fn events(body: &[u8]) -> Vec<&[u8]> {
    let trimmed = body.trim_ascii();
    if trimmed.starts_with(b"[")
        && let Ok(array) = serde_json::from_slice::<Vec<&RawValue>>(trimmed)
    {
        return array.into_iter().map(|event| event.get().as_bytes()).collect();
    }
    let lines = || trimmed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let is_json = |line: &[u8]| serde_json::from_slice::<&RawValue>(line).is_ok();
    if lines().count() > 1 && lines().all(is_json) {
        return lines().collect();
    }
    vec![body]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let found: Vec<&str> =
            events(body.as_bytes()).into_iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_array_or_lines_of_json_are_a_batch_and_anything_else_is_one_event() {
        check(r#"[{"a":1}, {"b":[2]}]"#, &[r#"{"a":1}"#, r#"{"b":[2]}"#]);
        check("{\"a\":1}\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"]);
        check(r#"{"a":1}"#, &[r#"{"a":1}"#]);
        check("{\n \"a\": 1\n}", &["{\n \"a\": 1\n}"]);
        check("two\nlines", &["two\nlines"]);
        check("", &[""]);
    }
}
