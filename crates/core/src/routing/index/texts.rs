//! ○ Names of tenants and departments, each stored once and known by a number.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::table::ShardedTable;

/// A tenant's or department's name. Given back when nothing uses the name any more, and then used again; snapshots
/// are immutable, so each of them knows only one meaning of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TextId(pub(super) u32);

impl TextId {
    /// No name: any department, or the whole topic.
    pub(super) const ANY: TextId = TextId(0);
}

/// The names of one snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    hasher: DefaultHashBuilder,
    table: ShardedTable<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Up to 16 bytes stand in the table itself.
    text: SmallVec<[u8; 16]>,
    id: TextId,
}

impl Texts {
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text.as_bytes())
    }

    /// `hash` is the [`hash`](Texts::hash) of `text`, computed once for all look-ups.
    pub(super) fn find(&self, hash: u64, text: &str) -> Option<TextId> {
        self.table.shard(hash).find(hash, |entry| *entry.text == *text.as_bytes()).map(|entry| entry.id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn insert(&mut self, hash: u64, text: &str, id: TextId) {
        let hasher = &self.hasher;
        let entry = Entry { text: SmallVec::from_slice(text.as_bytes()), id };
        self.table.shard_mut(hash).insert_unique(hash, entry, |entry| hasher.hash_one(&*entry.text));
    }

    pub(super) fn remove(&mut self, hash: u64, id: TextId) {
        if let Ok(entry) = self.table.shard_mut(hash).find_entry(hash, |entry| entry.id == id) {
            entry.remove();
        }
    }
}
