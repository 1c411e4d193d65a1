//! ○ The query of a list of endpoints: part of a name, state, order, and the beginning of a page.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{paging, problem::Problem};
use crate::{
    model::id::{self, ResourceKind},
    store::endpoint_search::{EndpointOrder, Search},
};

/// The query, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointQuery {
    customer: Option<String>,
    part: Option<String>,
    state: Option<String>,
    order: EndpointOrder,
    descending: bool,
    after: Option<(String, String)>,
    /// Newest first: which changes this walk is through with, and up to which it is on its way.
    sweep: Sweep,
    pub limit: usize,
    /// True if each comes with its health.
    pub wants_health: bool,
    /// True if each comes with its customer's name.
    pub wants_customer: bool,
}

/// A walk from the newest change to the oldest passes over what changes meanwhile: it comes to stand before the beginning. So
/// when it has come to its end it begins again with what has changed since it began, until that is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sweep {
    /// The newest change of the sweep before.
    above: Option<String>,
    /// The newest change of this one.
    from: Option<String>,
}

/// The parameters that are known here.
pub(super) const PARAMETERS: [&str; 7] = ["limit", "cursor", "customer_id", "q", "state", "sort", "include"];
const STATES: [&str; 3] = ["enabled", "paused", "disabled"];
const SORTS: [(&str, EndpointOrder); 4] = [
    ("created", EndpointOrder::Created),
    ("updated", EndpointOrder::Updated),
    ("uid", EndpointOrder::Uid),
    ("url", EndpointOrder::Url),
];

impl EndpointQuery {
    /// # Errors
    /// 400 `invalid_query` or `invalid_cursor`.
    pub(super) fn parse(query: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let get = |name: &str| query.get(name).map(String::as_str);
        let limit = paging::limit(get("limit"))?;
        let sort = get("sort").unwrap_or("created");
        let (word, descending) = sort.strip_prefix('-').map_or((sort, false), |word| (word, true));
        let order = SORTS.iter().find(|(known, _)| *known == word).map(|(_, order)| *order).ok_or_else(|| {
            let known = SORTS.map(|(word, _)| word).join(", ");
            Problem::invalid_query(format!("sort must be one of {known}, with - before it for the other direction"))
        })?;
        let state = get("state");
        if state.is_some_and(|state| !STATES.contains(&state)) {
            return Err(Problem::invalid_query(format!("state must be one of {}", STATES.join(", "))));
        }
        let included: Vec<&str> = get("include").map(|include| include.split(',').collect()).unwrap_or_default();
        if included.iter().any(|word| !["health", "customer"].contains(word)) {
            let detail = "include takes: health, customer, or both with a comma between them";
            return Err(Problem::invalid_query(detail));
        }
        let part = get("q").map(str::trim).filter(|part| !part.is_empty());
        let (after, sweep) = match get("cursor") {
            None => (None, Sweep::default()),
            Some(cursor) => decode(cursor, sort).map(|(after, sweep)| (Some(after), sweep)).ok_or_else(|| {
                let detail = "this cursor is not one that was given out for this list in this order; begin without one";
                Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
            })?,
        };
        Ok(EndpointQuery {
            customer: get("customer_id").map(ToOwned::to_owned),
            part: part.map(ToOwned::to_owned),
            state: state.map(ToOwned::to_owned),
            order,
            descending,
            after,
            sweep,
            limit,
            wants_health: included.contains(&"health"),
            wants_customer: included.contains(&"customer"),
        })
    }

    /// For the store; `customer` is under whom to look.
    #[must_use]
    pub(super) fn search<'a>(&'a self, customer: Option<&'a str>) -> Search<'a> {
        Search {
            customer,
            part: self.part.as_deref(),
            state: self.state.as_deref(),
            order: self.order,
            descending: self.descending,
            after: self.after.as_ref().map(|(key, id)| (key.as_str(), id.as_str())),
            above: self.sweep.above.as_deref(),
        }
    }

    /// The query that follows a walk from the newest change that has come to its end; `first` is the key of the page's
    /// first row.
    #[must_use]
    pub(super) fn next_sweep(&self, first: Option<&str>) -> Option<EndpointQuery> {
        let through = self.sweep.from.as_deref().or(first).filter(|_| self.is_newest_first())?;
        let sweep = Sweep { above: Some(through.to_owned()), from: None };
        Some(EndpointQuery { after: None, sweep, ..self.clone() })
    }

    fn is_newest_first(&self) -> bool {
        self.order == EndpointOrder::Updated && self.descending
    }

    #[must_use]
    pub(super) fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    /// The cursor that goes on after this row; `first` is the key of the first row of the page.
    #[must_use]
    pub(super) fn cursor(&self, first: &str, (key, id): (&str, &str)) -> String {
        let word = SORTS.iter().find(|(_, order)| *order == self.order).map_or("", |(word, _)| word);
        let minus = if self.descending { "-" } else { "" };
        let sweep = match self.is_newest_first() {
            true => {
                let (above, from) = (self.sweep.above.as_deref().unwrap_or_default(), self.sweep.from.as_deref());
                format!("{above}\0{}\0", from.unwrap_or(first))
            }
            false => String::new(),
        };
        BASE64_URL_SAFE_NO_PAD.encode(format!("{minus}{word}\0{sweep}{key}\0{id}"))
    }
}

/// Key and id of a row, and where the walk is; a cursor belongs to its order.
fn decode(cursor: &str, sort: &str) -> Option<((String, String), Sweep)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (word, mut rest) = text.split_once('\0')?;
    let mut sweep = Sweep::default();
    if word == "-updated" {
        let mut parts = rest.splitn(3, '\0');
        let mut part = || parts.next().map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
        sweep = Sweep { above: part()?, from: part()? };
        rest = parts.next()?;
    }
    let (key, id) = rest.rsplit_once('\0')?;
    let is_whole = word == sort && id::is(ResourceKind::Endpoint, id) && !key.contains('\0');
    is_whole.then(|| ((key.to_owned(), id.to_owned()), sweep))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(parameters: &[(&str, &str)]) -> Result<EndpointQuery, &'static str> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        EndpointQuery::parse(&parameters).map_err(|problem| problem.code)
    }

    #[test]
    fn a_cursor_goes_on_in_its_own_order_and_in_no_other() {
        let first = query(&[("sort", "-url")]).expect("valid");
        let id = id::new(ResourceKind::Endpoint, 1, [7; 10]);
        let cursor = first.cursor("https://z/", ("https://a/", &id));
        let next = query(&[("sort", "-url"), ("cursor", &cursor)]).expect("valid");
        assert_eq!(next.search(None).after, Some(("https://a/", id.as_str())));
        for sort in ["url", "uid", "created"] {
            assert_eq!(query(&[("sort", sort), ("cursor", &cursor)]), Err("invalid_cursor"));
        }
        let of_nobody = first.cursor("https://z/", ("https://a/", "ep_x"));
        for cursor in ["", "%", "x", &of_nobody] {
            assert_eq!(query(&[("sort", "-url"), ("cursor", cursor)]), Err("invalid_cursor"));
        }
    }

    #[test]
    fn a_walk_from_the_newest_change_ends_with_what_changed_meanwhile() {
        let id = id::new(ResourceKind::Endpoint, 1, [7; 10]);
        let on = |query_: &EndpointQuery, first: &str, last: &str| {
            let cursor = query_.cursor(first, (last, &id));
            query(&[("sort", "-updated"), ("cursor", &cursor)]).expect("valid")
        };
        let first = query(&[("sort", "-updated")]).expect("valid");
        let second = on(&first, "90", "70");
        let third = on(&second, "60", "40");
        assert_eq!(third.search(None).after, Some(("40", id.as_str())));
        let again = third.next_sweep(Some("30")).expect("another sweep");
        assert_eq!((again.search(None).after, again.search(None).above), (None, Some("90")));
        let further = on(&again, "99", "95");
        assert_eq!((further.search(None).after, further.search(None).above), (Some(("95", id.as_str())), Some("90")));
        assert_eq!(further.next_sweep(None).expect("another").search(None).above, Some("99"));
        assert_eq!(first.next_sweep(None), None, "an empty list");
        assert_eq!(
            query(&[("sort", "updated")]).expect("valid").next_sweep(Some("1")),
            None,
            "changes come at its end"
        );
    }

    #[test]
    fn what_is_included_is_said_in_any_order() {
        let included = |include| query(&[("include", include)]).map(|query| (query.wants_health, query.wants_customer));
        assert_eq!(included("health"), Ok((true, false)));
        assert_eq!(included("customer"), Ok((false, true)));
        assert_eq!(included("customer,health"), Ok((true, true)));
        for wrong in ["wealth", "", "health,", "health,wealth", "health customer"] {
            assert_eq!(included(wrong), Err("invalid_query"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for wrong in [("sort", "age"), ("sort", "--url"), ("state", "asleep"), ("limit", "0"), ("limit", "251")] {
            assert_eq!(query(&[wrong]), Err("invalid_query"), "{wrong:?}");
        }
        assert_eq!(query(&[("q", "  ")]).expect("valid").search(None).part, None);
    }
}
