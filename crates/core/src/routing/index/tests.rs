//! Promises of the index, on the real thing and against a slow model of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{model::scope::Scope, routing::subscription::Subscription};

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn tenants(names: &[&str]) -> Scope {
    Scope::Tenants { tenants: set(names) }
}

fn departments(of: &[(&str, &[&str])]) -> Scope {
    Scope::Departments { departments: of.iter().map(|(tenant, names)| ((*tenant).to_owned(), set(names))).collect() }
}

fn put(id: &str, endpoint: u32, topic: &str, scope: Scope) -> SubscriptionChange {
    SubscriptionChange::Put(Subscription {
        id: id.to_owned(),
        endpoint: EndpointKey(endpoint),
        topic: topic.to_owned(),
        scope,
    })
}

fn remove(id: &str) -> SubscriptionChange {
    SubscriptionChange::Remove { id: id.to_owned() }
}

const NOBODY: [u32; 0] = [];

fn matches(index: &SubscriptionIndex, topic: &str, tenant: Option<&str>, department: Option<&str>) -> Vec<u32> {
    let mut out = Matches::from_slice(&[EndpointKey(77)]);
    let Some(topic) = index.topic(topic) else { return Vec::new() };
    topic.matches(tenant, department, &mut out);
    out.iter().map(|key| key.0).collect()
}

#[test]
fn a_subscription_to_a_topic_gets_all_of_it_and_nothing_else() {
    let index = IndexWriter::default().apply([put("a", 1, "orders", Scope::Topic)]);
    assert_eq!(matches(&index, "orders", None, None), [1]);
    assert_eq!(matches(&index, "orders", Some("42"), Some("7")), [1]);
    assert!(index.topic("invoices").is_none());
}

#[test]
fn an_endpoint_may_get_less_when_a_subscription_changes_or_goes_and_not_when_it_is_put_again() {
    let mut writer = IndexWriter::default();
    let mut narrowed = |changes: Vec<SubscriptionChange>| {
        writer.apply(changes);
        let mut narrowed: Vec<u32> = writer.take_narrowed().into_iter().map(|key| key.0).collect();
        narrowed.sort_unstable();
        narrowed
    };
    let both = || vec![put("a", 1, "orders", tenants(&["1", "2"])), put("b", 2, "orders", Scope::Topic)];
    assert_eq!(narrowed(both()), NOBODY);
    assert_eq!(narrowed(both()), NOBODY);
    assert_eq!(narrowed(vec![put("c", 2, "invoices", Scope::Topic)]), NOBODY);
    assert_eq!(narrowed(vec![put("a", 1, "orders", tenants(&["1"]))]), [1]);
    assert_eq!(narrowed(vec![put("a", 2, "orders", tenants(&["1"]))]), [1], "it went to another endpoint");
    assert_eq!(narrowed(vec![remove("b"), remove("c"), remove("d")]), [2]);
}

#[test]
fn a_subscription_to_tenants_gets_all_their_departments() {
    let index = IndexWriter::default().apply([put("a", 1, "orders", tenants(&["1", "2"]))]);
    assert_eq!(matches(&index, "orders", Some("2"), None), [1]);
    assert_eq!(matches(&index, "orders", Some("2"), Some("100")), [1]);
    assert_eq!(matches(&index, "orders", Some("3"), None), NOBODY);
    assert_eq!(matches(&index, "orders", None, Some("2")), NOBODY);
}

#[test]
fn a_subscription_to_departments_gets_only_these_of_their_tenant() {
    let scope = departments(&[("2", &["100", "200"]), ("3", &["300"])]);
    let index = IndexWriter::default().apply([put("a", 1, "orders", scope)]);
    assert_eq!(matches(&index, "orders", Some("2"), Some("100")), [1]);
    assert_eq!(matches(&index, "orders", Some("3"), Some("300")), [1]);
    assert_eq!(matches(&index, "orders", Some("3"), Some("100")), NOBODY);
    assert_eq!(matches(&index, "orders", Some("2"), None), NOBODY);
    assert_eq!(matches(&index, "orders", None, Some("100")), NOBODY);
}

#[test]
fn an_endpoint_gets_an_event_once_however_many_of_its_subscriptions_match() {
    let index = IndexWriter::default().apply([
        put("a", 5, "orders", tenants(&["2"])),
        put("b", 5, "orders", Scope::Topic),
        put("c", 5, "orders", departments(&[("2", &["100"])])),
        put("d", 5, "orders", tenants(&["2", "3"])),
        put("e", 4, "orders", departments(&[("2", &["100"])])),
        put("f", 6, "orders", Scope::Topic),
    ]);
    assert_eq!(matches(&index, "orders", Some("2"), Some("100")), [4, 5, 6]);
}

#[test]
fn what_one_subscription_leaves_another_still_holds() {
    let mut writer = IndexWriter::default();
    writer.apply([put("a", 5, "orders", tenants(&["2"])), put("b", 5, "orders", tenants(&["2"]))]);
    let index = writer.apply([remove("a")]);
    assert_eq!(matches(&index, "orders", Some("2"), None), [5]);
    let index = writer.apply([remove("b")]);
    assert!(index.topic("orders").is_none());
}

#[test]
fn putting_an_id_again_replaces_what_it_stood_for() {
    let mut writer = IndexWriter::default();
    writer.apply([put("a", 1, "orders", tenants(&["1"]))]);
    let index = writer.apply([put("a", 2, "invoices", tenants(&["1"]))]);
    assert!(index.topic("orders").is_none());
    assert_eq!(matches(&index, "invoices", Some("1"), None), [2]);
    assert_eq!(writer.len(), 1);
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut writer = IndexWriter::default();
    writer.apply([put("a", 1, "orders", Scope::Topic)]);
    assert_eq!(matches(&writer.apply([remove("b")]), "orders", None, None), [1]);
}

#[test]
fn a_snapshot_never_changes() {
    let mut writer = IndexWriter::default();
    let before = writer.apply([put("a", 1, "orders", tenants(&["1"]))]);
    let after = writer.apply([remove("a"), put("b", 2, "orders", tenants(&["2"]))]);
    assert_eq!(matches(&before, "orders", Some("1"), None), [1]);
    assert_eq!(matches(&before, "orders", Some("2"), None), NOBODY);
    assert_eq!(matches(&after, "orders", Some("1"), None), NOBODY);
    assert_eq!(matches(&after, "orders", Some("2"), None), [2]);
}

#[test]
fn putting_the_same_again_copies_nothing() {
    let mut writer = IndexWriter::default();
    let all = [
        put("a", 1, "orders", tenants(&["1", "2"])),
        put("b", 2, "orders", departments(&[("1", &["100", "200"])])),
        put("c", 2, "orders", Scope::Topic),
    ];
    let before = writer.apply(all.clone());
    let after = writer.apply(all.clone());
    assert!(Arc::ptr_eq(&before.topics, &after.topics) && after.slots.is_shared_with(&before.slots));
    let changed = writer.apply([put("a", 1, "orders", tenants(&["1"]))]);
    assert!(!changed.slots.is_shared_with(&before.slots));
}

#[test]
fn names_that_nobody_uses_are_given_back() {
    let mut writer = IndexWriter::default();
    for round in 0..1_000 {
        writer.apply([put("a", 1, "orders", tenants(&[&format!("tenant {round} with a long name")]))]);
    }
    writer.apply([remove("a")]);
    assert!(writer.is_empty() && writer.holds_nothing());
}

const TOPICS: [&str; 3] = ["orders", "invoices", "a topic"];

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[1-6]", "[1-3]a name of more than sixteen bytes"]
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        1 => Just(Scope::Topic),
        3 => prop::collection::btree_set(any_name(), 0..5).prop_map(|tenants| Scope::Tenants { tenants }),
        3 => prop::collection::btree_map(any_name(), prop::collection::btree_set(any_name(), 0..4), 0..3)
            .prop_map(|departments| Scope::Departments { departments }),
    ]
}

fn any_change() -> impl Strategy<Value = SubscriptionChange> {
    let id = (0_u8..24).prop_map(|id| format!("sub_{id}"));
    prop_oneof![
        3 => (id.clone(), 0_u32..8, prop::sample::select(&TOPICS[..]), any_scope())
            .prop_map(|(id, endpoint, topic, scope)| put(&id, endpoint, topic, scope)),
        1 => id.prop_map(|id| remove(&id)),
    ]
}

/// Looks at every subscription.
#[derive(Clone, Default)]
struct Naive(BTreeMap<String, Subscription>);

impl Naive {
    fn apply(&mut self, change: SubscriptionChange) {
        match change {
            SubscriptionChange::Put(subscription) => drop(self.0.insert(subscription.id.clone(), subscription)),
            SubscriptionChange::Remove { id } => drop(self.0.remove(&id)),
        }
    }

    fn matches(&self, topic: &str, tenant: Option<&str>, department: Option<&str>) -> Vec<u32> {
        let matching = self.0.values().filter(|s| s.topic == topic && s.scope.covers(tenant, department));
        matching.map(|s| s.endpoint.0).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn assert_agrees(index: &SubscriptionIndex, naive: &Naive) -> Result<(), TestCaseError> {
    let names = (1..7).map(|n| n.to_string()).chain((1..4).map(|n| format!("{n}a name of more than sixteen bytes")));
    let names: Vec<_> = names.map(Some).chain([None]).collect();
    for topic in TOPICS {
        for tenant in &names {
            for department in &names {
                let (tenant, department) = (tenant.as_deref(), department.as_deref());
                prop_assert_eq!(matches(index, topic, tenant, department), naive.matches(topic, tenant, department));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn it_agrees_with_looking_at_every_subscription(
        batches in prop::collection::vec(prop::collection::vec(any_change(), 0..12), 1..8),
    ) {
        let mut writer = IndexWriter::default();
        let mut naive = Naive::default();
        let mut history = Vec::new();
        for batch in batches {
            batch.iter().cloned().for_each(|change| naive.apply(change));
            history.push((writer.apply(batch), naive.clone()));
            prop_assert_eq!(writer.len(), naive.0.len());
        }
        for (index, naive) in &history {
            assert_agrees(index, naive)?;
        }
        for id in naive.0.keys().cloned().collect::<Vec<_>>() {
            writer.apply([SubscriptionChange::Remove { id }]);
        }
        assert_agrees(&writer.snapshot(), &Naive::default())?;
        prop_assert!(writer.holds_nothing());
    }
}
