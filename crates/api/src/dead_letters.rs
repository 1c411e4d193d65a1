//! ○ Dead letters that a command is about.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    body::{Said, body},
    check::Object,
    errors::FieldErrors,
    shape::{NO_CONTROL_CHARACTERS, one_of},
    text::{DeadLetterId, Moment},
};
use postrider_core::model::disposition::Reason;

/// The ways to say which letters.
const FORMS: &[&[&str]] = &[&["ids"], &["filter"], &["all"]];

/// Some dead letters: by their ids, those of a filter, or all there are now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(
    rename = "Selection", deny_unknown_fields, example = json!({"all": true}),
    transform = one_of(FORMS)
)]
pub struct LetterSelection {
    /// Their ids.
    #[schemars(with = "Option<Vec<DeadLetterId>>", length(min = 1, max = 1_000))]
    pub ids: Option<Vec<String>>,
    /// The letters that all of its members fit.
    pub filter: Option<LetterFilter>,
    /// All that were there when the call came.
    #[schemars(extend("const" = true))]
    pub all: Option<bool>,
}

body!(LetterSelection);

/// A filter of dead letters, of at least one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields, extend("minProperties" = 1))]
pub struct LetterFilter {
    /// The reason for which they were given up.
    pub reason: Option<Reason>,
    /// Their topic.
    #[schemars(length(min = 1, max = 249), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub topic: Option<String>,
    /// Their tenant.
    #[schemars(length(min = 1, max = 256), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub tenant: Option<String>,
    /// Written at this time or later.
    #[schemars(with = "Option<Moment>")]
    pub since: Option<Timestamp>,
    /// Written before this time.
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
}

/// Reads the body of a command.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object) -> Result<LetterSelection, FieldErrors> {
    let mut object = object.clone();
    // A client may say no to what it does not want.
    if object.get("all") == Some(&json!(false)) {
        object.remove("all");
    }
    let mut said = Said::of::<LetterSelection>(&object);
    let forms =
        ["ids", "filter", "all"].into_iter().filter(|name| object.get(*name).is_some_and(|form| !form.is_null()));
    if forms.count() != 1 {
        said.wrong("ids", "is needed, or a \"filter\", or \"all\": true; one of them");
    }
    if object.get("filter").and_then(Value::as_object).is_some_and(|filter| filter.values().all(Value::is_null)) {
        said.wrong("filter.reason", "is needed, or topic, tenant, since or until; for all of them say \"all\": true");
    }
    said.into_body()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(body: Value) -> Result<LetterSelection, Vec<String>> {
        let selected = parse(body.as_object().expect("an object"));
        selected.map_err(|errors| errors.listed.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn what_contradicts_itself_or_means_nothing_is_refused() {
        for body in [json!({}), json!({"all": false}), json!({"all": true, "filter": {"tenant": "2"}})] {
            assert_eq!(selected(body), Err(vec!["ids".to_owned()]));
        }
        assert_eq!(selected(json!({"filter": {}})), Err(vec!["filter.reason".to_owned()]));
        let wrong = json!({"filter": {"reason": "bad", "since": "yesterday", "more": 1}});
        let fields = ["filter.more", "filter.reason", "filter.since"].map(ToOwned::to_owned);
        assert_eq!(selected(wrong), Err(fields.to_vec()));
        assert_eq!(selected(json!({"ids": ["ep_1"]})), Err(vec!["ids[0]".to_owned()]));
    }

    #[test]
    fn a_no_to_all_is_as_good_as_nothing() {
        let filter = LetterFilter { tenant: Some("2".to_owned()), ..LetterFilter::default() };
        let selected = selected(json!({"filter": {"tenant": "2"}, "all": false})).expect("valid");
        assert_eq!((selected.filter, selected.all), (Some(filter), None));
    }
}
