//! ○ Many of a kind in one body: `{"subscriptions": […]}`. Each item is read by itself, so that no more than one is held
//! in memory as JSON, and every mistake carries its item's place: `subscriptions[17].scope.level`.

use std::{collections::BTreeMap, fmt};

use actix_web::http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::problem::{ERRORS_MAX, FieldError, Problem};
use crate::{
    api::{check::Object, resource::BulkEffect},
    store::config_write::WriteEffect,
};

/// Items in one call.
pub(super) const ITEMS_MAX: usize = 10_000;

/// The items of a body, not yet looked at.
///
/// # Errors
/// 400 for what is not JSON, 422 for anything but `{"NAME": [1 to 10,000 items]}`.
pub(super) fn items<'a>(body: &'a [u8], name: &str) -> Result<Vec<&'a RawValue>, Problem> {
    let malformed =
        |error: serde_json::Error| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string());
    let Members(members) = match serde_json::from_slice(body) {
        Ok(members) => members,
        Err(error) if error.is_data() => {
            let detail = "the body must be a JSON object";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail));
        }
        Err(error) => return Err(malformed(error)),
    };
    let mut errors: Vec<FieldError> = Vec::new();
    for (number, member) in members.keys().filter(|member| *member != name).enumerate() {
        if number < ERRORS_MAX {
            let shown: String = member.chars().filter(|c| !c.is_control()).take(100).collect();
            errors.push(FieldError::new(shown, "is not known here"));
        }
    }
    let wanted = format!("must be a list of 1 to {ITEMS_MAX} items");
    let items = match members.get(name).map(|list| serde_json::from_str::<Items<'a>>(list.get())) {
        Some(Ok(items)) if (1..=ITEMS_MAX).contains(&items.count) => Some(items.first),
        Some(_) => {
            errors.push(FieldError::new(name, wanted));
            None
        }
        None => {
            errors.push(FieldError::new(name, "is missing"));
            None
        }
    };
    match items {
        Some(items) if errors.is_empty() => Ok(items),
        _ => Err(Problem::invalid(errors)),
    }
}

/// Reads each item by `read`; the mistakes of all items come back at once.
///
/// # Errors
/// All mistakes, with the places of their items.
pub(super) fn read_all<T>(
    items: &[&RawValue],
    name: &str,
    read: impl Fn(&Object) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let mut mistakes = Mistakes::new(name);
    let mut all = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match serde_json::from_str::<Value>(item.get()) {
            Ok(Value::Object(object)) => match read(&object) {
                Ok(item) => all.push(item),
                Err(problem) => mistakes.of(index, problem),
            },
            Ok(_) => mistakes.at(index, "", "must be an object"),
            // Nested too deeply, or a number that nothing can hold.
            Err(error) => mistakes.at(index, "", &format!("cannot be read: {error}")),
        }
    }
    mistakes.none_or_problem().map(|()| all)
}

/// Mistakes in the items of a body.
pub(super) struct Mistakes<'a> {
    name: &'a str,
    /// Items with mistakes.
    items: usize,
    last: Option<usize>,
    errors: Vec<FieldError>,
    /// Status and code of the first: those of all, unless they differ.
    head: Option<(StatusCode, &'static str)>,
}

impl<'a> Mistakes<'a> {
    #[must_use]
    pub(super) fn new(name: &'a str) -> Self {
        Mistakes { name, items: 0, last: None, errors: Vec::new(), head: None }
    }

    /// One field of an item; the item itself where the field has no name.
    pub(super) fn at(&mut self, index: usize, field: &str, message: &str) {
        self.head(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed");
        self.record(index, field, message.to_owned());
    }

    /// A problem that would be the answer if the item came alone.
    pub(super) fn of(&mut self, index: usize, problem: Problem) {
        self.head(problem.status, problem.code);
        if problem.errors.is_empty() {
            self.record(index, "", problem.detail);
            return;
        }
        for error in problem.errors {
            self.record(index, &error.field, error.message);
        }
    }

    /// # Errors
    /// The problem, when there is any.
    pub(super) fn none_or_problem(self) -> Result<(), Problem> {
        let Some((status, code)) = self.head else { return Ok(()) };
        let more = if self.errors.len() < ERRORS_MAX { "" } else { "; only the first mistakes are listed" };
        let detail = format!("{} of the {} are not valid, so nothing was written{more}", self.items, self.name);
        Err(Problem { errors: self.errors, ..Problem::new(status, code, detail) })
    }

    fn head(&mut self, status: StatusCode, code: &'static str) {
        match self.head {
            None => self.head = Some((status, code)),
            Some(head) if head == (status, code) => {}
            Some(_) => self.head = Some((StatusCode::UNPROCESSABLE_ENTITY, "validation_failed")),
        }
    }

    fn record(&mut self, index: usize, field: &str, message: String) {
        if self.last != Some(index) {
            (self.items, self.last) = (self.items + 1, Some(index));
        }
        if self.errors.len() < ERRORS_MAX {
            let dot = if field.is_empty() { "" } else { "." };
            let path = format!("{}[{index}]{dot}{field}", self.name);
            self.errors.push(FieldError { index: Some(index), ..FieldError::new(path, message) });
        }
    }
}

impl From<WriteEffect> for BulkEffect {
    fn from(effect: WriteEffect) -> Self {
        match effect {
            WriteEffect::Created => BulkEffect::Created,
            WriteEffect::Updated | WriteEffect::Deleted => BulkEffect::Updated,
            WriteEffect::Unchanged => BulkEffect::Unchanged,
        }
    }
}

/// The members of an object, not yet looked at.
#[derive(Deserialize)]
struct Members<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

/// The first items of a list, and how many there are: a list of a million zeros must not become a million of anything.
struct Items<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Items { first: Vec::new(), count: 0 };
                while let Some(item) = list.next_element()? {
                    items.count += 1;
                    if items.count <= ITEMS_MAX {
                        items.first.push(item);
                    }
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{body, endpoint_body::PurgeBody};

    fn named(errors: Vec<FieldError>) -> Vec<(String, Option<usize>)> {
        errors.into_iter().map(|error| (error.field, error.index)).collect()
    }

    fn read(body: &str) -> Result<Vec<String>, Problem> {
        let items = items(body.as_bytes(), "things")?;
        read_all(&items, "things", |object| Ok(body::read::<PurgeBody>(object)?.topic.unwrap_or_default()))
    }

    #[test]
    fn mistakes_of_all_items_come_back_at_once_with_their_places() {
        let problem = read(r#"{"things":[{"topic":"a"},{"topic":5,"x":1},7,{"topic":""}]}"#).expect_err("mistakes");
        let expected = [("things[1].topic", 1), ("things[1].x", 1), ("things[2]", 2), ("things[3].topic", 3)];
        assert_eq!(named(problem.errors), expected.map(|(field, index)| (field.to_owned(), Some(index))));
        assert!(problem.detail.starts_with("3 of the things"), "{}", problem.detail);
    }

    #[test]
    fn only_a_list_of_a_bounded_length_is_taken() {
        assert_eq!(read(r#"{"things":[{"topic":"a"}]}"#), Ok(vec!["a".to_owned()]));
        let long = format!("{{\"things\":[{}1]}}", "1,".repeat(ITEMS_MAX));
        for body in [r#"{"things":[]}"#, r#"{"things":{}}"#, r#"{"things":null}"#, r#"{"things":5}"#, &long, "{}"] {
            let problem = read(body).expect_err("refused");
            assert_eq!((problem.code, named(problem.errors)), ("validation_failed", vec![("things".to_owned(), None)]));
        }
        for body in ["[]", "5", "null", "\"a\""] {
            assert_eq!(read(body).expect_err("refused").code, "validation_failed", "{body}");
        }
        for body in ["", "{", "{\"things\":[", "\u{1}"] {
            assert_eq!(read(body).expect_err("refused").code, "malformed_json", "{body}");
        }
        let problem = read(r#"{"things":[{"topic":"a"}],"more":1}"#).expect_err("refused");
        assert_eq!(named(problem.errors), [("more".to_owned(), None)]);
    }

    #[test]
    fn a_thousand_mistakes_are_counted_and_the_first_are_named() {
        let problem = read(&format!("{{\"things\":[{}1]}}", "1,".repeat(999))).expect_err("mistakes");
        assert_eq!(problem.errors.len(), ERRORS_MAX);
        assert!(problem.detail.starts_with("1000 of the things"), "{}", problem.detail);
    }

    #[test]
    fn mistakes_of_one_kind_keep_their_code() {
        let outside = || Problem::new(StatusCode::FORBIDDEN, "outside_grants", "no");
        let mut mistakes = Mistakes::new("things");
        mistakes.of(3, outside());
        assert_eq!(mistakes.none_or_problem().map_err(|problem| problem.code), Err("outside_grants"));
        let mut mistakes = Mistakes::new("things");
        mistakes.of(3, outside());
        mistakes.at(4, "topic", "is missing");
        assert_eq!(mistakes.none_or_problem().map_err(|problem| problem.code), Err("validation_failed"));
    }
}
