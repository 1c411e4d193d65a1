//! ○ A JSON object held to its shape: limits, words and members are those of the document, so that the two cannot differ.

use serde_json::{Value, json};

use super::fields::{
    MISSING, NO_FLAG, NO_OBJECT, NOT_KNOWN, Object, checked_number, checked_text, list_of, one_of, shown,
};
use crate::api::shape;

/// Told of each mistake: the path of a member, and what to write instead.
type Wrong<'a> = dyn FnMut(&str, &str) + 'a;

/// The members of the shape that are right; `wrong` is told of the others. Members that the shape has not are the caller's;
/// within a member they are mistakes.
pub fn check(object: &Object, shape: &Value, wrong: &mut Wrong<'_>) -> Object {
    let known = object.iter().filter(|(name, _)| shape["properties"].get(name.as_str()).is_some());
    let object: Object = known.map(|(name, value)| (name.clone(), value.clone())).collect();
    members(object, shape, "", wrong)
}

fn members(object: Object, shape: &Value, path: &str, wrong: &mut Wrong<'_>) -> Object {
    for name in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if object.get(name).is_none_or(Value::is_null) {
            wrong(&format!("{path}{name}"), MISSING);
        }
    }
    let checked = |(name, value): (String, Value)| {
        let path = format!("{path}{}", shown(&name));
        match shape::member(shape, &name) {
            None => wrong(&path, NOT_KNOWN),
            Some(_) if value.is_null() => {}
            Some(member) => return Some((name, self::value(value, member, &path, wrong)?)),
        }
        None
    };
    object.into_iter().filter_map(checked).collect()
}

fn value(value: Value, shape: &Value, path: &str, wrong: &mut Wrong<'_>) -> Option<Value> {
    match value {
        Value::Object(object) if shape.get("properties").is_some() => {
            Some(Value::Object(members(object, shape, &format!("{path}."), wrong)))
        }
        Value::Array(list) if shape.get("items").is_some() => items(list, shape, path, wrong),
        value => match mistake(&value, shape) {
            None => Some(value),
            Some(message) => {
                wrong(path, &message);
                None
            }
        },
    }
}

/// A list of which each item is right.
fn items(list: Vec<Value>, shape: &Value, path: &str, wrong: &mut Wrong<'_>) -> Option<Value> {
    let (min, max) = (limit(shape, "minItems", 0), limit(shape, "maxItems", u64::MAX));
    if !(min..=max).contains(&(list.len() as u64)) {
        wrong(path, &list_of(min, max));
        return None;
    }
    let mut is_right = true;
    let mut wrong = |path: &str, message: &str| {
        is_right = false;
        wrong(path, message);
    };
    let of_item = |(place, item)| value(item, &shape["items"], &format!("{path}[{place}]"), &mut wrong);
    let list: Vec<Value> = list.into_iter().enumerate().filter_map(of_item).collect();
    is_right.then_some(Value::Array(list))
}

/// Advice in place of a value that is neither an object nor a list of the shape.
fn mistake(value: &Value, shape: &Value) -> Option<String> {
    let words = words(shape);
    if !words.is_empty() {
        return (!words.contains(&value)).then(|| one_of(words.iter().map(ToString::to_string)));
    }
    let is = |kind: &str| {
        shape["type"] == kind || shape["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
    };
    if is("integer") {
        checked_number(value, limit(shape, "minimum", 0)..=limit(shape, "maximum", u64::MAX)).err()
    } else if is("number") {
        let (above, max) = (shape["exclusiveMinimum"].as_f64()?, shape["maximum"].as_f64()?);
        let fits = value.as_f64().is_some_and(|number| number > above && number <= max);
        (!fits).then(|| format!("must be a number above {above}, and {max} at most"))
    } else if is("string") {
        debug_assert!(shape.get("pattern").is_some(), "texts of other kinds are checked by themselves");
        let chars_max = usize::try_from(limit(shape, "maxLength", u64::MAX)).unwrap_or(usize::MAX);
        checked_text(value, chars_max).err()
    } else if is("boolean") {
        (!value.is_boolean()).then(|| NO_FLAG.to_owned())
    } else {
        Some(if is("array") { "must be a list" } else { NO_OBJECT }.to_owned())
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
        let mut mistakes = Vec::new();
        let mut wrong = |path: &str, message: &str| mistakes.push(format!("{path} {message}"));
        let object = check(object.as_object().expect("an object"), &shape(), &mut wrong);
        (object.into(), mistakes)
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
