//! ○ A filter of actors, and a page of them over all instances.

use serde_json::Value;

use crate::api::actor::ActorView;

/// A filter of actors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActorFilter {
    pub kind: Option<String>,
    pub state: Option<String>,
    /// Part of an id, whatever its case.
    pub q: Option<String>,
    /// This id and no other.
    pub id: Option<String>,
    /// Only the endpoints of this customer, and nothing else.
    pub customer: Option<String>,
    /// Only those behind this place: see [`place`].
    pub after: Option<String>,
    /// Number of actors at most; 0 for all.
    pub limit: usize,
}

impl ActorFilter {
    /// True if a kind is wanted at all.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind) && (self.customer.is_none() || kind == "endpoint")
    }

    /// By what is known without asking the actor: its kind and its id.
    #[must_use]
    pub fn may_want(&self, kind: &str, id: &str) -> bool {
        self.wants(kind)
            && self.id.as_deref().is_none_or(|wanted| wanted == id)
            && self.q.as_deref().is_none_or(|part| id.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
    }

    /// The page of one instance: those that are wanted, in their order.
    #[must_use]
    pub fn page(&self, actors: impl IntoIterator<Item = ActorView>) -> Vec<ActorView> {
        let wanted = |actor: &ActorView| {
            self.may_want(actor.kind, &actor.id)
                // An endpoint is asked for by its breaker as well.
                && self.state.as_deref().is_none_or(|state| actor.state == state || actor.breaker == Some(state))
        };
        let mut page: Vec<(String, ActorView)> = actors
            .into_iter()
            .filter(wanted)
            .map(|actor| (place(actor.kind, &actor.id, &actor.instance), actor))
            .filter(|(place, _)| self.after.as_ref().is_none_or(|after| place > after))
            .collect();
        page.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if self.limit > 0 {
            page.truncate(self.limit);
        }
        page.into_iter().map(|(_, actor)| actor).collect()
    }

    /// As a query, for the other instances.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let texts = [
            ("kind", &self.kind),
            ("state", &self.state),
            ("q", &self.q),
            ("id", &self.id),
            ("customer", &self.customer),
            ("after", &self.after),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("limit", &self.limit.to_string());
        query.finish()
    }

    /// As [`ActorFilter::to_query`] wrote it; what is not known is passed over, for instances of another version.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut filter = ActorFilter::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "kind" => filter.kind = Some(value),
                "state" => filter.state = Some(value),
                "q" => filter.q = Some(value),
                "id" => filter.id = Some(value),
                "customer" => filter.customer = Some(value),
                "after" => filter.after = Some(value),
                "limit" => filter.limit = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        filter
    }
}

/// Position of an actor among all actors of all instances.
#[must_use]
pub fn place(kind: &str, id: &str, instance: &str) -> String {
    [kind, id, instance].join("\u{1}")
}

/// Pages of several instances as one, `limit` long; and the place to go on from, where there is more.
#[must_use]
pub fn merge_pages(pages: Vec<Vec<Value>>, limit: usize) -> (Vec<Value>, Option<String>) {
    let text = |actor: &Value, field: &str| actor[field].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<(String, Value)> = pages
        .into_iter()
        .flatten()
        .map(|actor| (place(&text(&actor, "kind"), &text(&actor, "id"), &text(&actor, "instance")), actor))
        .collect();
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|(place, _)| place.clone());
    (all.into_iter().map(|(_, actor)| actor).collect(), next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn actor(kind: &'static str, id: &str, instance: &str) -> ActorView {
        let (id, instance, state) = (id.to_owned(), instance.to_owned(), "running".to_owned());
        ActorView { kind, id, instance, state, ..ActorView::default() }
    }

    fn as_json(page: Vec<ActorView>) -> Vec<Value> {
        page.into_iter().map(|actor| json!(actor)).collect()
    }

    #[test]
    fn paging_over_two_instances_shows_each_actor_once_and_in_order() {
        let of = |instance: &str| {
            let endpoints = (0..25).map(|n| actor("endpoint", &format!("ep_{n:02}"), instance)).rev();
            endpoints.chain([actor("router", "router-0", instance)]).collect::<Vec<_>>()
        };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let filter = ActorFilter { after: after.clone(), limit: 8, ..ActorFilter::default() };
            let pages = ["in_1", "in_2"].map(|instance| as_json(filter.page(of(instance)))).to_vec();
            // One more than the page is asked for, to know whether there is another one.
            let (page, next) = merge_pages(pages, 7);
            seen.extend(page.into_iter().map(|actor| {
                place(
                    actor["kind"].as_str().unwrap(),
                    actor["id"].as_str().unwrap(),
                    actor["instance"].as_str().unwrap(),
                )
            }));
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), 52);
        assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_filter_is_the_same_after_its_way_to_another_instance() {
        let filter = ActorFilter {
            kind: Some("ingest".to_owned()),
            state: Some("paused".to_owned()),
            q: Some("a&b=ü/0".to_owned()),
            id: None,
            customer: Some("cus_1".to_owned()),
            after: Some(place("ingest", "orders/3", "in_1")),
            limit: 51,
        };
        assert_eq!(ActorFilter::of_query(&filter.to_query()), filter);
        assert_eq!(ActorFilter::of_query("colour=red&limit=x"), ActorFilter::default());
    }

    #[test]
    fn an_endpoint_is_found_by_its_breaker_too() {
        let open = ActorView { breaker: Some("open"), ..actor("endpoint", "ep_1", "in_1") };
        let filter =
            ActorFilter { state: Some("open".to_owned()), q: Some("EP_".to_owned()), ..ActorFilter::default() };
        assert_eq!(filter.page([open, actor("endpoint", "ep_2", "in_1")]).len(), 1);
    }
}
