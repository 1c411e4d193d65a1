//! ○ A JSON object held to its shape: limits, words and members are those of the document, so that the two cannot differ.

use serde_json::{Map, Value, json};

use super::{
    errors::{FieldErrors, MISSING, NOT_KNOWN},
    shape::{self, is_null},
    text::{self, NO_TEXT},
};

/// The object of a request's body.
pub type Object = Map<String, Value>;

/// The members of the shape that are right; the mistakes of the others go to `errors`. A member that is `null` is left out.
pub fn check(object: &Object, shape: &Value, errors: &mut FieldErrors) -> Object {
    members(object, shape, "", errors)
}

fn members(object: &Object, shape: &Value, path: &str, errors: &mut FieldErrors) -> Object {
    for name in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if object.get(name).is_none_or(Value::is_null) {
            errors.add(&format!("{path}{name}"), MISSING);
        }
    }
    let checked = |(name, value): (&String, &Value)| {
        let path = || format!("{path}{}", shown(name));
        match shape::member(shape, name) {
            None => errors.add_at(path, NOT_KNOWN),
            Some(_) if value.is_null() => {} // as good as absent
            Some(member) => return Some((name.clone(), self::value(value, member, &path(), errors)?)),
        }
        None
    };
    object.iter().filter_map(checked).collect()
}

/// The value as the body has it from then on; `None` for one that is wrong.
fn value(value: &Value, shape: &Value, path: &str, errors: &mut FieldErrors) -> Option<Value> {
    if value.is_null() && shape::may_be_null(shape) {
        return Some(Value::Null);
    }
    let shape = match form(value, shape) {
        Ok(shape) => shape,
        Err(message) => {
            errors.add(path, message);
            return None;
        }
    };
    if let Some(checked) = shape["format"].as_str().and_then(|format| text::checked(format, value)) {
        return checked.map_err(|message| errors.add(path, message)).ok();
    }
    match value {
        Value::Object(object) if tag(shape).is_some() => tagged(object, shape, path, errors),
        Value::Object(object) if shape.get("properties").is_some() => {
            Some(Value::Object(members(object, shape, &format!("{path}."), errors)))
        }
        Value::Object(object) if shape["additionalProperties"].is_object() => entries(object, shape, path, errors),
        Value::Array(list) if shape.get("items").is_some() => items(list, shape, path, errors),
        value => match mistake(value, shape) {
            None => Some(value.clone()),
            Some(message) => {
                errors.add(path, message);
                None
            }
        },
    }
}

/// The form that has the type of the value.
fn form<'a>(value: &Value, shape: &'a Value) -> Result<&'a Value, String> {
    let Some(forms) = shape["anyOf"].as_array() else { return Ok(shape) };
    match forms.iter().find(|form| types(form).iter().any(|kind| is_of(value, kind))) {
        Some(form) => Ok(form),
        None => Err(kind_of(forms.iter().flat_map(types))),
    }
}

/// The member that tells the forms of an object apart, where there are several: each has another word for it.
fn tag(shape: &Value) -> Option<&str> {
    let members = shape["oneOf"].as_array()?.first()?["properties"].as_object()?;
    members.iter().find(|(_, member)| member.get("const").is_some()).map(|(name, _)| name.as_str())
}

fn tagged(object: &Object, shape: &Value, path: &str, errors: &mut FieldErrors) -> Option<Value> {
    let tag = tag(shape)?;
    let forms = shape["oneOf"].as_array()?;
    let word = |form: &'_ Value| form["properties"][tag]["const"].clone();
    let Some(said) = object.get(tag).filter(|said| !said.is_null()) else {
        errors.add(&format!("{path}.{tag}"), MISSING);
        return None;
    };
    match forms.iter().find(|form| word(form) == *said) {
        Some(form) => Some(Value::Object(members(object, form, &format!("{path}."), errors))),
        None => {
            errors.add(&format!("{path}.{tag}"), one_of(forms.iter().map(|form| word(form).to_string())));
            None
        }
    }
}

/// An object whose members have names of the caller's.
fn entries(object: &Object, shape: &Value, path: &str, errors: &mut FieldErrors) -> Option<Value> {
    let (min, max) = (limit(shape, "minProperties", 0), limit(shape, "maxProperties", u64::MAX));
    if !(min..=max).contains(&(object.len() as u64)) {
        errors.add(path, format_args!("must be an object of {min} to {max} names and values"));
        return None;
    }
    let before = errors.total;
    let mut checked = Object::new();
    for (name, entry) in object {
        let path = format!("{path}.{}", shown(name));
        let mut of_name = FieldErrors::default();
        value(&json!(name), &shape["propertyNames"], "", &mut of_name);
        if let Some(error) = of_name.listed.first() {
            errors.add(&path, format_args!("is no name here: it {}", error.message));
        } else if let Some(entry) = value(entry, &shape["additionalProperties"], &path, errors) {
            checked.insert(name.clone(), entry);
        }
    }
    (errors.total == before).then_some(Value::Object(checked))
}

/// A list of which each item is right.
fn items(list: &[Value], shape: &Value, path: &str, errors: &mut FieldErrors) -> Option<Value> {
    let (min, max) = (limit(shape, "minItems", 0), limit(shape, "maxItems", u64::MAX));
    if !(min..=max).contains(&(list.len() as u64)) {
        errors.add(path, format_args!("must be a list of {min} to {max} items"));
        return None;
    }
    let of_item = |(place, item)| value(item, &shape["items"], &format!("{path}[{place}]"), errors);
    let checked: Vec<Value> = list.iter().enumerate().filter_map(of_item).collect();
    (checked.len() == list.len()).then_some(Value::Array(checked))
}

/// Advice in place of a value that is neither an object nor a list of the shape.
fn mistake(value: &Value, shape: &Value) -> Option<String> {
    let words = words(shape);
    if !words.is_empty() {
        return (!words.contains(&value)).then(|| one_of(words.iter().map(ToString::to_string)));
    }
    let types = types(shape);
    match value {
        _ if types.contains(&"number") => no_number(value, shape),
        Value::String(text) if types.contains(&"string") => text_mistake(text, shape),
        Value::Number(number) if types.contains(&"integer") => {
            let range = limit(shape, "minimum", 0)..=limit(shape, "maximum", u64::MAX);
            (!number.as_u64().is_some_and(|number| range.contains(&number))).then(|| whole_number(shape))
        }
        value if types.is_empty() || types.iter().any(|kind| is_of(value, kind)) => None,
        _ if types == ["integer"] => Some(whole_number(shape)),
        _ => Some(kind_of(types.into_iter())),
    }
}

fn no_number(value: &Value, shape: &Value) -> Option<String> {
    match (shape["exclusiveMinimum"].as_f64(), shape["maximum"].as_f64()) {
        (Some(above), Some(max)) => {
            let fits = value.as_f64().is_some_and(|number| number > above && number <= max);
            (!fits).then(|| format!("must be a number above {above}, and {max} at most"))
        }
        _ => (!value.is_number()).then(|| kind_of(["number"].into_iter())),
    }
}

fn text_mistake(text: &str, shape: &Value) -> Option<String> {
    let limit = |keyword, otherwise| usize::try_from(limit(shape, keyword, otherwise)).unwrap_or(usize::MAX);
    let chars = limit("minLength", 0)..=limit("maxLength", u64::MAX);
    match shape.get("pattern").is_some_and(|pattern| pattern == shape::NO_CONTROL_CHARACTERS) {
        true => text::check(text, chars).err(),
        // A text of another pattern is looked at by who knows what it is.
        false => (!chars.contains(&text.chars().count()))
            .then(|| format!("must have {} to {} characters", chars.start(), chars.end())),
    }
}

fn whole_number(shape: &Value) -> String {
    format!("must be a whole number from {} to {}", limit(shape, "minimum", 0), limit(shape, "maximum", u64::MAX))
}

fn limit(shape: &Value, keyword: &str, otherwise: u64) -> u64 {
    shape[keyword].as_u64().unwrap_or(otherwise)
}

/// Words are listed, or each has a description of its own.
fn words(shape: &Value) -> Vec<&Value> {
    let of = |keyword: &str| shape[keyword].as_array().into_iter().flatten();
    of("enum").chain(shape.get("const")).chain(of("oneOf").flat_map(|word| word.get("const"))).collect()
}

/// Types that the shape allows, `null` aside.
fn types(shape: &Value) -> Vec<&str> {
    let several = shape["type"].as_array().into_iter().flatten();
    let kinds = several.chain(shape.get("type")).filter_map(Value::as_str);
    let of_forms = ["oneOf", "anyOf"].into_iter().filter_map(|forms| shape[forms].as_array()).flatten();
    kinds.filter(|kind| *kind != "null").chain(of_forms.filter(|form| !is_null(form)).flat_map(types)).collect()
}

fn is_of(value: &Value, kind: &&str) -> bool {
    match *kind {
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

fn kind_of<'a>(kinds: impl Iterator<Item = &'a str>) -> String {
    let mut kinds: Vec<&str> = kinds.collect();
    kinds.dedup();
    let word = |kind: &&str| match *kind {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => NO_TEXT.trim_start_matches("must be "),
        "boolean" => "true or false",
        "array" => "a list",
        _ => "an object",
    };
    format!("must be {}", kinds.iter().map(word).collect::<Vec<_>>().join(" or "))
}

fn one_of(words: impl Iterator<Item = String>) -> String {
    format!("must be {}", words.collect::<Vec<_>>().join(" or "))
}

/// A name that may come from anybody.
pub fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Value {
        json!({"required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "word": {"anyOf": [{"oneOf": [{"const": "a"}, {"const": "b"}]}, {"type": "null"}]},
            "part": {"type": ["object", "null"], "required": ["by"], "properties": {
                "by": {"enum": ["key"]}, "waits": {"type": ["array", "null"], "minItems": 1, "maxItems": 2, "items":
                    {"type": "integer", "minimum": 0, "maximum": 5}},
            }},
            "scope": {"oneOf": [
                {"type": "object", "required": ["level"], "properties": {"level": {"const": "all"}}},
                {"type": "object", "required": ["level", "names"], "properties": {"level": {"const": "some"}, "names":
                    {"type": "array", "items": {"type": ["string", "integer"], "format": "name"}}}},
            ]},
            "headers": {"type": "object", "minProperties": 1, "maxProperties": 2,
                "propertyNames": {"type": "string", "maxLength": 3},
                "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
        }})
    }

    fn checked(mut object: Value) -> (Value, Vec<String>) {
        let mut errors = FieldErrors::default();
        if object.get("size").is_none() {
            object["size"] = 1.into();
        }
        let mut object = check(object.as_object().expect("an object"), &shape(), &mut errors);
        if object.get("size") == Some(&json!(1)) {
            object.remove("size");
        }
        (object.into(), errors.listed.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect())
    }

    #[test]
    fn what_is_right_stays_and_null_is_left_out() {
        let object = json!({"size": 9, "word": null, "part": {"by": "key", "waits": [0, 5]}});
        let (object, mistakes) = checked(object);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(object, json!({"size": 9, "part": {"by": "key", "waits": [0, 5]}}));
    }

    #[test]
    fn every_mistake_has_its_path_and_the_rest_stays() {
        let object = json!({"size": 0, "word": "c", "part": {"waits": [1, 6], "typo": 1}, "more": 1});
        let (object, mistakes) = checked(object);
        assert_eq!(object, json!({"part": {}}));
        assert_eq!(
            mistakes,
            [
                "more is not known here",
                "part.by is missing",
                "part.typo is not known here",
                "part.waits[1] must be a whole number from 0 to 5",
                "size must be a whole number from 1 to 9",
                "word must be \"a\" or \"b\"",
            ]
        );
    }

    #[test]
    fn a_value_of_another_kind_is_refused_and_so_is_null_where_something_must_be() {
        let (_, mistakes) = checked(json!({"size": "1", "part": [], "headers": {"a": true}}));
        let expected = [
            "headers.a must be a text or a number",
            "part must be an object",
            "size must be a whole number from 1 to 9",
        ];
        assert_eq!(mistakes, expected);
        assert_eq!(checked(json!({"size": null, "scope": null})).1, ["size is missing"]);
    }

    #[test]
    fn a_form_is_told_by_its_word_and_held_to_it() {
        assert_eq!(checked(json!({"scope": {"level": "some", "names": [7]}})).0["scope"]["names"], json!(["7"]));
        let of = |scope: Value| checked(json!({"scope": scope})).1;
        assert_eq!(of(json!({})), ["scope.level is missing"]);
        assert_eq!(of(json!({"level": "none"})), ["scope.level must be \"all\" or \"some\""]);
        assert_eq!(of(json!({"level": "some"})), ["scope.names is missing"]);
        assert_eq!(of(json!({"level": "all", "names": []})), ["scope.names is not known here"]);
        assert_eq!(of(json!([])), ["scope must be an object"]);
    }

    #[test]
    fn names_of_the_callers_are_counted_and_looked_at() {
        let of = |headers: Value| checked(json!({"headers": headers})).1;
        assert_eq!(of(json!({"a": "x", "b": 1.5})), [""; 0]);
        assert_eq!(of(json!({})), ["headers must be an object of 1 to 2 names and values"]);
        assert_eq!(of(json!({"long": ""})), ["headers.long is no name here: it must have 0 to 3 characters"]);
    }
}
