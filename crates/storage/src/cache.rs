//! Values read or written lately, across blocks.
//!
//! A cache belongs to one head at a time. Every head has an epoch; a shard answers and learns
//! only for the epoch it stands at, and a commit moves all shards to the next one together with
//! the values that the block changed. A snapshot of an earlier head is thus never answered from
//! the cache, and nothing that it reads gets in.

use crate::HashedDiff;
use alloy_primitives::{Address, B256, Bytes, U256, map::DefaultHashBuilder};
use core::hash::{BuildHasher, Hash};
use parking_lot::Mutex;
use quick_cache::{Weighter, sync, unsync};
use warpline_types::{AccountState, SlotKey};

/// Names one head among all that a process has seen. Never used twice.
pub(crate) type Epoch = u64;

/// The epoch of no head: a shard that stands at it neither answers nor learns.
const BETWEEN: Epoch = 0;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSizes {
    /// Accounts, about 150 bytes each; 0 for none.
    pub accounts: usize,
    /// Slots, about 130 bytes each; 0 for none.
    pub slots: usize,
    /// Bytes of code; 0 for none.
    pub code_bytes: u64,
}

impl Default for CacheSizes {
    /// About 300 MB when full.
    fn default() -> Self {
        Self { accounts: 1 << 19, slots: 1 << 20, code_bytes: 64 << 20 }
    }
}

/// Accounts and slots after one head, and codes, which depend on no head.
pub(crate) struct Cache {
    accounts: Sharded<Address, Option<AccountState>>,
    slots: Sharded<SlotKey, U256>,
    codes: sync::Cache<B256, Bytes, ByLength>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<B256, Bytes> for ByLength {
    fn weight(&self, _: &B256, code: &Bytes) -> u64 {
        code.len() as u64 + 64
    }
}

impl Cache {
    pub(crate) fn new(sizes: &CacheSizes, epoch: Epoch) -> Self {
        let codes = (sizes.code_bytes / 8192) as usize;
        Self {
            accounts: Sharded::new(sizes.accounts, epoch),
            slots: Sharded::new(sizes.slots, epoch),
            codes: sync::Cache::with_weighter(codes, sizes.code_bytes, ByLength),
        }
    }

    pub(crate) fn account(&self, epoch: Epoch, address: &Address) -> Option<Option<AccountState>> {
        self.accounts.get(epoch, address)
    }

    pub(crate) fn slot(&self, epoch: Epoch, address: Address, slot: U256) -> Option<U256> {
        self.slots.get(epoch, &SlotKey::new(address, slot))
    }

    pub(crate) fn code(&self, hash: &B256) -> Option<Bytes> {
        self.codes.get(hash)
    }

    pub(crate) fn learn_account(
        &self,
        epoch: Epoch,
        address: Address,
        value: Option<AccountState>,
    ) {
        self.accounts.learn(epoch, address, value);
    }

    pub(crate) fn learn_slot(&self, epoch: Epoch, address: Address, slot: U256, value: U256) {
        self.slots.learn(epoch, SlotKey::new(address, slot), value);
    }

    pub(crate) fn learn_code(&self, hash: B256, code: Bytes) {
        self.codes.insert(hash, code);
    }

    /// On to the head that a block leads to. The caller hands out no snapshot of it before this
    /// is done.
    pub(crate) fn advance(&self, to: Epoch, diff: &HashedDiff) {
        self.accounts.set_epoch(BETWEEN);
        self.slots.set_epoch(BETWEEN);
        if diff.accounts().iter().any(|account| account.storage_cleared) {
            // Which slots an account has here is not known. No account that existed before its
            // block loses its storage since Cancun (EIP-6780).
            self.slots.clear();
        }
        // Only what is known already: what a block changes it has read before, as a rule, and
        // making room for the rest costs more here than a read of it later.
        for account in diff.accounts() {
            self.accounts.replace(account.address, account.after);
            for slot in &account.storage {
                self.slots.replace(SlotKey::new(account.address, slot.slot), slot.after);
            }
        }
        for (hash, code) in diff.codes() {
            self.codes.insert(*hash, code.clone());
        }
        self.accounts.set_epoch(to);
        self.slots.set_epoch(to);
    }

    /// On to a head of which nothing is known.
    pub(crate) fn forget(&self, to: Epoch) {
        self.accounts.set_epoch(BETWEEN);
        self.slots.set_epoch(BETWEEN);
        self.accounts.clear();
        self.slots.clear();
        self.accounts.set_epoch(to);
        self.slots.set_epoch(to);
    }
}

const SHARDS: usize = 64;

struct Sharded<K, V> {
    hasher: DefaultHashBuilder,
    /// No shards where nothing is to be remembered.
    shards: Vec<Mutex<Shard<K, V>>>,
}

struct Shard<K, V> {
    epoch: Epoch,
    entries: unsync::Cache<K, V>,
}

impl<K: Eq + Hash, V: Copy> Sharded<K, V> {
    fn new(entries: usize, epoch: Epoch) -> Self {
        let shards = if entries == 0 { 0 } else { SHARDS };
        let shard = || Shard { epoch, entries: unsync::Cache::new(entries.div_ceil(SHARDS)) };
        let shards = (0..shards).map(|_| Mutex::new(shard())).collect();
        Self { hasher: DefaultHashBuilder::default(), shards }
    }

    fn shard(&self, key: &K) -> Option<&Mutex<Shard<K, V>>> {
        // The top bits: the map inside the shard uses the others.
        let index = (self.hasher.hash_one(key) >> 58) as usize;
        self.shards.get(index)
    }

    fn get(&self, epoch: Epoch, key: &K) -> Option<V> {
        let shard = self.shard(key)?.lock();
        if shard.epoch == epoch { shard.entries.get(key).copied() } else { None }
    }

    fn learn(&self, epoch: Epoch, key: K, value: V) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.lock();
        if shard.epoch == epoch {
            shard.entries.insert(key, value);
        }
    }

    fn replace(&self, key: K, value: V) {
        let Some(shard) = self.shard(&key) else { return };
        // Fails where the key is not there.
        let _unknown = shard.lock().entries.replace(key, value, true);
    }

    fn set_epoch(&self, epoch: Epoch) {
        self.shards.iter().for_each(|shard| shard.lock().epoch = epoch);
    }

    fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.lock().entries.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: CacheSizes = CacheSizes { accounts: 100, slots: 100, code_bytes: 1000 };

    fn changed(address: Address, slot: u64, value: u64, cleared: bool) -> HashedDiff {
        let slot = warpline_types::SlotDiff {
            slot: U256::from(slot),
            before: U256::ZERO,
            after: U256::from(value),
        };
        let account = warpline_types::AccountDiff {
            address,
            before: None,
            after: Some(AccountState::default()),
            storage_cleared: cleared,
            storage: vec![slot],
        };
        HashedDiff::new(&warpline_types::StateDiff { accounts: vec![account], codes: vec![] })
    }

    #[test]
    fn only_snapshots_of_the_head_read_and_teach() {
        let cache = Cache::new(&SIZES, 1);
        let (a, slot) = (Address::repeat_byte(1), U256::from(7));
        cache.learn_slot(1, a, slot, U256::from(10));
        assert_eq!(cache.slot(1, a, slot), Some(U256::from(10)));
        cache.advance(2, &changed(a, 7, 20, false));
        assert_eq!(cache.slot(1, a, slot), None);
        assert_eq!(cache.slot(2, a, slot), Some(U256::from(20)));
        cache.learn_slot(1, a, slot, U256::from(10));
        assert_eq!(cache.slot(2, a, slot), Some(U256::from(20)));
        assert_eq!(cache.account(2, &a), None);
    }

    #[test]
    fn cleared_storage_is_forgotten() {
        let cache = Cache::new(&SIZES, 1);
        let (a, old) = (Address::repeat_byte(1), U256::from(1));
        cache.learn_slot(1, a, old, U256::from(10));
        cache.advance(2, &changed(a, 7, 20, true));
        assert_eq!(cache.slot(2, a, old), None);
        assert_eq!(cache.slot(2, a, U256::from(7)), None);
    }

    #[test]
    fn nothing_is_remembered_where_no_room_is_given() {
        let none = CacheSizes { accounts: 0, slots: 0, code_bytes: 0 };
        let cache = Cache::new(&none, 1);
        cache.learn_account(1, Address::ZERO, None);
        cache.learn_code(B256::ZERO, Bytes::from_static(b"code"));
        assert_eq!(cache.account(1, &Address::ZERO), None);
        assert_eq!(cache.code(&B256::ZERO), None);
    }
}
