//! ○ Makes snapshots: knows every subscription by its id, so that a removal finds what it stood for.

use std::{hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use super::{
    SubscriptionIndex, Topic,
    slots::{self, Changed, IndexKey},
    texts::TextId,
};
use crate::{
    model::{event::EndpointKey, scope::Scope},
    routing::subscription::Subscription,
};

/// A subscription that came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// New, or in place of the one with the same id.
    Put(Subscription),
    /// Gone; no matter if it was not there.
    Remove { id: String },
}

/// The one who changes the index. Changes become visible to readers with the snapshot that [`IndexWriter::apply`] returns.
#[derive(Debug, Default)]
pub struct IndexWriter {
    snapshot: SubscriptionIndex,
    stored: StoredById,
    topic_names: HashMap<u32, Arc<str>>,
    next_topic: u32,
    names: Names,
    /// Further subscriptions that put an endpoint into a place that it has already.
    repeated: HashMap<(IndexKey, EndpointKey), u32>,
    /// Endpoints that may get less than before.
    narrowed: HashSet<EndpointKey>,
}

/// A subscription in few bytes: a million of them are kept.
#[derive(Debug)]
struct Stored {
    id: Box<str>,
    topic: u32,
    endpoint: EndpointKey,
    /// Tenant and department; (any, any) is the whole topic.
    scopes: Box<[(TextId, TextId)]>,
}

impl IndexWriter {
    /// Takes the changes in their order and returns the snapshot after them. Shards that no change touched are shared
    /// with the snapshots before.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = SubscriptionChange>) -> SubscriptionIndex {
        for change in changes {
            match change {
                SubscriptionChange::Put(subscription) => self.put(&subscription),
                SubscriptionChange::Remove { id } => self.remove(&id),
            }
        }
        self.snapshot.clone()
    }

    #[must_use]
    pub fn snapshot(&self) -> SubscriptionIndex {
        self.snapshot.clone()
    }

    /// Endpoints of which a subscription was changed or removed since this was last asked: what was matched before may match
    /// no more.
    pub fn take_narrowed(&mut self) -> HashSet<EndpointKey> {
        std::mem::take(&mut self.narrowed)
    }

    /// Number of subscriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if everything that subscriptions took was given back.
    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        let SubscriptionIndex { topics, texts, slots } = &self.snapshot;
        let tables = (topics.len(), texts.len(), slots.len(), self.topic_names.len(), self.stored.positions.len());
        tables == (0, 0, 0, 0, 0) && self.repeated.is_empty() && self.names.free.len() + 1 == self.names.uses.len()
    }

    fn put(&mut self, subscription: &Subscription) {
        if self.has_exactly(subscription) {
            // A full reconcile puts everything again: it must not copy a single shard.
            return;
        }
        self.remove(&subscription.id);
        let topic = self.open_topic(&subscription.topic);
        let mut scopes = Vec::new();
        for (tenant, department) in names_in(&subscription.scope) {
            let tenant = tenant.map_or(TextId::ANY, |name| self.names.take(&mut self.snapshot, name));
            let department = department.map_or(TextId::ANY, |name| self.names.take(&mut self.snapshot, name));
            scopes.push((tenant, department));
        }
        for (tenant, department) in &scopes {
            self.add_endpoint(IndexKey { topic, tenant: *tenant, department: *department }, subscription.endpoint);
        }
        let scopes = scopes.into_boxed_slice();
        let id = subscription.id.as_str().into();
        self.stored.insert(Stored { id, topic, endpoint: subscription.endpoint, scopes });
    }

    fn has_exactly(&self, subscription: &Subscription) -> bool {
        let Some(stored) = self.stored.get(&subscription.id) else { return false };
        let texts = &self.snapshot.texts;
        let id_of = |name: Option<&str>| name.map_or(Some(TextId::ANY), |name| texts.find(texts.hash(name), name));
        let wanted =
            names_in(&subscription.scope).map(|(tenant, department)| Some((id_of(tenant)?, id_of(department)?)));
        stored.endpoint == subscription.endpoint
            && self.topic_names.get(&stored.topic).is_some_and(|name| **name == *subscription.topic)
            && wanted.eq(stored.scopes.iter().copied().map(Some))
    }

    fn remove(&mut self, id: &str) {
        let Some(stored) = self.stored.remove(id) else { return };
        self.narrowed.insert(stored.endpoint);
        for (tenant, department) in &stored.scopes {
            self.remove_endpoint(
                IndexKey { topic: stored.topic, tenant: *tenant, department: *department },
                stored.endpoint,
            );
        }
        for (tenant, department) in &stored.scopes {
            self.names.give_back(&mut self.snapshot, *tenant);
            self.names.give_back(&mut self.snapshot, *department);
        }
        self.close_topic(stored.topic);
    }

    fn add_endpoint(&mut self, place: IndexKey, endpoint: EndpointKey) {
        let changed = if place.tenant == TextId::ANY {
            let whole = &mut self.topic_mut(place.topic).whole;
            match whole.binary_search(&endpoint) {
                Ok(_) => Changed::Nothing,
                Err(at) => {
                    whole.insert(at, endpoint);
                    Changed::Endpoint
                }
            }
        } else {
            slots::insert(&mut self.snapshot.slots, place, self.names.hashes(place), endpoint)
        };
        match changed {
            Changed::Slot => *self.slots_of(place) += 1,
            Changed::Endpoint => {}
            Changed::Nothing => *self.repeated.entry((place, endpoint)).or_default() += 1,
        }
    }

    fn remove_endpoint(&mut self, place: IndexKey, endpoint: EndpointKey) {
        if let Some(more) = self.repeated.get_mut(&(place, endpoint)) {
            *more -= 1;
            if *more == 0 {
                self.repeated.remove(&(place, endpoint));
            }
            return;
        }
        if place.tenant == TextId::ANY {
            let whole = &mut self.topic_mut(place.topic).whole;
            if let Ok(at) = whole.binary_search(&endpoint) {
                whole.remove(at);
            }
        } else if slots::remove(&mut self.snapshot.slots, place, self.names.hashes(place), endpoint) == Changed::Slot {
            *self.slots_of(place) -= 1;
        }
    }

    /// The topic's id, counting one subscription more.
    fn open_topic(&mut self, name: &str) -> u32 {
        let topics = Arc::make_mut(&mut self.snapshot.topics);
        if let Some(topic) = topics.get_mut(name) {
            let topic = Arc::make_mut(topic);
            topic.subscriptions += 1;
            return topic.id;
        }
        let name: Arc<str> = name.into();
        let id = self.next_topic;
        self.next_topic += 1;
        self.topic_names.insert(id, Arc::clone(&name));
        let topic = Topic { id, subscriptions: 1, whole: Vec::new(), tenant_slots: 0, department_slots: 0 };
        topics.insert(name, Arc::new(topic));
        id
    }

    fn close_topic(&mut self, id: u32) {
        let topic = self.topic_mut(id);
        topic.subscriptions -= 1;
        if topic.subscriptions == 0
            && let Some(name) = self.topic_names.remove(&id)
        {
            Arc::make_mut(&mut self.snapshot.topics).remove(&name);
        }
    }

    fn topic_mut(&mut self, id: u32) -> &mut Topic {
        let topics = Arc::make_mut(&mut self.snapshot.topics);
        let topic = self.topic_names.get(&id).and_then(|name| topics.get_mut(name));
        Arc::make_mut(topic.expect("a topic stays while it has subscriptions"))
    }

    fn slots_of(&mut self, place: IndexKey) -> &mut usize {
        let topic = self.topic_mut(place.topic);
        if place.department == TextId::ANY { &mut topic.tenant_slots } else { &mut topic.department_slots }
    }
}

/// The tenants and departments of a scope; (none, none) is the whole topic.
fn names_in(scope: &Scope) -> Box<dyn Iterator<Item = (Option<&str>, Option<&str>)> + '_> {
    match scope {
        Scope::Topic => Box::new(std::iter::once((None, None))),
        Scope::Tenants { tenants } => Box::new(tenants.iter().map(|tenant| (Some(&**tenant), None))),
        Scope::Departments { departments } => Box::new(departments.iter().flat_map(|(tenant, of_tenant)| {
            of_tenant.iter().map(move |department| (Some(&**tenant), Some(&**department)))
        })),
    }
}

/// Users of the names of tenants and departments.
#[derive(Debug)]
struct Names {
    /// By id; the first stands for [`TextId::ANY`].
    uses: Vec<NameUse>,
    free: Vec<TextId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct NameUse {
    hash: u64,
    count: u32,
}

impl Default for Names {
    fn default() -> Self {
        Names { uses: vec![NameUse::default()], free: Vec::new() }
    }
}

impl Names {
    fn take(&mut self, snapshot: &mut SubscriptionIndex, text: &str) -> TextId {
        let hash = snapshot.texts.hash(text);
        let id = snapshot.texts.find(hash, text).unwrap_or_else(|| {
            let id = self.free.pop().unwrap_or_else(|| {
                self.uses.push(NameUse::default());
                TextId(u32::try_from(self.uses.len() - 1).expect("fewer than 4 G names fit into memory"))
            });
            self.uses[id.0 as usize].hash = hash;
            snapshot.texts.insert(hash, text, id);
            id
        });
        self.uses[id.0 as usize].count += 1;
        id
    }

    fn give_back(&mut self, snapshot: &mut SubscriptionIndex, id: TextId) {
        if id == TextId::ANY {
            return;
        }
        let NameUse { hash, count } = &mut self.uses[id.0 as usize];
        *count -= 1;
        if *count == 0 {
            snapshot.texts.remove(*hash, id);
            self.free.push(id);
        }
    }

    /// Hashes of the tenant's and the department's name.
    fn hashes(&self, place: IndexKey) -> (u64, u64) {
        (self.uses[place.tenant.0 as usize].hash, self.uses[place.department.0 as usize].hash)
    }
}

/// All subscriptions by id: a dense list and a table of positions in it, which wastes less than a table of the
/// subscriptions themselves when it has just grown.
#[derive(Debug, Default)]
struct StoredById {
    hasher: DefaultHashBuilder,
    list: Vec<Stored>,
    positions: HashTable<u32>,
}

impl StoredById {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn get(&self, id: &str) -> Option<&Stored> {
        let position = self.positions.find(self.hasher.hash_one(id), |at| *self.list[*at as usize].id == *id)?;
        self.list.get(*position as usize)
    }

    /// The id must not be there.
    fn insert(&mut self, stored: Stored) {
        let StoredById { hasher, list, positions } = self;
        let position = u32::try_from(list.len()).expect("fewer than 4 G subscriptions fit into memory");
        if list.len() == list.capacity() {
            // By an eighth, not twofold: most of a second million would stand empty.
            list.reserve_exact(list.len() / 8 + 64);
        }
        let hash = hasher.hash_one(&*stored.id);
        list.push(stored);
        positions.insert_unique(hash, position, |at| hasher.hash_one(&*list[*at as usize].id));
    }

    fn remove(&mut self, id: &str) -> Option<Stored> {
        let StoredById { hasher, list, positions } = self;
        let hash = hasher.hash_one(id);
        let (position, _) = positions.find_entry(hash, |at| *list[*at as usize].id == *id).ok()?.remove();
        let last = u32::try_from(list.len() - 1).expect("positions are u32");
        if position != last {
            // The last one moves into the hole.
            let hash = hasher.hash_one(&*list[last as usize].id);
            if let Some(at) = positions.find_mut(hash, |at| *at == last) {
                *at = position;
            }
        }
        Some(list.swap_remove(position as usize))
    }
}
