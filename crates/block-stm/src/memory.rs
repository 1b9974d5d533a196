//! Multi-version memory: for each key, who wrote what.

use crate::sync::{AtomicU64, Mutex, Ordering};
use core::{
    fmt,
    hash::{BuildHasher, Hash},
};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::{SmallVec, smallvec};

/// Number of independently locked parts.
const SHARDS: usize = if cfg!(loom) { 1 } else { 64 };
/// Words of the filter that tells keys nobody wrote without taking a lock.
const FILTER_WORDS: usize = if cfg!(loom) { 1 } else { 2048 };

/// A map from keys to the values that the transactions of one block wrote, each under the
/// writer's version.
///
/// Versions are positions in the block (0 = before the first transaction). A reader at version
/// `v` sees the newest write below `v`. Keys are compared in full; a hash collision costs time,
/// never a wrong value. The hasher is seeded, so nobody outside can craft collisions.
pub struct VersionedMap<K, V> {
    hasher: RandomState,
    filter: Box<[AtomicU64]>,
    shards: Box<[Shard<K, V>]>,
}

type Shard<K, V> = Mutex<HashTable<Versions<K, V>>>;

struct Versions<K, V> {
    key: K,
    /// Ascending versions, almost always a single one.
    writes: SmallVec<[Write<V>; 1]>,
}

struct Write<V> {
    version: u32,
    group: u32,
    value: V,
}

/// What a reader found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<V> {
    /// The value.
    pub value: V,
    /// Who wrote it.
    pub version: u32,
    /// The writer's group: transactions of one group tend to write the same keys.
    pub group: u32,
}

impl<K, V> fmt::Debug for VersionedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionedMap").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, V: Clone> Default for VersionedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: Clone> VersionedMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self {
            hasher: RandomState::default(),
            filter: (0..FILTER_WORDS).map(|_| AtomicU64::new(0)).collect(),
            shards: (0..SHARDS).map(|_| Mutex::new(HashTable::new())).collect(),
        }
    }

    /// Forgets everything but keeps the memory, for the next block.
    pub fn clear(&mut self) {
        for word in &self.filter {
            word.store(0, Ordering::Relaxed);
        }
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    /// The newest write below `reader`, or `None` where there is none.
    #[inline]
    pub fn read(&self, key: &K, reader: u32) -> Option<Found<V>> {
        let hash = self.hasher.hash_one(key);
        let (word, bit) = filter_bit(hash);
        // A writer sets the bit before its write takes effect, so a clear bit means no write
        // this reader has any right to have seen.
        if self.filter[word].load(Ordering::Acquire) & bit == 0 {
            return None;
        }
        let shard = self.shards[shard_of(hash)].lock();
        let versions = shard.find(hash, |versions| versions.key == *key)?;
        let write = versions.writes.iter().rev().find(|write| write.version < reader)?;
        Some(Found { value: write.value.clone(), version: write.version, group: write.group })
    }

    /// Records a speculative write.
    pub fn write(&self, key: K, version: u32, group: u32, value: V) {
        self.insert(key, Write { version, group, value }, false);
    }

    /// Records a committed write. All older versions of the key go: nobody reads below a commit.
    pub fn commit(&self, key: K, version: u32, group: u32, value: V) {
        self.insert(key, Write { version, group, value }, true);
    }

    /// Takes back the write of `version`, which turned out wrong.
    pub fn retract(&self, key: &K, version: u32) {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shards[shard_of(hash)].lock();
        if let Some(versions) = shard.find_mut(hash, |versions| versions.key == *key) {
            let at = versions.writes.partition_point(|write| write.version < version);
            if versions.writes.get(at).is_some_and(|write| write.version == version) {
                versions.writes.remove(at);
            }
        }
    }

    fn insert(&self, key: K, write: Write<V>, committed: bool) {
        let hash = self.hasher.hash_one(&key);
        let (word, bit) = filter_bit(hash);
        if self.filter[word].load(Ordering::Relaxed) & bit == 0 {
            self.filter[word].fetch_or(bit, Ordering::AcqRel);
        }
        let mut shard = self.shards[shard_of(hash)].lock();
        let Some(versions) = shard.find_mut(hash, |versions| versions.key == key) else {
            let versions = Versions { key, writes: smallvec![write] };
            let hasher = &self.hasher;
            shard.insert_unique(hash, versions, |versions| hasher.hash_one(&versions.key));
            return;
        };
        let writes = &mut versions.writes;
        if committed {
            let newer = writes.partition_point(|old| old.version <= write.version);
            if newer == 1 {
                writes[0] = write;
            } else {
                writes.drain(..newer);
                writes.insert(0, write);
            }
            return;
        }
        let at = writes.partition_point(|old| old.version < write.version);
        match writes.get_mut(at) {
            Some(same) if same.version == write.version => *same = write,
            _ => writes.insert(at, write),
        }
    }
}

#[inline]
const fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[inline]
const fn filter_bit(hash: u64) -> (usize, u64) {
    ((hash >> 6) as usize % FILTER_WORDS, 1 << (hash % 64))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Write(u8, u32, u64),
        Commit(u8, u32, u64),
        Retract(u8, u32),
        Read(u8, u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        let (key, version) = (0..4_u8, 0..12_u32);
        prop_oneof![
            (key.clone(), version.clone(), any::<u64>()).prop_map(|(k, v, x)| Op::Write(k, v, x)),
            (key.clone(), version.clone(), any::<u64>()).prop_map(|(k, v, x)| Op::Commit(k, v, x)),
            (key.clone(), version.clone()).prop_map(|(k, v)| Op::Retract(k, v)),
            (key, version).prop_map(|(k, v)| Op::Read(k, v)),
        ]
    }

    proptest! {
        #[test]
        fn a_reader_sees_the_newest_write_below_it(ops in prop::collection::vec(op(), 0..200)) {
            let map = VersionedMap::<u8, u64>::new();
            let mut model: BTreeMap<(u8, u32), u64> = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Write(key, version, value) => {
                        map.write(key, version, 0, value);
                        model.insert((key, version), value);
                    }
                    Op::Commit(key, version, value) => {
                        map.commit(key, version, 0, value);
                        model.retain(|(k, v), _| *k != key || *v > version);
                        model.insert((key, version), value);
                    }
                    Op::Retract(key, version) => {
                        map.retract(&key, version);
                        model.remove(&(key, version));
                    }
                    Op::Read(key, reader) => {
                        let expected = model.range((key, 0)..(key, reader)).next_back();
                        let expected = expected.map(|((_, version), value)| (*version, *value));
                        let found = map.read(&key, reader).map(|f| (f.version, f.value));
                        prop_assert_eq!(found, expected);
                    }
                }
            }
        }
    }

    /// A key whose hash is always the same: identity must come from the key itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Colliding(u8);

    impl Hash for Colliding {
        fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
            state.write_u64(42);
        }
    }

    #[test]
    fn keys_with_equal_hashes_stay_apart() {
        let map = VersionedMap::new();
        map.write(Colliding(1), 1, 0, "one");
        map.write(Colliding(2), 1, 0, "two");
        assert_eq!(map.read(&Colliding(1), 2).map(|f| f.value), Some("one"));
        assert_eq!(map.read(&Colliding(2), 2).map(|f| f.value), Some("two"));
        assert_eq!(map.read(&Colliding(3), 2), None);
    }

    #[test]
    fn a_cleared_map_is_empty() {
        let mut map = VersionedMap::new();
        map.write(1, 1, 0, 1);
        map.clear();
        assert_eq!(map.read(&1, 9), None);
    }
}
