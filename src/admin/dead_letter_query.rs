//! ○ Which dead letters are meant: the filter of a list, and what a command is about.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    fields::{self, Fields, Object, checked_time},
    problem::Problem,
    request,
};
use crate::{
    model::id::{self, Kind},
    store::dead_letter_pull::{Filter, Selection},
};

/// The parameters of a list.
pub const PARAMETERS: [&str; 10] =
    ["limit", "cursor", "reason", "topic", "tenant", "since", "until", "data", "wait", "customer_id"];
const REASONS: [&str; 5] = ["rejected", "exhausted", "undecodable", "too_large", "internal"];

/// The query of a list, but for its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterQuery {
    pub filter: Filter,
    pub with_data: bool,
    /// Time to wait for the first letter, when there is none.
    pub wait: Duration,
}

impl LetterQuery {
    /// # Errors
    /// 400 `invalid_query`.
    pub fn parse(query: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let get = |name: &str| query.get(name).map(String::as_str);
        let reason = get("reason");
        if reason.is_some_and(|reason| !REASONS.contains(&reason)) {
            return Err(Problem::invalid_query(format!("reason must be one of {}", REASONS.join(", "))));
        }
        let time = |name: &str| Ok::<_, Problem>(request::time(query, name)?.map(first_id));
        let with_data = match get("data") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid_query("data must be true or false")),
        };
        let owned = |name: &str| get(name).map(ToOwned::to_owned);
        Ok(LetterQuery {
            filter: Filter {
                reason: reason.map(ToOwned::to_owned),
                topic: owned("topic"),
                tenant: owned("tenant"),
                from: time("since")?,
                before: time("until")?,
            },
            with_data,
            wait: wait(get("wait"))?,
        })
    }
}

/// `{"ids": […]}`, `{"filter": {…}}` or `{"all": true}`. What comes after `wall_ms` was not seen, and is not meant.
///
/// # Errors
/// Every wrong field.
pub fn selection(object: &Object, wall_ms: i64) -> Result<Selection, Problem> {
    fields::parse(object, |fields| {
        let ids = fields.list("ids", 1..=IDS_MAX, |item| {
            let id = item.as_str().filter(|id| id::is(Kind::DeadLetter, id));
            id.map(ToOwned::to_owned).ok_or_else(|| "must be the id of a dead letter".to_owned())
        });
        let all = fields.flag("all").unwrap_or(false);
        let filter = fields.nested("filter", |fields| Some(filter(fields)));
        let until_now = id::lowest(Kind::DeadLetter, wall_ms.saturating_add(1));
        match (fields.has("ids"), fields.has("filter"), all) {
            (true, false, false) => ids.map(Selection::Ids),
            (false, true, false) => filter.map(|filter| {
                let before = filter.before.clone().map_or(until_now.clone(), |before| before.min(until_now));
                Selection::Matching(Filter { before: Some(before), ..filter })
            }),
            (false, false, true) => Some(Selection::Matching(Filter { before: Some(until_now), ..Filter::default() })),
            _ => {
                fields.wrong("ids", "is needed, or a \"filter\", or \"all\": true; one of them");
                None
            }
        }
    })
}

fn filter(fields: &mut Fields<'_>) -> Filter {
    let reason = fields.word("reason", &REASONS.map(|reason| (reason, reason)));
    let (topic, tenant) = (fields.text("topic", 249), fields.text("tenant", 256));
    let mut moment = |name: &'static str| match checked_time(&fields.text(name, 64)?) {
        Ok(time) => Some(first_id(time)),
        Err(message) => {
            fields.wrong(name, message);
            None
        }
    };
    let (from, before) = (moment("since"), moment("until"));
    let names = ["reason", "topic", "tenant", "since", "until"];
    if !names.iter().any(|name| fields.has(name)) {
        fields.wrong("reason", "is needed, or topic, tenant, since or until; for all of them say \"all\": true");
    }
    Filter { reason: reason.map(ToOwned::to_owned), topic, tenant, from, before }
}

fn first_id(time: Timestamp) -> String {
    id::lowest(Kind::DeadLetter, time.as_millisecond())
}

/// `20s`
fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let seconds = text.strip_suffix('s').and_then(|digits| digits.parse().ok());
    match seconds.filter(|seconds| *seconds <= WAIT_SECONDS_MAX) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(Problem::invalid_query(format!("wait must be from 0s to {WAIT_SECONDS_MAX}s, such as 20s"))),
    }
}

const IDS_MAX: usize = 1_000;
const WAIT_SECONDS_MAX: u64 = 30;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selected(body: Value) -> Result<Selection, Vec<String>> {
        let selected = selection(body.as_object().expect("an object"), 1_000);
        selected.map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_command_is_about_ids_a_filter_or_all_that_were_there() {
        let id = id::new(Kind::DeadLetter, 1, [0; 10]);
        assert_eq!(selected(json!({"ids": [id]})), Ok(Selection::Ids(vec![id.clone()])));
        let now = Some(id::lowest(Kind::DeadLetter, 1_001));
        let all = Filter { before: now.clone(), ..Filter::default() };
        assert_eq!(selected(json!({"all": true})), Ok(Selection::Matching(all.clone())));
        let of_tenant = Filter { tenant: Some("2".to_owned()), ..all.clone() };
        assert_eq!(selected(json!({"filter": {"tenant": "2"}})), Ok(Selection::Matching(of_tenant)));
        // A time to come is now.
        let until = selected(json!({"filter": {"until": "2100-01-01T00:00:00Z"}}));
        assert_eq!(until, Ok(Selection::Matching(all)));
        let early = selected(json!({"filter": {"until": "1970-01-01T00:00:00.5Z"}}));
        let before = Some(id::lowest(Kind::DeadLetter, 500));
        assert_eq!(early, Ok(Selection::Matching(Filter { before, ..Filter::default() })));
    }

    #[test]
    fn what_contradicts_itself_or_means_nothing_is_refused() {
        for body in [json!({}), json!({"all": false}), json!({"all": true, "filter": {"tenant": "2"}})] {
            assert_eq!(selected(body), Err(vec!["ids".to_owned()]));
        }
        assert_eq!(selected(json!({"filter": {}})), Err(vec!["filter.reason".to_owned()]));
        let wrong = json!({"filter": {"reason": "bad", "since": "yesterday", "more": 1}});
        let fields = ["filter.reason", "filter.since", "filter.more"].map(ToOwned::to_owned);
        assert_eq!(selected(wrong), Err(fields.to_vec()));
        assert_eq!(selected(json!({"ids": ["ep_1"]})), Err(vec!["ids[0]".to_owned()]));
    }

    #[test]
    fn a_wait_has_a_unit_and_an_end() {
        assert_eq!(wait(Some("20s")).ok(), Some(Duration::from_secs(20)));
        for wrong in ["20", "31s", "-1s", "s", "1m", ""] {
            assert!(wait(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
