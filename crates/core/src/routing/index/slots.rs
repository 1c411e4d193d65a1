//! ○ Subscribers of one (topic, tenant) or (topic, tenant, department).

use std::sync::Arc;

use super::{table::ShardedTable, texts::TextId};
use crate::model::event::EndpointKey;

/// The subject of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct IndexKey {
    pub(super) topic: u32,
    pub(super) tenant: TextId,
    /// [`TextId::ANY`] for subscriptions to the tenant as a whole.
    pub(super) department: TextId,
}

impl IndexKey {
    pub(super) fn of_tenant(topic: u32, tenant: TextId) -> Self {
        IndexKey { topic, tenant, department: TextId::ANY }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Kept for when the table grows.
    hash: u32,
    place: IndexKey,
    endpoints: Endpoints,
}

const _: () = assert!(size_of::<Slot>() == 32, "the memory of an entry is promised");

/// Sorted; never empty within a table.
#[derive(Clone, Debug)]
enum Endpoints {
    /// Up to three stand in the table itself.
    Few {
        len: u8,
        keys: [EndpointKey; FEW_MAX],
    },
    Many(Arc<Vec<EndpointKey>>),
}

const FEW_MAX: usize = 3;

/// The endpoints of a place; the hashes are those of its tenant's and its department's name (0 for any).
pub(super) fn find(
    slots: &ShardedTable<Slot>,
    place: IndexKey,
    tenant_hash: u64,
    department_hash: u64,
) -> &[EndpointKey] {
    // The hash is made of the names' hashes, not of their ids: so the processor can fetch this slot while it still
    // fetches the names to compare them.
    let hash = spread(slot_hash(place.topic, tenant_hash, department_hash));
    slots.shard(hash).find(hash, |slot| slot.place == place).map_or(&[], |slot| slot.endpoints.as_slice())
}

/// Result of an insertion or a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// The slot is new, or was its last endpoint's.
    Slot,
    /// One endpoint more or less in a slot that stays.
    Endpoint,
    /// It was there before, or was not there.
    Nothing,
}

pub(super) fn insert(
    slots: &mut ShardedTable<Slot>,
    place: IndexKey,
    (tenant_hash, department_hash): (u64, u64),
    endpoint: EndpointKey,
) -> Changed {
    let short = slot_hash(place.topic, tenant_hash, department_hash);
    let hash = spread(short);
    let shard = slots.shard_mut(hash);
    if let Some(slot) = shard.find_mut(hash, |slot| slot.place == place) {
        return if slot.endpoints.insert(endpoint) { Changed::Endpoint } else { Changed::Nothing };
    }
    let slot = Slot { hash: short, place, endpoints: Endpoints::of_one(endpoint) };
    shard.insert_unique(hash, slot, |slot| spread(slot.hash));
    Changed::Slot
}

pub(super) fn remove(
    slots: &mut ShardedTable<Slot>,
    place: IndexKey,
    (tenant_hash, department_hash): (u64, u64),
    endpoint: EndpointKey,
) -> Changed {
    let hash = spread(slot_hash(place.topic, tenant_hash, department_hash));
    let Ok(mut entry) = slots.shard_mut(hash).find_entry(hash, |slot| slot.place == place) else {
        return Changed::Nothing;
    };
    let endpoints = &mut entry.get_mut().endpoints;
    if !endpoints.remove(endpoint) {
        return Changed::Nothing;
    }
    if endpoints.as_slice().is_empty() {
        entry.remove();
        return Changed::Slot;
    }
    Changed::Endpoint
}

impl Endpoints {
    fn of_one(endpoint: EndpointKey) -> Self {
        Endpoints::Few { len: 1, keys: [endpoint; FEW_MAX] }
    }

    fn as_slice(&self) -> &[EndpointKey] {
        match self {
            Endpoints::Few { len, keys } => &keys[..usize::from(*len)],
            Endpoints::Many(keys) => keys,
        }
    }

    fn insert(&mut self, endpoint: EndpointKey) -> bool {
        let Err(at) = self.as_slice().binary_search(&endpoint) else { return false };
        match self {
            Endpoints::Few { len, keys } if usize::from(*len) < FEW_MAX => {
                keys.copy_within(at..usize::from(*len), at + 1);
                keys[at] = endpoint;
                *len += 1;
            }
            Endpoints::Few { keys, .. } => {
                let mut many = keys.to_vec();
                many.insert(at, endpoint);
                *self = Endpoints::Many(Arc::new(many));
            }
            Endpoints::Many(keys) => Arc::make_mut(keys).insert(at, endpoint),
        }
        true
    }

    fn remove(&mut self, endpoint: EndpointKey) -> bool {
        let Ok(at) = self.as_slice().binary_search(&endpoint) else { return false };
        match self {
            Endpoints::Few { len, keys } => {
                keys.copy_within(at + 1..usize::from(*len), at);
                *len -= 1;
            }
            Endpoints::Many(keys) => {
                let keys = Arc::make_mut(keys);
                keys.remove(at);
                if let [a, b, c] = keys[..] {
                    *self = Endpoints::Few { len: 3, keys: [a, b, c] };
                }
            }
        }
        true
    }
}

fn slot_hash(topic: u32, tenant_hash: u64, department_hash: u64) -> u32 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let tenant = tenant_hash ^ u64::from(topic).wrapping_mul(ODD);
    let department = department_hash.rotate_left(32) ^ ODD;
    let product = u128::from(tenant) * u128::from(department);
    ((product >> 64) as u64 ^ product as u64) as u32
}

/// A table wants its bits everywhere; 32 of them are enough to tell some hundred entries of a shard apart.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}
