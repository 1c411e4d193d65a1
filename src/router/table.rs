//! ● The snapshot that the routers read, and the endpoints behind its keys. One writer (the settings loader), many readers.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::{
    index::{IndexWriter, SubscriptionChange, SubscriptionIndex},
    subscribed::Subscribed,
};
use crate::{
    endpoint::queue::{EndpointQueue, MATCHED_LONG_AGO, Pushed, Subscriptions},
    flow::counters::FlowCounters,
    ingest::topic_holds::TopicHolds,
    model::{event::EndpointKey, receipt::Receipt, settings::Settings},
};

/// The subscriptions, and the queue of each endpoint.
pub struct RoutingTable {
    published: Arc<Published>,
    writer: Mutex<IndexWriter>,
    endpoints: RwLock<EndpointQueues>,
    flow: Arc<FlowCounters>,
}

/// The subscriptions that everybody sees.
#[derive(Default)]
struct Published {
    index: ArcSwap<SubscriptionIndex>,
    holds: Arc<TopicHolds>,
    /// Number of times that an index gave somebody less than the one before.
    narrowings: AtomicU64,
}

impl Subscriptions for Published {
    fn newest(&self, endpoint: EndpointKey) -> Subscribed {
        let held_before = self.holds.now();
        let index = self.index.load_full();
        Subscribed::new(index, [held_before, self.holds.now()], endpoint)
    }

    fn narrowings(&self) -> u64 {
        self.narrowings.load(Ordering::Acquire)
    }
}

/// Keys are dense and never used twice, so a key that outlives its endpoint finds nothing instead of somebody else.
#[derive(Default)]
pub struct EndpointQueues {
    by_key: Vec<Option<Arc<EndpointQueue>>>,
    by_id: HashMap<Arc<str>, EndpointKey>,
}

impl EndpointQueues {
    #[must_use]
    pub fn get(&self, key: EndpointKey) -> Option<&Arc<EndpointQueue>> {
        self.by_key.get(key.0 as usize)?.as_ref()
    }

    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<EndpointQueue>> {
        self.get(*self.by_id.get(id)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<EndpointQueue>> {
        self.by_key.iter().flatten()
    }
}

impl RoutingTable {
    /// `flow` counts what waits in the endpoints' queues.
    #[must_use]
    pub fn new(flow: Arc<FlowCounters>) -> Self {
        RoutingTable { published: Arc::default(), writer: Mutex::default(), endpoints: RwLock::default(), flow }
    }

    /// Counters of the flow control.
    #[must_use]
    pub fn flow(&self) -> &Arc<FlowCounters> {
        &self.flow
    }

    /// Topics of which nobody knows who should get their events.
    #[must_use]
    pub fn holds(&self) -> &Arc<TopicHolds> {
        &self.published.holds
    }

    /// The newest snapshot; one event is matched against one snapshot.
    #[must_use]
    pub fn index(&self) -> Guard<Arc<SubscriptionIndex>> {
        self.published.index.load()
    }

    pub fn endpoints(&self) -> RwLockReadGuard<'_, EndpointQueues> {
        self.endpoints.read()
    }

    /// The customer of an endpoint. May be asked while [`RoutingTable::endpoints`] is held.
    #[must_use]
    pub fn customer_of(&self, endpoint_id: &str) -> Option<Arc<str>> {
        self.endpoints.read_recursive().find(endpoint_id).map(|queue| Arc::clone(&queue.settings().customer_id))
    }

    /// An endpoint is new or has changed: its queue, made if there is none.
    pub fn put_endpoint(&self, settings: Arc<Settings>) -> Arc<EndpointQueue> {
        if let Some(queue) = self.endpoints.read().find(&settings.id) {
            if !queue.settings().are_as(&settings) {
                queue.replace_settings(settings);
            }
            return Arc::clone(queue);
        }
        let mut endpoints = self.endpoints.write();
        let key = EndpointKey(u32::try_from(endpoints.by_key.len()).unwrap_or(u32::MAX));
        let (flow, published) = (Arc::clone(&self.flow), Arc::clone(&self.published));
        let queue = Arc::new(EndpointQueue::new(key, settings, flow, published));
        endpoints.by_id.insert(Arc::clone(&queue.id), key);
        endpoints.by_key.push(Some(Arc::clone(&queue)));
        queue
    }

    /// An endpoint is gone: what waits for it is cancelled.
    pub fn remove_endpoint(&self, id: &str) {
        let removed = {
            let mut endpoints = self.endpoints.write();
            endpoints.by_id.remove(id).and_then(|key| endpoints.by_key[key.0 as usize].take())
        };
        if let Some(queue) = removed {
            queue.close();
        }
    }

    /// Changes that nobody sees before [`RoutingTable::publish_subscriptions`]: parts of one change, between which an event
    /// may match neither what was nor what will be.
    pub fn stage_subscriptions(&self, changes: impl IntoIterator<Item = SubscriptionChange>) {
        self.writer.lock().apply(changes);
    }

    /// Publishes what was staged, in a new snapshot, and has matched again what is held for endpoints that may get less by
    /// it. Returns the number of subscriptions in it.
    pub fn publish_subscriptions(&self) -> usize {
        let (narrowed, subscriptions) = {
            let mut writer = self.writer.lock();
            self.published.index.store(Arc::new(writer.snapshot()));
            (writer.take_narrowed(), writer.len())
        };
        if !narrowed.is_empty() {
            // After the index and before the queues are told: see `EndpointQueue::note_matched`.
            self.published.narrowings.fetch_add(1, Ordering::AcqRel);
        }
        let endpoints = self.endpoints();
        narrowed.into_iter().filter_map(|key| endpoints.get(key)).for_each(|queue| queue.narrow());
        subscriptions
    }

    /// See [`Subscriptions::narrowings`]; to be read before the index is.
    #[must_use]
    pub fn narrowings(&self) -> u64 {
        self.published.narrowings()
    }

    /// Puts stored events into a queue, which were matched before: after a change since then they are matched again.
    pub fn push_stored(&self, queue: &EndpointQueue, receipts: Vec<Receipt>) -> Pushed {
        let narrowings = self.narrowings();
        let index = self.index();
        let all_match = receipts.iter().all(|receipt| index.gives(receipt.event(), queue.key));
        queue.push_stored(receipts, if all_match { narrowings } else { MATCHED_LONG_AGO })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        endpoint::delivery::testing::{TestSource, batch, receipt, stream},
        model::{receipt::Settlement, scope::Scope},
        router::{subscribed::Match, subscription::Subscription},
    };

    #[test]
    fn stored_events_that_come_behind_a_change_of_subscriptions_are_matched_again() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let (queue, source) = (table.put_endpoint(Arc::new(stream())), TestSource::stored());
        let (id, topic) = ("sub_1".to_owned(), "orders".to_owned());
        let subscription = Subscription { id: id.clone(), endpoint: queue.key, topic, scope: Scope::Topic };
        let push = |change: SubscriptionChange| {
            table.stage_subscriptions([change]);
            table.publish_subscriptions();
            let pushed = table.push_stored(&queue, vec![receipt(&source, 0, clock::now())]);
            assert_eq!(pushed, Pushed::NeedsActor);
            let is_told = queue.narrowed().is_some();
            let taken = queue.take(&mut Vec::new());
            Receipt::settle_all(taken.stored, Settlement::Backlogged);
            is_told
        };
        let still_subscribed = push(SubscriptionChange::Put(subscription));
        let no_more = push(SubscriptionChange::Remove { id });
        assert_eq!((still_subscribed, no_more), (false, true));
    }

    #[test]
    fn what_came_by_a_newer_subscription_is_not_matched_against_the_one_before() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let (queue, source) = (table.put_endpoint(Arc::new(stream())), TestSource::new());
        let topic = "orders".to_owned();
        let subscription = Subscription { id: "sub_1".to_owned(), endpoint: queue.key, topic, scope: Scope::Topic };
        // Nobody subscribes, and there is no actor to hear of it.
        let _ = queue.push([receipt(&source, 0, clock::now())], MATCHED_LONG_AGO);
        table.stage_subscriptions([SubscriptionChange::Put(subscription)]);
        table.publish_subscriptions();
        let _ = queue.push([receipt(&source, 1, clock::now())], table.narrowings());
        let mut waiting = Vec::new();
        let subscribed = queue.take(&mut waiting).narrowed.expect("it was told");
        assert!(waiting.iter().all(|receipt| subscribed.of(receipt.event()) == Match::Wanted));
        Receipt::settle_all(waiting, Settlement::Cancelled);
    }

    #[test]
    fn settings_that_are_read_again_replace_nothing_and_what_differs_does() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let queue = table.put_endpoint(Arc::new(stream()));
        let before = queue.settings();
        table.put_endpoint(Arc::new(stream()));
        assert!(Arc::ptr_eq(&before, &queue.settings()), "its access token, for one, goes on");
        table.put_endpoint(Arc::new(Settings { version: 2, ..stream() }));
        assert_eq!(queue.settings().version, 2);
        let mut readable = batch(7);
        readable.version = 2;
        table.put_endpoint(Arc::new(readable.clone()));
        assert_eq!(queue.settings().delivery, readable.delivery, "though the version is the same");
    }
}
