//! ○ A JSON object read field by field: every mistake is collected, with the field's name and what to write instead.

use std::{fmt::Display, ops::RangeInclusive};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    problem::{ERRORS_MAX, FieldError, Problem},
    shaped,
};

/// The object of a request's body.
pub type Object = Map<String, Value>;

/// An object being read. A method returns `None` for a field that is absent (or `null`) and for one that is wrong;
/// in the second case the mistake is noted.
pub struct Fields<'a> {
    object: &'a Object,
    /// `batch.`, or nothing at the top.
    path: String,
    known: Vec<&'static str>,
    errors: &'a mut Vec<FieldError>,
}

/// Reads `object` by `read`; everything that is wrong comes back at once.
///
/// # Errors
/// All mistakes: those that `read` noted, and fields it did not ask for.
pub fn parse<T>(object: &Object, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
    let mut errors = Vec::new();
    let mut fields = Fields { object, path: String::new(), known: Vec::new(), errors: &mut errors };
    let value = read(&mut fields);
    fields.note_unknown();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Problem::invalid(errors)),
    }
}

/// The result of reading `object`, if that names all of `needed` as well: missing fields are named together with
/// whatever else is wrong.
///
/// # Errors
/// All mistakes, or the one that is about no field.
pub fn needing<T>(read: Result<T, Problem>, object: &Object, needed: &[&str]) -> Result<T, Problem> {
    let missing = needed.iter().filter(|name| object.get(**name).is_none_or(Value::is_null));
    let mut errors: Vec<FieldError> = missing.map(|name| FieldError::new(*name, MISSING)).collect();
    match read {
        _ if errors.is_empty() => read,
        Ok(_) => Err(Problem::invalid(errors)),
        Err(problem) if problem.errors.is_empty() => Err(problem),
        Err(problem) => {
            let total = errors.len() + problem.errors_total;
            errors.extend(problem.errors);
            Err(Problem::invalid_of(total, errors))
        }
    }
}

/// A moment, as it is written in JSON and in queries.
pub fn checked_time(text: &str) -> Result<Timestamp, &'static str> {
    match text.parse() {
        Ok(time) => Ok(time),
        // The last day of the calendar is beyond what can be reckoned with in every time zone: as late as can be.
        Err(_) if text.strip_prefix("9999-12-31T").is_some_and(is_time_of_day) => Ok(Timestamp::MAX),
        Err(_) if text.contains(' ') => {
            Err("must be an RFC 3339 time, such as 2026-01-31T12:00:00Z; in a URL, + is written as %2B")
        }
        Err(_) => Err("must be an RFC 3339 time, such as 2026-01-31T12:00:00Z"),
    }
}

/// Whether this is what follows a date and a T.
fn is_time_of_day(text: &str) -> bool {
    format!("2026-01-31T{text}").parse::<Timestamp>().is_ok()
}

impl Fields<'_> {
    /// Notes a mistake of a field.
    pub fn wrong(&mut self, name: &str, message: impl Display) {
        if self.errors.len() >= ERRORS_MAX {
            // Counted, and not listed.
            return self.errors.push(FieldError::new(String::new(), String::new()));
        }
        self.errors.push(FieldError::new(format!("{}{name}", self.path), message.to_string()));
    }

    /// True when the field is there, `null` included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Any value but `null`.
    pub fn value(&mut self, name: &'static str) -> Option<&Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A text of at most `chars_max` characters, without control characters.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        let value = self.value(name)?.clone();
        match checked_text(&value, chars_max) {
            Ok(text) => Some(text),
            Err(message) => {
                self.wrong(name, message);
                None
            }
        }
    }

    /// A moment, as in RFC 3339.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let time = checked_time(&self.text(name, 64)?);
        time.map_err(|message| self.wrong(name, message)).ok()
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.require(name);
        self.text(name, chars_max)
    }

    /// Notes a missing field.
    pub fn require(&mut self, name: &'static str) {
        if self.object.get(name).is_none_or(Value::is_null) {
            self.known.push(name);
            self.wrong(name, MISSING);
        }
    }

    /// A whole number within a range, which the message tells.
    pub fn number<N: TryFrom<u64> + Into<u64> + Copy>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<N>,
    ) -> Option<N> {
        let value = self.value(name)?;
        match checked_number(value, (*range.start()).into()..=(*range.end()).into()) {
            Ok(number) => number.try_into().ok(),
            Err(message) => {
                self.wrong(name, message);
                None
            }
        }
    }

    /// The members of a shape, as they are allowed to be: what is wrong is noted and left out, and so is `null`.
    pub fn shaped(&mut self, shape: &'static Value) -> Object {
        for name in shape["properties"].as_object().into_iter().flat_map(|members| members.keys()) {
            self.known.push(name);
        }
        let object = self.object;
        shaped::check(object, shape, &mut |path, message| self.wrong(path, message))
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            self.wrong(name, one_of(words.iter().map(|(word, _)| format!("\"{word}\""))));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let flag = self.value(name)?.as_bool();
        if flag.is_none() {
            self.wrong(name, NO_FLAG);
        }
        flag
    }

    /// An object in this one; its mistakes carry its name.
    pub fn nested<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        self.known.push(name);
        match self.object.get(name)? {
            Value::Null => None,
            Value::Object(object) => {
                let path = format!("{}{name}.", self.path);
                let mut fields = Fields { object, path, known: Vec::new(), errors: self.errors };
                let value = read(&mut fields);
                fields.note_unknown();
                value
            }
            _ => {
                self.wrong(name, NO_OBJECT);
                None
            }
        }
    }

    /// A list; `each` turns an element into a value, or says what is wrong with it.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        items: RangeInclusive<usize>,
        mut each: impl FnMut(&Value) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.value(name)?.clone();
        let Some(list) = value.as_array().filter(|list| items.contains(&list.len())) else {
            self.wrong(name, list_of(items.start(), items.end()));
            return None;
        };
        let mut values = Vec::with_capacity(list.len());
        for (place, item) in list.iter().enumerate() {
            match each(item) {
                Ok(value) => values.push(value),
                Err(message) => self.wrong(&format!("{name}[{place}]"), message),
            }
        }
        (values.len() == list.len()).then_some(values)
    }

    fn note_unknown(&mut self) {
        for name in self.object.keys() {
            if !self.known.contains(&name.as_str()) {
                self.wrong(&shown(name), NOT_KNOWN);
            }
        }
    }
}

pub(super) const MISSING: &str = "is missing";
pub(super) const NOT_KNOWN: &str = "is not known here";
pub(super) const NO_OBJECT: &str = "must be an object";
pub(super) const NO_FLAG: &str = "must be true or false";

pub(super) fn one_of(words: impl Iterator<Item = String>) -> String {
    format!("must be {}", words.collect::<Vec<_>>().join(" or "))
}

pub(super) fn list_of(from: impl Display, to: impl Display) -> String {
    format!("must be a list of {from} to {to} items")
}

/// A name that may come from anybody.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// A whole number within a range, which the message tells.
pub fn checked_number(value: &Value, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.as_u64().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// A text of 1 to `chars_max` characters without control characters (Postgres refuses NUL, people refuse the others).
pub fn checked_text(value: &Value, chars_max: usize) -> Result<String, String> {
    let Some(text) = value.as_str() else { return Err("must be a text".to_owned()) };
    if text.is_empty() || text.chars().count() > chars_max {
        return Err(format!("must have 1 to {chars_max} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A caller's own key: letters, digits and `. _ : -`, not like an id of ours.
pub fn checked_uid(text: &str, prefix: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
    if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
        return Err("must have 1 to 128 letters, digits or any of . _ : -".to_owned());
    }
    if matches!(text, "." | "..") {
        return Err("must not be . or .., which mean other paths".to_owned());
    }
    if text.starts_with(prefix) {
        return Err(format!("must not begin with {prefix}, which ids begin with"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(body: Value, read: impl FnOnce(&mut Fields<'_>) -> Option<()>) -> Vec<(String, String)> {
        let object = body.as_object().expect("an object");
        let problem = parse(object, read).expect_err("mistakes");
        problem.errors.into_iter().map(|error| (error.field, error.message)).collect()
    }

    #[test]
    fn a_key_that_no_path_can_name_is_refused() {
        for uid in [".", "..", "", "a/b", "a b", "cus_1"] {
            assert!(checked_uid(uid, "cus_").is_err(), "{uid}");
        }
        for uid in ["...", ".a", "a.", "a..b", "cus"] {
            assert_eq!(checked_uid(uid, "cus_"), Ok(()), "{uid}");
        }
    }

    #[test]
    fn a_time_is_read_to_the_end_of_the_calendar_and_a_lost_plus_is_explained() {
        assert_eq!(checked_time("9999-12-31T23:59:59Z"), Ok(Timestamp::MAX));
        assert!(checked_time("2026-01-31T12:00:00+02:00").is_ok());
        let lost = checked_time("2026-01-31T12:00:00 02:00").expect_err("no time");
        assert!(lost.contains("%2B"), "{lost}");
        for text in ["", "yesterday", "9999-12-31", "9999-12-32T00:00:00Z"] {
            assert!(checked_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_mistake_is_named_at_once_with_what_to_write_instead() {
        let body = json!({"name": 5, "batch": {"events_max": 0, "extra": 1}, "mode": "streem", "typo": true});
        let found = errors(body, |fields| {
            fields.text("name", 10);
            fields.nested("batch", |batch| batch.number("events_max", 1_u32..=1_000));
            fields.word("mode", &[("stream", 1), ("batch", 2)]);
            fields.required_text("url", 10);
            Some(())
        });
        let expected = [
            ("name", "must be a text"),
            ("batch.events_max", "must be a whole number from 1 to 1000"),
            ("batch.extra", "is not known here"),
            ("mode", "must be \"stream\" or \"batch\""),
            ("url", "is missing"),
            ("typo", "is not known here"),
        ];
        assert_eq!(found, expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
    }

    #[test]
    fn a_wrong_item_of_a_list_is_named_by_its_place() {
        let found = errors(json!({"ids": ["a", 5]}), |fields| {
            fields.list("ids", 1..=3, |item| checked_text(item, 5)).map(drop)
        });
        assert_eq!(found, [("ids[1]".to_owned(), "must be a text".to_owned())]);
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let object = json!({"name": null});
        assert_eq!(parse(object.as_object().expect("object"), |fields| Some(fields.text("name", 5))), Ok(None));
    }

    #[test]
    fn numbers_are_whole_and_within_their_range() {
        for number in [json!(-1), json!(1.5), json!(11), json!("5"), json!(1e300)] {
            assert_eq!(errors(json!({"n": number}), |f| f.number("n", 1_u64..=10).map(drop)).len(), 1, "{number}");
        }
    }

    #[test]
    fn a_text_that_postgres_would_refuse_is_refused_here() {
        assert!(checked_text(&json!("a\u{0}b"), 5).is_err());
        assert!(checked_uid("ep_mine", "ep_").is_err());
        assert!(checked_uid("a/b", "ep_").is_err());
        assert_eq!(checked_uid("my:endpoint-1.x_y", "ep_"), Ok(()));
    }
}
