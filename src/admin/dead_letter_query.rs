//! ○ Selections of dead letters: the filter of a list, and the letters of a command.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{problem::Problem, request};
use crate::{
    api::dead_letters::{LetterFilter, LetterSelection},
    model::{
        disposition::Reason,
        id::{self, ResourceKind},
    },
    store::dead_letter_read::{DeadLetterFilter, DeadLetterSelection},
};

/// The parameters of a list.
pub(super) const PARAMETERS: [&str; 10] =
    ["limit", "cursor", "reason", "topic", "tenant", "since", "until", "data", "wait", "customer_id"];

/// The query of a list, but for its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LetterQuery {
    pub filter: DeadLetterFilter,
    pub with_data: bool,
    /// Time to wait for the first letter, when there is none.
    pub wait: Duration,
}

impl LetterQuery {
    /// # Errors
    /// 400 `invalid_query`.
    pub(super) fn parse(query: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let get = |name: &str| query.get(name).map(String::as_str);
        let reason = get("reason");
        let reasons = Reason::ALL.map(Reason::as_str);
        if reason.is_some_and(|reason| !reasons.contains(&reason)) {
            return Err(Problem::invalid_query(format!("reason must be one of {}", reasons.join(", "))));
        }
        let time = |name: &str| Ok::<_, Problem>(request::time(query, name)?.map(first_id));
        let with_data = match get("data") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid_query("data must be true or false")),
        };
        let owned = |name: &str| get(name).map(ToOwned::to_owned);
        Ok(LetterQuery {
            filter: DeadLetterFilter {
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

/// The letters that a command is about. What comes after `wall_ms` was not seen, and is not meant.
#[must_use]
pub(super) fn selection(body: LetterSelection, wall_ms: i64) -> DeadLetterSelection {
    let until_now = id::lowest(ResourceKind::DeadLetter, wall_ms.saturating_add(1));
    if let Some(ids) = body.ids {
        return DeadLetterSelection::Ids(ids);
    }
    let filter = body.filter.map(filter).unwrap_or_default();
    let before = filter.before.map_or(until_now.clone(), |before| before.min(until_now));
    DeadLetterSelection::Matching(DeadLetterFilter { before: Some(before), ..filter })
}

fn filter(filter: LetterFilter) -> DeadLetterFilter {
    DeadLetterFilter {
        reason: filter.reason.map(|reason| reason.as_str().to_owned()),
        topic: filter.topic,
        tenant: filter.tenant,
        from: filter.since.map(first_id),
        before: filter.until.map(first_id),
    }
}

fn first_id(time: Timestamp) -> String {
    id::lowest(ResourceKind::DeadLetter, time.as_millisecond())
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

const WAIT_SECONDS_MAX: u64 = 30;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::dead_letters;

    fn selected(body: Value) -> DeadLetterSelection {
        selection(dead_letters::parse(body.as_object().expect("an object")).expect("valid"), 1_000)
    }

    #[test]
    fn a_command_is_about_ids_a_filter_or_all_that_were_there() {
        let id = id::new(ResourceKind::DeadLetter, 1, [0; 10]);
        assert_eq!(selected(json!({"ids": [id]})), DeadLetterSelection::Ids(vec![id.clone()]));
        let now = Some(id::lowest(ResourceKind::DeadLetter, 1_001));
        let all = DeadLetterFilter { before: now.clone(), ..DeadLetterFilter::default() };
        assert_eq!(selected(json!({"all": true})), DeadLetterSelection::Matching(all.clone()));
        let of_tenant = DeadLetterFilter { tenant: Some("2".to_owned()), ..all.clone() };
        assert_eq!(selected(json!({"filter": {"tenant": "2"}})), DeadLetterSelection::Matching(of_tenant));
        // A time to come is now.
        let until = selected(json!({"filter": {"until": "2100-01-01T00:00:00Z"}}));
        assert_eq!(until, DeadLetterSelection::Matching(all));
        let early = selected(json!({"filter": {"until": "1970-01-01T00:00:00.5Z"}}));
        let before = Some(id::lowest(ResourceKind::DeadLetter, 500));
        assert_eq!(early, DeadLetterSelection::Matching(DeadLetterFilter { before, ..DeadLetterFilter::default() }));
    }

    #[test]
    fn a_wait_has_a_unit_and_an_end() {
        assert_eq!(wait(Some("20s")).ok(), Some(Duration::from_secs(20)));
        for wrong in ["20", "31s", "-1s", "s", "1m", ""] {
            assert!(wait(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
