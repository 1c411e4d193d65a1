//! ○ The explanation of a match: why an endpoint gets an event, or why not, in words, and with a stable code.

use crate::{
    api::match_view::MatchVerdict,
    model::settings::EndpointState,
    store::matching::{Covering, Level, MatchCandidate, MatchFields},
};

/// Facts about an event and an endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub asked: MatchFields<'a>,
    pub candidate: &'a MatchCandidate,
    /// This service reads the topic.
    pub topic_is_read: bool,
    /// The routers of this instance give it the event.
    pub live: bool,
}

/// The first reason that is enough by itself.
#[must_use]
pub(super) fn why(facts: Facts<'_>) -> MatchVerdict {
    let stored = by_settings(facts);
    if stored.gets == facts.live || !facts.topic_is_read {
        return stored;
    }
    // What was written a moment ago is not in the routers' table yet; until it is, what they do counts.
    let then = if stored.gets { "gets" } else { "does not get" };
    MatchVerdict {
        gets: facts.live,
        code: "change_not_in_effect_yet".into(),
        detail: format!("settings were changed a moment ago; once they are in effect, the endpoint {then} the event"),
        subscription_ids: stored.subscription_ids,
    }
}

/// The verdict of the settings that are stored.
fn by_settings(facts: Facts<'_>) -> MatchVerdict {
    let Facts { asked, candidate, .. } = facts;
    let no = |code: &'static str, detail: String, subscriptions: Vec<&Covering>| MatchVerdict {
        gets: false,
        code: code.into(),
        detail,
        subscription_ids: ids(&subscriptions),
    };
    let topic = asked.topic;
    if !facts.topic_is_read {
        return no("topic_not_read", format!("this service does not read topic `{topic}` (kafka.topics)"), Vec::new());
    }
    let all = &candidate.subscriptions;
    if all.is_empty() {
        return no(
            "topic_not_subscribed",
            format!("no subscription of the endpoint is to topic `{topic}`"),
            Vec::new(),
        );
    }
    let covering: Vec<&Covering> = all.iter().filter(|one| one.covers).collect();
    if covering.is_empty() {
        return not_covered(asked, all);
    }
    let given = |one: &&Covering| {
        let tenant = if one.level == Level::Topic { None } else { asked.tenant };
        candidate.grants.give(topic, tenant)
    };
    let given: Vec<&Covering> = covering.iter().copied().filter(|one| given(one)).collect();
    if given.is_empty() {
        let what = match (covering[0].level, asked.tenant) {
            (Level::Tenants | Level::Departments, Some(tenant)) => format!("topic `{topic}` and tenant `{tenant}`"),
            _ => format!("all tenants of topic `{topic}`"),
        };
        let detail = format!("a subscription asks for the event, but the customer's grants do not give {what}");
        return no("outside_grants", detail, covering);
    }
    let (code, detail) = match candidate.state {
        _ if candidate.suspended => (
            "suspended_until_resumed",
            "the event is the endpoint's; its backlog is over its quota, so only the event's place is kept, and a replay \
             brings it when the endpoint is resumed",
        ),
        EndpointState::Enabled => ("subscribed", "the event is sent to the endpoint"),
        EndpointState::Paused => (
            "paused_waits_in_backlog",
            "the event is the endpoint's; the endpoint is paused, so it waits in the backlog until the endpoint is resumed",
        ),
        EndpointState::Disabled => (
            "endpoint_disabled",
            "the event is the endpoint's; the endpoint is disabled, so it waits in the backlog until the endpoint is \
             enabled, or until it is too old and becomes a dead letter",
        ),
    };
    MatchVerdict { gets: true, code: code.into(), detail: detail.to_owned(), subscription_ids: ids(&given) }
}

/// The endpoint subscribes to the topic, but not to this event of it.
fn not_covered(asked: MatchFields<'_>, all: &[Covering]) -> MatchVerdict {
    let naming: Vec<&Covering> = all.iter().filter(|one| one.names_tenant).collect();
    let (code, detail) = match (asked.tenant, asked.department) {
        (None, _) => (
            "event_has_no_tenant",
            "the event has no tenant, and only a subscription to the whole topic takes such events".to_owned(),
        ),
        (Some(tenant), _) if naming.is_empty() => {
            ("tenant_not_listed", format!("no subscription of the endpoint lists tenant `{tenant}`"))
        }
        (Some(tenant), None) => (
            "event_has_no_department",
            format!("the event has no department, and only some departments of tenant `{tenant}` are subscribed to"),
        ),
        (Some(tenant), Some(department)) => (
            "department_not_listed",
            format!("department `{department}` is not among those of tenant `{tenant}` that are subscribed to"),
        ),
    };
    MatchVerdict { gets: false, code: code.into(), detail, subscription_ids: ids(&naming) }
}

fn ids(subscriptions: &[&Covering]) -> Vec<String> {
    subscriptions.iter().map(|one| one.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grants::{Granted, Grants};

    const ALL: Grants = Grants { topics: Granted::All, tenants: Granted::All };

    fn covering(level: Level, covers: bool, names_tenant: bool) -> Covering {
        Covering { id: "sub_1".to_owned(), uid: None, level, covers, names_tenant }
    }

    fn candidate(subscriptions: Vec<Covering>) -> MatchCandidate {
        MatchCandidate {
            endpoint_id: "ep_1".to_owned(),
            uid: None,
            customer_id: "cus_1".to_owned(),
            url: "https://a.example/".to_owned(),
            state: EndpointState::Enabled,
            suspended: false,
            grants: ALL,
            subscriptions,
        }
    }

    fn asked(tenant: Option<&'static str>, department: Option<&'static str>) -> MatchFields<'static> {
        MatchFields { topic: "orders", tenant, department }
    }

    #[track_caller]
    fn check(asked: MatchFields<'_>, candidate: &MatchCandidate, gets: bool, code: &str) -> MatchVerdict {
        let verdict = why(Facts { asked, candidate, topic_is_read: true, live: gets });
        assert_eq!((verdict.gets, &*verdict.code), (gets, code));
        verdict
    }

    #[test]
    fn a_subscription_that_covers_the_event_is_named() {
        let endpoint = candidate(vec![covering(Level::Tenants, true, true), covering(Level::Tenants, false, false)]);
        let verdict = check(asked(Some("2"), None), &endpoint, true, "subscribed");
        assert_eq!(verdict.subscription_ids, ["sub_1"]);
        let states =
            [(EndpointState::Paused, "paused_waits_in_backlog"), (EndpointState::Disabled, "endpoint_disabled")];
        for (state, code) in states {
            check(asked(Some("2"), None), &MatchCandidate { state, ..endpoint.clone() }, true, code);
        }
        check(asked(Some("2"), None), &MatchCandidate { suspended: true, ..endpoint }, true, "suspended_until_resumed");
    }

    #[test]
    fn what_is_missing_is_said_from_the_topic_down_to_the_department() {
        check(asked(Some("2"), None), &candidate(Vec::new()), false, "topic_not_subscribed");
        let of_tenants = candidate(vec![covering(Level::Tenants, false, false)]);
        check(asked(None, None), &of_tenants, false, "event_has_no_tenant");
        check(asked(Some("2"), None), &of_tenants, false, "tenant_not_listed");
        let of_departments = candidate(vec![covering(Level::Departments, false, true)]);
        check(asked(Some("2"), None), &of_departments, false, "event_has_no_department");
        let verdict = check(asked(Some("2"), Some("9")), &of_departments, false, "department_not_listed");
        assert_eq!(verdict.subscription_ids, ["sub_1"]);
    }

    #[test]
    fn grants_that_were_taken_away_are_the_reason() {
        let grants = |topics: Granted, tenants: Granted| Grants { topics, tenants };
        let none = || Granted::These(std::collections::BTreeSet::new());
        let whole = candidate(vec![covering(Level::Topic, true, false)]);
        let listed = candidate(vec![covering(Level::Tenants, true, true)]);
        for grants in [grants(none(), Granted::All), grants(Granted::All, none())] {
            for endpoint in [&whole, &listed] {
                let endpoint = MatchCandidate { grants: grants.clone(), ..endpoint.clone() };
                check(asked(Some("2"), None), &endpoint, false, "outside_grants");
            }
        }
        let two = Granted::These(["2".to_owned()].into());
        check(
            asked(Some("2"), None),
            &MatchCandidate { grants: grants(Granted::All, two), ..listed },
            true,
            "subscribed",
        );
    }

    #[test]
    fn what_is_not_in_effect_yet_is_said_and_what_happens_now_counts() {
        let endpoint = candidate(vec![covering(Level::Topic, true, false)]);
        let facts = Facts { asked: asked(None, None), candidate: &endpoint, topic_is_read: true, live: false };
        let verdict = why(facts);
        assert_eq!((verdict.gets, &*verdict.code), (false, "change_not_in_effect_yet"));
        assert_eq!(why(Facts { topic_is_read: false, ..facts }).code, "topic_not_read");
    }
}
