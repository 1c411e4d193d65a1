//! ○ A JSON object held to its shape: limits, words and members are those of the document, so that the two cannot differ.

use serde_json::{Value, json};

use super::fields::{Object, checked_text};
use crate::api::shape;

/// An object without what is wrong in it, and what that is: paths and what to write instead.
pub struct Checked {
    pub object: Object,
    pub mistakes: Vec<(String, String)>,
}

/// Holds the members that the shape has to it; others are the caller's. Within a member, others are mistakes.
#[must_use]
pub fn check(object: &Object, shape: &Value) -> Checked {
    let known = object.iter().filter(|(name, _)| shape["properties"].get(name.as_str()).is_some());
    let object: Object = known.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut mistakes = Vec::new();
    let object = members(object, shape, "", &mut mistakes);
    Checked { object, mistakes }
}

fn members(object: Object, shape: &Value, path: &str, mistakes: &mut Vec<(String, String)>) -> Object {
    for name in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if object.get(name).is_none_or(Value::is_null) {
            mistakes.push((format!("{path}{name}"), "is missing".to_owned()));
        }
    }
    let checked = |(name, value): (String, Value)| {
        let path = format!("{path}{}", shown(&name));
        match shape::member(shape, &name) {
            None => mistakes.push((path, "is not known here".to_owned())),
            Some(_) if value.is_null() => {}
            Some(member) => return Some((name, self::value(value, member, &path, mistakes)?)),
        }
        None
    };
    object.into_iter().filter_map(checked).collect()
}

fn value(value: Value, shape: &Value, path: &str, mistakes: &mut Vec<(String, String)>) -> Option<Value> {
    let message = match value {
        Value::Object(object) if shape.get("properties").is_some() => {
            return Some(Value::Object(members(object, shape, &format!("{path}."), mistakes)));
        }
        Value::Array(list) if shape.get("items").is_some() => return items(list, shape, path, mistakes),
        value => match mistake(&value, shape) {
            None => return Some(value),
            Some(message) => message,
        },
    };
    mistakes.push((path.to_owned(), message));
    None
}

fn items(list: Vec<Value>, shape: &Value, path: &str, mistakes: &mut Vec<(String, String)>) -> Option<Value> {
    let (min, max) = (limit(shape, "minItems", 0), limit(shape, "maxItems", u64::MAX));
    if !(min..=max).contains(&(list.len() as u64)) {
        mistakes.push((path.to_owned(), format!("must be a list of {min} to {max} items")));
        return None;
    }
    let before = mistakes.len();
    let of_item = |(place, item)| value(item, &shape["items"], &format!("{path}[{place}]"), mistakes);
    let list: Vec<Value> = list.into_iter().enumerate().filter_map(of_item).collect();
    (mistakes.len() == before).then_some(Value::Array(list))
}

/// Advice in place of a value that is neither an object nor a list of the shape.
fn mistake(value: &Value, shape: &Value) -> Option<String> {
    let words = words(shape);
    if !words.is_empty() {
        let listed: Vec<String> = words.iter().map(ToString::to_string).collect();
        return (!words.contains(&value)).then(|| format!("must be {}", listed.join(" or ")));
    }
    let is = |kind: &str| {
        shape["type"] == kind || shape["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
    };
    if is("integer") {
        let (min, max) = (limit(shape, "minimum", 0), limit(shape, "maximum", u64::MAX));
        let fits = value.as_u64().is_some_and(|number| (min..=max).contains(&number));
        (!fits).then(|| format!("must be a whole number from {min} to {max}"))
    } else if is("number") {
        let (above, max) = (shape["exclusiveMinimum"].as_f64()?, shape["maximum"].as_f64()?);
        let fits = value.as_f64().is_some_and(|number| number > above && number <= max);
        (!fits).then(|| format!("must be a number above {above}, and {max} at most"))
    } else if is("string") {
        debug_assert!(shape.get("pattern").is_some(), "texts of other kinds are checked by themselves");
        let chars_max = usize::try_from(limit(shape, "maxLength", u64::MAX)).unwrap_or(usize::MAX);
        checked_text(value, chars_max).err()
    } else if is("boolean") {
        (!value.is_boolean()).then(|| "must be true or false".to_owned())
    } else {
        Some(if is("array") { "must be a list" } else { "must be an object" }.to_owned())
    }
}

fn limit(shape: &Value, keyword: &str, otherwise: u64) -> u64 {
    shape[keyword].as_u64().unwrap_or(otherwise)
}

/// Words are listed, or each has a description of its own.
fn words(shape: &Value) -> Vec<&Value> {
    let of = |keyword: &str| shape[keyword].as_array().into_iter().flatten();
    of("enum").chain(of("oneOf").flat_map(|word| word.get("const"))).collect()
}

/// A name that may come from anybody.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Value {
        json!({"properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "word": {"anyOf": [{"oneOf": [{"const": "a"}, {"const": "b"}]}, {"type": "null"}]},
            "part": {"type": ["object", "null"], "required": ["by"], "properties": {
                "by": {"enum": ["key"]}, "waits": {"type": "array", "minItems": 1, "maxItems": 2, "items":
                    {"type": "integer", "minimum": 0, "maximum": 5}},
            }},
        }})
    }

    fn checked(object: Value) -> (Value, Vec<String>) {
        let checked = check(object.as_object().expect("an object"), &shape());
        let mistakes = checked.mistakes.into_iter().map(|(path, message)| format!("{path} {message}")).collect();
        (checked.object.into(), mistakes)
    }

    #[test]
    fn what_is_right_stays_and_null_is_left_out() {
        let object = json!({"size": 9, "word": null, "part": {"by": "key", "waits": [0, 5]}, "of_others": 1});
        let (object, mistakes) = checked(object);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(object, json!({"size": 9, "part": {"by": "key", "waits": [0, 5]}}));
    }

    #[test]
    fn every_mistake_has_its_path_and_the_rest_stays() {
        let object = json!({"size": 0, "word": "c", "part": {"waits": [1, 6], "typo": 1}});
        let (object, mistakes) = checked(object);
        assert_eq!(object, json!({"part": {}}));
        assert_eq!(
            mistakes,
            [
                "part.by is missing",
                "part.typo is not known here",
                "part.waits[1] must be a whole number from 0 to 5",
                "size must be a whole number from 1 to 9",
                "word must be \"a\" or \"b\"",
            ]
        );
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        let (_, mistakes) = checked(json!({"size": "1", "part": []}));
        assert_eq!(mistakes, ["part must be an object", "size must be a whole number from 1 to 9"]);
    }
}
