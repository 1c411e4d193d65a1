//! ○ The subscription index: which endpoints get an event. Readers hold immutable snapshots; [`IndexWriter`] makes them.
//!
//! A tenant or a department is a [`TextId`](texts::TextId). What subscribes to (topic, tenant) or to (topic, tenant,
//! department) stands in one slot of a hash table, so an event costs at most three look-ups, however many
//! subscriptions there are. Tables are cut into shards behind `Arc`s: the next snapshot shares every shard that a
//! change did not touch.
//!
//! **Invariant:** the endpoints of a slot are sorted, each there once; so are those of a match.

mod slots;
mod table;
mod texts;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

pub use self::writer::{IndexWriter, SubscriptionChange};
use self::{
    slots::{IndexKey, Slot},
    table::ShardedTable,
    texts::Texts,
};
use crate::model::event::{EndpointKey, Event};

/// An immutable snapshot of all subscriptions. Cloning it takes no copy.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionIndex {
    topics: Arc<HashMap<Arc<str>, Arc<Topic>>>,
    texts: Texts,
    slots: ShardedTable<Slot>,
}

/// A topic of a snapshot, looked up once for a chunk of its events.
#[derive(Clone, Copy, Debug)]
pub struct TopicIndex<'a> {
    index: &'a SubscriptionIndex,
    topic: &'a Topic,
}

/// The endpoints an event matched.
pub type Matches = SmallVec<[EndpointKey; 8]>;

#[derive(Clone, Debug)]
struct Topic {
    id: u32,
    subscriptions: usize,
    /// The endpoints that get the whole topic, sorted.
    whole: Vec<EndpointKey>,
    /// Slots by tenant alone, and by tenant and department: where there are none, none is looked for.
    tenant_slots: usize,
    department_slots: usize,
}

impl SubscriptionIndex {
    /// `None` when nobody subscribes to anything of the topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<TopicIndex<'_>> {
        let topic = self.topics.get(name)?;
        Some(TopicIndex { index: self, topic })
    }

    /// True if the endpoint gets this event.
    #[must_use]
    pub fn gives(&self, event: &Event, endpoint: EndpointKey) -> bool {
        self.topic(event.topic()).is_some_and(|topic| topic.gives(event.tenant(), event.department(), endpoint))
    }
}

impl TopicIndex<'_> {
    /// Fills `out` with the endpoints that get an event of this tenant and department: each once, in ascending order.
    /// What `out` held before is gone.
    pub fn matches(&self, tenant: Option<&str>, department: Option<&str>, out: &mut Matches) {
        out.clear();
        let (by_tenant, by_department) = self.by_tenant(tenant, department);
        match (self.topic.whole.as_slice(), by_tenant, by_department) {
            (one, [], []) | ([], one, []) | ([], [], one) => out.extend_from_slice(one),
            (whole, tenant, department) => {
                merge(whole, tenant, out);
                if !department.is_empty() {
                    let both = std::mem::take(out);
                    merge(&both, department, out);
                }
            }
        }
    }

    /// True if this endpoint is among the matches.
    fn gives(&self, tenant: Option<&str>, department: Option<&str>, endpoint: EndpointKey) -> bool {
        let is_in = |endpoints: &[EndpointKey]| endpoints.binary_search(&endpoint).is_ok();
        if is_in(&self.topic.whole) {
            return true;
        }
        let (by_tenant, by_department) = self.by_tenant(tenant, department);
        is_in(by_tenant) || is_in(by_department)
    }

    /// The endpoints of (tenant) and of (tenant, department).
    fn by_tenant(&self, tenant: Option<&str>, department: Option<&str>) -> (&[EndpointKey], &[EndpointKey]) {
        let Some(tenant) = tenant.filter(|_| self.topic.tenant_slots + self.topic.department_slots > 0) else {
            return (&[], &[]);
        };
        let SubscriptionIndex { texts, slots, .. } = self.index;
        let tenant_hash = texts.hash(tenant);
        let Some(tenant) = texts.find(tenant_hash, tenant) else { return (&[], &[]) };
        let mut by_tenant = &[][..];
        if self.topic.tenant_slots > 0 {
            by_tenant = slots::find(slots, IndexKey::of_tenant(self.topic.id, tenant), tenant_hash, 0);
        }
        let mut by_department = &[][..];
        if let (Some(department), true) = (department, self.topic.department_slots > 0) {
            let department_hash = texts.hash(department);
            if let Some(department) = texts.find(department_hash, department) {
                let place = IndexKey { topic: self.topic.id, tenant, department };
                by_department = slots::find(slots, place, tenant_hash, department_hash);
            }
        }
        (by_tenant, by_department)
    }
}

/// Appends the union of two sorted lists.
fn merge(mut a: &[EndpointKey], mut b: &[EndpointKey], out: &mut Matches) {
    while let (Some((first_a, rest_a)), Some((first_b, rest_b))) = (a.split_first(), b.split_first()) {
        out.push(*first_a.min(first_b));
        if first_a <= first_b {
            a = rest_a;
        }
        if first_b <= first_a {
            b = rest_b;
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}
