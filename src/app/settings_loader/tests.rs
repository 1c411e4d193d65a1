//! Subscriptions that cannot be read, or whose customer's grants cannot.

use super::*;
use crate::{
    endpoint::delivery::testing::stream, flow::counters::FlowCounters, model::scope::Scope, router::index::Matches,
};

const ID: &str = "sub_1";

fn table() -> RoutingTable {
    let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
    table.put_endpoint(Arc::new(stream()));
    table
}

fn present() -> SubscriptionRow {
    let (endpoint_id, topic) = (stream().id.to_string(), "orders".to_owned());
    SubscriptionRow::Present { id: ID.to_owned(), endpoint_id, topic, scope: Scope::Topic }
}

fn ungranted() -> SubscriptionRow {
    SubscriptionRow::Ungranted { id: ID.to_owned(), topic: "orders".to_owned() }
}

fn unreadable() -> SubscriptionRow {
    SubscriptionRow::Unreadable { id: ID.to_owned(), topic: "orders".to_owned() }
}

fn absent() -> SubscriptionRow {
    SubscriptionRow::Absent { id: ID.to_owned() }
}

/// Applies these loads one after the other, and checks if an event matches then, if the topic is held, and if what
/// matches is incomplete.
#[track_caller]
fn check(loads: Vec<SubscriptionRow>, (matches, held, incomplete): (bool, bool, bool)) {
    let (table, mut known, mut seen) = (table(), Known::default(), HashSet::new());
    for row in loads {
        seen.clear();
        known.stage_subscriptions(&table, vec![row], &mut seen);
        known.publish_subscriptions(&table);
    }
    let mut found = Matches::new();
    if let Some(topic) = table.index().topic("orders") {
        topic.matches(Some("1"), None, &mut found);
    }
    let holds = (table.holds.now().contains("orders"), table.holds.is_incomplete("orders"));
    assert_eq!((!found.is_empty(), holds), (matches, (held, incomplete)));
    let stands = matches || held;
    assert_eq!(
        (known.subscriptions.contains(ID), seen.contains(ID)),
        (stands, stands),
        "a reconcile takes it out or not"
    );
}

#[test]
fn without_readable_grants_a_subscription_matches_nothing_and_holds_its_topic() {
    check(vec![present()], (true, false, false));
    check(vec![present(), ungranted()], (false, true, true));
    check(vec![ungranted()], (false, true, true));
    check(vec![present(), ungranted(), ungranted(), present()], (true, false, false));
    check(vec![ungranted(), absent()], (false, false, false));
}

#[test]
fn a_subscription_that_becomes_unreadable_matches_as_before_and_holds_its_topic() {
    check(vec![present(), unreadable()], (true, true, false));
    check(vec![present(), unreadable(), ungranted()], (false, true, true));
    check(vec![ungranted(), unreadable()], (false, true, false));
    check(vec![unreadable(), present()], (true, false, false));
    check(vec![unreadable(), absent()], (false, false, false));
}

#[test]
fn a_tenant_that_goes_from_one_subscription_to_another_is_in_one_of_them_at_any_time() {
    let (table, mut known) = (table(), Known::default());
    let of_tenants = |id: &str, tenants: &[&str]| {
        let (endpoint_id, topic) = (stream().id.to_string(), "orders".to_owned());
        let scope = Scope::Tenants { tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect() };
        SubscriptionRow::Present { id: id.to_owned(), endpoint_id, topic, scope }
    };
    let is_matched = || {
        let mut found = Matches::new();
        table.index().topic("orders").expect("subscribed").matches(Some("5"), None, &mut found);
        !found.is_empty()
    };
    known.stage_subscriptions(&table, vec![of_tenants("sub_1", &["4", "5"])], &mut HashSet::new());
    known.publish_subscriptions(&table);
    // A reconcile reads them page by page.
    for page in [of_tenants("sub_1", &["4"]), of_tenants("sub_2", &["5"])] {
        known.stage_subscriptions(&table, vec![page], &mut HashSet::new());
        assert!(is_matched());
    }
    known.publish_subscriptions(&table);
    assert!(is_matched());
}
