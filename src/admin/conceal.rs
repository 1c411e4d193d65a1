//! ○ Failures as customers are told of them: whether an endpoint's name leads to nothing or to an address that is not
//! allowed would tell them which names exist inside this network.

use serde_json::{Map, Value};

/// Stands for the classes that must not be told apart.
pub(super) const UNREACHABLE: &str = "unreachable";
/// The excerpt in place of either's words.
pub(super) const EXCERPT: &str = "the endpoint's name leads to no address that requests may go to";

/// True if customers must not tell this class of a failure from its like.
#[must_use]
pub(super) fn is_concealed(class: &str) -> bool {
    matches!(class, "resolve" | "blocked")
}

/// The same answer for both, wherever in it a failure is shown.
pub(super) fn conceal(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(conceal),
        Value::Object(members) => {
            for (class, excerpt) in [("class", "excerpt"), ("last_class", "last_excerpt")] {
                if members.get(class).and_then(Value::as_str).is_some_and(is_concealed) {
                    members.insert(class.to_owned(), UNREACHABLE.into());
                    members.insert(excerpt.to_owned(), EXCERPT.into());
                }
            }
            for why in ["why", "breaker_why"] {
                if let Some(Value::String(why)) = members.get_mut(why) {
                    conceal_last(why);
                }
            }
            if let Some(Value::Object(counts)) = members.get_mut("attempts_by_class") {
                add_up(counts);
            }
            members.values_mut().for_each(conceal);
        }
        _ => {}
    }
}

/// Words that end with a class: `10 failures, the newest: blocked`.
fn conceal_last(words: &mut String) {
    let Some(start) = words.rfind(": ").map(|colon| colon + 2) else { return };
    if is_concealed(&words[start..]) {
        words.replace_range(start.., UNREACHABLE);
    }
}

fn add_up(counts: &mut Map<String, Value>) {
    let concealed: Vec<String> = counts.keys().filter(|class| is_concealed(class)).cloned().collect();
    let sum: u64 = concealed.iter().filter_map(|class| counts.remove(class)?.as_u64()).sum();
    if !concealed.is_empty() {
        counts.insert(UNREACHABLE.to_owned(), sum.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_does_not_exist_and_one_that_leads_inside_are_the_same_to_a_customer() {
        let answer = |class: &str, excerpt: &str| {
            let mut answer = json!({
                "data": [{"id": "at_1", "class": class, "excerpt": excerpt}],
                "last_error": {"at": null, "class": class, "status": null, "excerpt": excerpt},
                "letter": {"last_class": class, "last_excerpt": excerpt},
                "attempts_by_class": {class: 3, "http_2xx": 5},
                "breaker_why": format!("10 failures, the newest: {class}"),
            });
            conceal(&mut answer);
            answer
        };
        let blocked = answer("blocked", "the endpoint's address is not allowed");
        assert_eq!(blocked, answer("resolve", "no such name"));
        assert_eq!(blocked["attempts_by_class"], json!({"http_2xx": 5, "unreachable": 3}));
        let shown = blocked.to_string();
        assert!(!shown.contains("blocked") && !shown.contains("not allowed"), "{shown}");
    }

    #[test]
    fn other_failures_are_told_as_they_are() {
        let mut answer = json!({
            "class": "timeout", "excerpt": "no answer in time", "attempts_by_class": {"timeout": 1},
            "why": "its key is blocked", "breaker_why": "3 failures, the newest: http_5xx (503)",
        });
        let before = answer.clone();
        conceal(&mut answer);
        assert_eq!(answer, before);
    }
}
