//! Subscriptions that cannot be read, or whose customer's grants cannot; full reads beside changes.

use super::*;
use crate::{
    endpoint::delivery::testing::{TestSource, receipt, stream},
    flow::counters::FlowCounters,
    model::{
        receipt::{Receipt, Settlement},
        scope::Scope,
        settings::Settings,
    },
    router::{index::Matches, subscribed::Match},
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

/// Applies these loads one after the other, and checks if an event matches then, and if the topic is held.
#[track_caller]
fn check(loads: Vec<SubscriptionRow>, (matches, held): (bool, bool)) {
    let (table, mut known) = (table(), Known::default());
    for row in loads {
        known.stage_subscriptions(&table, vec![row], Origin::Change);
        known.publish_subscriptions(&table);
    }
    assert_eq!((is_matched(&table, "1"), table.holds().is_held("orders")), (matches, held));
    let stands = matches || held;
    assert_eq!(known.counts().1, usize::from(stands), "a reconcile takes it out or not");
}

fn is_matched(table: &RoutingTable, tenant: &str) -> bool {
    let mut found = Matches::new();
    if let Some(topic) = table.index().topic("orders") {
        topic.matches(Some(tenant), None, &mut found);
    }
    !found.is_empty()
}

#[test]
fn a_subscription_that_cannot_be_read_or_has_no_readable_grants_matches_nothing_and_holds_its_topic() {
    check(vec![present()], (true, false));
    for hidden in [ungranted(), unreadable()] {
        check(vec![hidden.clone()], (false, true));
        check(vec![present(), hidden.clone()], (false, true));
        check(vec![present(), hidden.clone(), hidden.clone(), present()], (true, false));
        check(vec![present(), hidden, absent()], (false, false));
    }
    check(vec![present(), unreadable(), ungranted()], (false, true));
    check(vec![present(), ungranted(), unreadable()], (false, true));
}

/// Result of matching an event again that waits in the endpoint's queue while this is loaded; `None` if nobody asks for it.
fn asked_of_the_queue(loads: Vec<Vec<SubscriptionRow>>) -> Option<Match> {
    let (table, mut known, source) = (table(), Known::default(), TestSource::new());
    let queue = table.endpoints().find(&stream().id).cloned().expect("it was put");
    let _ = queue.push([receipt(&source, 0, clock::now())], table.narrowings());
    for rows in loads {
        known.stage_subscriptions(&table, rows, Origin::Change);
        known.publish_subscriptions(&table);
    }
    let (narrowed, mut waiting) = (queue.narrowed(), Vec::new());
    drop(queue.take(&mut waiting));
    let asked = narrowed.map(|subscribed| subscribed.of(waiting[0].event()));
    Receipt::settle_all(waiting, Settlement::Cancelled);
    asked
}

#[test]
fn what_waits_is_matched_again_when_a_subscription_changes_and_not_when_it_is_read_again() {
    let of_tenant = || {
        let (endpoint_id, topic) = (stream().id.to_string(), "orders".to_owned());
        let scope = Scope::Tenants { tenants: ["4".to_owned()].into() };
        SubscriptionRow::Present { id: ID.to_owned(), endpoint_id, topic, scope }
    };
    let second = || {
        let (endpoint_id, topic) = (stream().id.to_string(), "orders".to_owned());
        SubscriptionRow::Present { id: "sub_2".to_owned(), endpoint_id, topic, scope: Scope::Topic }
    };
    let check = |loads: Vec<Vec<SubscriptionRow>>, asked: Option<Match>| {
        assert_eq!(asked_of_the_queue(loads.clone()), asked, "{loads:?}");
    };
    check(vec![vec![present()], vec![present()], vec![]], None);
    check(vec![vec![present()], vec![second()]], None);
    check(vec![vec![present()], vec![absent()]], Some(Match::Unwanted));
    check(vec![vec![present()], vec![of_tenant()]], Some(Match::Unwanted));
    check(vec![vec![present()], vec![absent(), second()]], Some(Match::Wanted));
    check(vec![vec![present()], vec![unreadable()]], Some(Match::Unknown));
    check(vec![vec![present()], vec![ungranted()]], Some(Match::Unknown));
}

#[test]
fn a_tenant_that_goes_from_one_subscription_to_another_is_in_one_of_them_at_any_time() {
    let (table, mut known) = (table(), Known::default());
    let of_tenants = |id: &str, tenants: &[&str]| {
        let (endpoint_id, topic) = (stream().id.to_string(), "orders".to_owned());
        let scope = Scope::Tenants { tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect() };
        SubscriptionRow::Present { id: id.to_owned(), endpoint_id, topic, scope }
    };
    known.stage_subscriptions(&table, vec![of_tenants("sub_1", &["4", "5"])], Origin::Change);
    known.publish_subscriptions(&table);
    // A reconcile reads them page by page.
    known.begin_full_read();
    for page in [of_tenants("sub_1", &["4"]), of_tenants("sub_2", &["5"])] {
        known.stage_subscriptions(&table, vec![page], Origin::FullRead);
        assert!(is_matched(&table, "5"));
    }
    known.end_full_read(&table);
    assert!(is_matched(&table, "5"));
}

/// Table and ids after a full read whose snapshot has the subscription or not, with a change before or after its page.
#[track_caller]
fn check_read(
    before: Option<SubscriptionRow>,
    page: Vec<SubscriptionRow>,
    after: Option<SubscriptionRow>,
    stands: bool,
) {
    let (table, mut known) = (table(), Known::default());
    known.stage_subscriptions(&table, vec![present()], Origin::Change);
    known.publish_subscriptions(&table);
    known.begin_full_read();
    let said = format!("{before:?}, {page:?}, {after:?}");
    let change = |known: &mut Known, row: SubscriptionRow| {
        let is_there = row == present();
        known.stage_subscriptions(&table, vec![row], Origin::Change);
        known.publish_subscriptions(&table);
        assert_eq!(is_matched(&table, "1"), is_there, "a change waits for no full read: {said}");
    };
    before.into_iter().for_each(|row| change(&mut known, row));
    known.stage_subscriptions(&table, page, Origin::FullRead);
    after.into_iter().for_each(|row| change(&mut known, row));
    known.end_full_read(&table);
    assert_eq!((is_matched(&table, "1"), known.counts().1), (stands, usize::from(stands)), "{said}");
}

#[test]
fn what_a_change_said_during_a_full_read_stands_whatever_the_snapshot_has() {
    for page in [vec![], vec![present()], vec![unreadable()], vec![absent()]] {
        for (row, stands) in [(present(), true), (absent(), false)] {
            check_read(Some(row.clone()), page.clone(), None, stands);
            check_read(None, page.clone(), Some(row), stands);
        }
    }
    check_read(None, vec![], None, false);
    check_read(None, vec![present()], None, true);
}

#[test]
fn an_endpoint_that_a_change_named_during_a_full_read_is_as_the_change_says() {
    let (table, mut known) = (RoutingTable::new(Arc::new(FlowCounters::new(1))), Known::default());
    let put = |known: &mut Known, id: &str, version: i64, origin: Origin| {
        let settings = Settings { id: Arc::from(id), version, ..stream() };
        known.apply_endpoints(&table, vec![EndpointRow::Present(Box::new(settings))], origin, |_| {});
    };
    for id in ["changed", "deleted", "missed"] {
        put(&mut known, id, 1, Origin::Change);
    }
    known.begin_full_read();
    put(&mut known, "changed", 2, Origin::Change);
    known.apply_endpoints(&table, vec![EndpointRow::Absent { id: "deleted".to_owned() }], Origin::Change, |_| {});
    for id in ["changed", "deleted", "healed"] {
        put(&mut known, id, 1, Origin::FullRead);
    }
    put(&mut known, "new", 3, Origin::Change);
    known.end_full_read(&table);
    let version = |id: &str| table.endpoints().find(id).map(|queue| queue.settings().version);
    let versions = ["changed", "deleted", "missed", "healed", "new"].map(version);
    assert_eq!(versions, [Some(2), None, None, Some(1), Some(3)]);
    assert_eq!(known.counts(), (3, 0));
}

#[test]
fn a_subscription_that_a_change_named_before_its_endpoint_came_with_the_snapshot_stands() {
    for (last, stands) in [(None, true), (Some(absent()), false)] {
        let (table, mut known) = (RoutingTable::new(Arc::new(FlowCounters::new(1))), Known::default());
        known.begin_full_read();
        for row in [Some(present()), last].into_iter().flatten() {
            known.stage_subscriptions(&table, vec![row], Origin::Change);
            known.publish_subscriptions(&table);
        }
        assert!(!is_matched(&table, "1"), "nobody knows its endpoint");
        known.apply_endpoints(&table, vec![EndpointRow::Present(Box::new(stream()))], Origin::FullRead, |_| {});
        known.stage_subscriptions(&table, vec![present()], Origin::FullRead);
        known.end_full_read(&table);
        assert_eq!((is_matched(&table, "1"), known.counts().1), (stands, usize::from(stands)));
    }
}
