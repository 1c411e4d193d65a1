//! ○ A hash table cut into shards that snapshots share.

use std::{fmt, sync::Arc};

use hashbrown::HashTable;

/// With 1 M entries a shard holds about 780, and its table of 1,024 buckets is three quarters full: the change of one
/// entry copies some 30 KB.
const SHARDS: usize = 1280;

/// Copy on write by shard: a clone shares everything, and a change copies the shard it touches, once.
pub(super) struct ShardedTable<T> {
    shards: Arc<Vec<Arc<HashTable<T>>>>,
}

impl<T> ShardedTable<T> {
    /// The shard that an entry of this hash belongs to.
    pub(super) fn shard(&self, hash: u64) -> &HashTable<T> {
        &self.shards[shard_of(hash)]
    }

    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }
}

impl<T: Clone> ShardedTable<T> {
    /// The same, for a change: copied first if a snapshot holds it too.
    pub(super) fn shard_mut(&mut self, hash: u64) -> &mut HashTable<T> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)])
    }
}

/// Neither the lowest bits (which choose the bucket within a shard) nor the topmost seven (which tell the entries of a
/// group of buckets apart), or all entries of a shard would look alike.
fn shard_of(hash: u64) -> usize {
    let middle = u64::from((hash >> 20) as u32);
    ((middle * SHARDS as u64) >> 32) as usize
}

impl<T> Default for ShardedTable<T> {
    fn default() -> Self {
        // One empty shard, shared: each is made its own by its first change.
        let empty = Arc::new(HashTable::new());
        ShardedTable { shards: Arc::new(vec![empty; SHARDS]) }
    }
}

impl<T> Clone for ShardedTable<T> {
    fn clone(&self) -> Self {
        ShardedTable { shards: Arc::clone(&self.shards) }
    }
}

impl<T> fmt::Debug for ShardedTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedTable").field("entries", &self.len()).finish_non_exhaustive()
    }
}
