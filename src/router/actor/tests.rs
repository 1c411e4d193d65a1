//! The fate of an event at its router.

use super::*;
use crate::{
    endpoint::delivery::testing::stream,
    ingest::testing::{ledger, router, tracked},
    model::scope::Scope,
    router::{index::SubscriptionChange, subscribed::Match, subscription::Subscription},
};

#[actix_rt::test]
async fn an_event_that_nobody_wants_is_done_and_holds_no_commit() {
    let ledger = ledger();
    let events: Vec<Arc<Event>> = (0..3).map(|offset| tracked(&ledger, offset)).collect();
    assert_eq!(ledger.committable(), Some(0));
    let mut router = router();
    router.match_all(&events);
    router.open(&events);
    assert_eq!(ledger.committable(), Some(3));
    assert_eq!(ledger.outstanding(), (0, 0));
}

#[actix_rt::test]
async fn an_event_that_may_match_less_than_it_should_is_owed_and_read_again() {
    let (ledger, router) = (ledger(), router());
    router.table.holds().change(["orders".into()].into(), || ());
    let events: Vec<Arc<Event>> = (0..3).map(|offset| tracked(&ledger, offset)).collect();
    let router = router.start();
    router.send(RouteEvents { ledger: Arc::clone(&ledger), events }).await.expect("it lives");
    assert_eq!((ledger.committable(), ledger.has_failed()), (Some(0), true));
}

/// A router with endpoints that all want the same topic.
fn wanted_by(endpoints: usize) -> (Router, Vec<Arc<EndpointQueue>>) {
    let router = router();
    let queues: Vec<_> = (0..endpoints)
        .map(|number| {
            let mut settings = stream();
            settings.id = format!("ep_{number}").into();
            router.table.put_endpoint(Arc::new(settings))
        })
        .collect();
    router.table.stage_subscriptions(queues.iter().map(|queue| {
        SubscriptionChange::Put(Subscription {
            id: format!("sub_{}", queue.id),
            endpoint: queue.key,
            topic: "orders".into(),
            scope: Scope::Topic,
        })
    }));
    router.table.publish_subscriptions();
    (router, queues)
}

#[actix_rt::test]
async fn events_that_many_endpoints_want_are_routed_in_several_turns_and_each_gets_them_in_order() {
    const ENDPOINTS: usize = 1_000;
    let (ledger, (mut router, queues)) = (ledger(), wanted_by(ENDPOINTS));
    let events: Vec<Arc<Event>> = (0..5).map(|offset| tracked(&ledger, offset)).collect();
    router.match_all(&events);
    router.events = events;
    let mut routed = Vec::new();
    loop {
        let goes_on = router.route_some();
        routed.push(queues[7].waiting_events());
        if !goes_on {
            break;
        }
    }
    assert_eq!(routed, [2, 4, 5], "no turn opens more than {TURN_RECEIPTS_MAX} receipts");
    let mut taken = Vec::new();
    drop(queues[7].take(&mut taken));
    assert_eq!(taken.iter().map(|receipt| receipt.event().offset()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(router.matched.is_empty() && router.ends.is_empty() && router.events.is_empty());
    Receipt::settle_all(taken, Settlement::Cancelled);
    queues.iter().for_each(|queue| queue.close());
}

#[actix_rt::test]
async fn events_that_come_behind_a_change_of_subscriptions_are_matched_again_in_their_queues() {
    let (ledger, (mut router, queues)) = (ledger(), wanted_by(2));
    let events = vec![tracked(&ledger, 0)];
    router.match_all(&events);
    router.table.stage_subscriptions([SubscriptionChange::Remove { id: format!("sub_{}", queues[0].id) }]);
    router.table.publish_subscriptions();
    assert!(queues[0].narrowed().is_none(), "there is nothing in it yet");
    router.events = events;
    assert!(!router.route_some());
    let matched = queues.iter().map(|queue| {
        let (subscribed, mut taken) = (queue.narrowed().expect("it is told"), Vec::new());
        drop(queue.take(&mut taken));
        let matched = subscribed.of(taken[0].event());
        Receipt::settle_all(taken, Settlement::Cancelled);
        matched
    });
    assert_eq!(matched.collect::<Vec<_>>(), [Match::Unwanted, Match::Wanted]);
}
