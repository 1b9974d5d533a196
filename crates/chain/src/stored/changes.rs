//! Changes of the state without a transaction, as development chains allow them.
//!
//! They lie on top of the head until the next block, which makes them its own: its root includes
//! them, and its change set leads back to before them. Nothing of them is durable until then, and
//! another node that imports the block finds a root that it cannot explain. Whoever executes the
//! block again, to trace it, needs them; so they are remembered for a while, in memory.

use super::{chain::StoredChain, layer::Layer};
use crate::ImportError;
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, U256Map},
};
use std::{collections::VecDeque, sync::Arc};
use warpline_storage::StateReader;
use warpline_types::{AccountDiff, AccountState, SlotDiff, StateDiff};

/// What is to become of an account. What is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// Slots and their values.
    pub slots: Vec<(U256, U256)>,
}

/// What lies on top of the head, to be put back later.
#[derive(Debug, Clone, Default)]
pub struct Changes(Option<Arc<StateDiff>>);

impl StoredChain {
    /// Changes accounts on top of the head.
    ///
    /// # Errors
    /// The database cannot be read; nothing has changed then.
    pub fn edit(
        &mut self,
        edits: impl IntoIterator<Item = (Address, AccountEdit)>,
    ) -> Result<(), ImportError> {
        let snapshot = self.storage.snapshot(1)?;
        let reader = snapshot.reader()?;
        let mut diff = self.changes().map(|layer| (*layer.diff).clone()).unwrap_or_default();
        let listed = diff.accounts.iter().map(|account| account.address).zip(0..);
        let mut index: AddressMap<usize> = listed.collect();
        for (address, edit) in edits {
            apply(&reader, &mut diff, &mut index, address, edit)?;
        }
        drop(reader);
        self.put_changes(Some(Arc::new(diff)));
        Ok(())
    }

    /// What lies on top of the head.
    pub fn saved_changes(&self) -> Changes {
        Changes(self.changes().map(|layer| Arc::clone(&layer.diff)))
    }

    /// Puts back what lay on top of the same head.
    pub fn restore_changes(&mut self, changes: Changes) {
        self.put_changes(changes.0);
    }

    fn put_changes(&mut self, diff: Option<Arc<StateDiff>>) {
        let layer = diff.map(|diff| Arc::new(Layer::new(self.head.block(), diff)));
        self.published.write().changes = layer;
    }

    pub(super) fn changes(&self) -> Option<Arc<Layer>> {
        let changes = self.published.read().changes.clone();
        changes.filter(|layer| layer.block == self.head.block())
    }

    /// The changes have become part of a block.
    pub(super) fn changes_made(&mut self, block: B256) {
        let mut published = self.published.write();
        if let Some(layer) = published.changes.take() {
            published.begun.remember(block, layer);
        }
    }
}

/// How many blocks' changes are remembered, and how many accounts and slots of them, but always
/// the latest.
const MOST_BLOCKS: usize = 1024;
const MOST_ENTRIES: usize = 1 << 20;

/// What blocks began with, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Begun {
    blocks: VecDeque<(B256, Arc<Layer>)>,
    entries: usize,
}

impl Begun {
    fn remember(&mut self, block: B256, layer: Arc<Layer>) {
        self.entries += entries(&layer);
        self.blocks.push_back((block, layer));
        while self.blocks.len() > 1
            && (self.blocks.len() > MOST_BLOCKS || self.entries > MOST_ENTRIES)
            && let Some((_, layer)) = self.blocks.pop_front()
        {
            self.entries -= entries(&layer);
        }
    }

    /// What a block began with.
    pub(super) fn find(&self, block: &B256) -> Option<Arc<Layer>> {
        let mut newest_first = self.blocks.iter().rev();
        newest_first.find(|(hash, _)| hash == block).map(|(_, layer)| Arc::clone(layer))
    }
}

fn entries(layer: &Layer) -> usize {
    layer.diff.accounts.iter().map(|account| 1 + account.storage.len()).sum()
}

fn apply(
    reader: &StateReader<'_>,
    diff: &mut StateDiff,
    index: &mut AddressMap<usize>,
    address: Address,
    edit: AccountEdit,
) -> Result<(), ImportError> {
    let at = match index.get(&address) {
        Some(at) => *at,
        None => {
            index.insert(address, diff.accounts.len());
            let before = reader.account(&address)?;
            diff.accounts.push(AccountDiff {
                address,
                before,
                after: before,
                storage_cleared: false,
                storage: Vec::new(),
            });
            diff.accounts.len() - 1
        }
    };
    let account = &mut diff.accounts[at];
    let none = AccountState { code_hash: KECCAK256_EMPTY, ..AccountState::default() };
    let after = account.after.get_or_insert(none);
    after.balance = edit.balance.unwrap_or(after.balance);
    after.nonce = edit.nonce.unwrap_or(after.nonce);
    if let Some(code) = edit.code {
        after.code_hash = keccak256(&code);
        if !code.is_empty() {
            diff.codes.push((after.code_hash, code));
        }
    }
    let listed = account.storage.iter().map(|known| known.slot).zip(0..);
    let mut listed: U256Map<usize> = listed.collect();
    for (slot, value) in edit.slots {
        match listed.get(&slot) {
            Some(at) => account.storage[*at].after = value,
            None => {
                let before = reader.storage(&address, slot)?;
                listed.insert(slot, account.storage.len());
                account.storage.push(SlotDiff { slot, before, after: value });
            }
        }
    }
    if is_nothing(account) {
        account.after = None;
    }
    Ok(())
}

/// An empty account without storage does not exist (EIP-161).
fn is_nothing(account: &AccountDiff) -> bool {
    let empty = account.after.is_some_and(|after| {
        after.balance.is_zero() && after.nonce == 0 && after.code_hash == KECCAK256_EMPTY
    });
    empty && account.before.is_none() && account.storage.iter().all(|slot| slot.after.is_zero())
}

/// What two diffs in a row amount to.
pub(super) fn combined(first: &StateDiff, mut second: StateDiff) -> StateDiff {
    let mut at: AddressMap<usize> =
        second.accounts.iter().zip(0..).map(|(account, at)| (account.address, at)).collect();
    for before in &first.accounts {
        match at.remove(&before.address) {
            Some(at) => join(before, &mut second.accounts[at]),
            None => second.accounts.push(before.clone()),
        }
    }
    second.accounts.retain_mut(|account| {
        account.storage.retain(|slot| slot.before != slot.after || account.storage_cleared);
        account.before != account.after || account.storage_cleared || !account.storage.is_empty()
    });
    second.codes.extend(first.codes.iter().cloned());
    second.codes.sort_unstable_by_key(|(hash, _): &(B256, Bytes)| *hash);
    second.codes.dedup_by_key(|(hash, _)| *hash);
    second
}

fn join(first: &AccountDiff, second: &mut AccountDiff) {
    second.before = first.before;
    if second.storage_cleared {
        return;
    }
    second.storage_cleared = first.storage_cleared;
    for slot in &first.storage {
        match second.storage.iter_mut().find(|later| later.slot == slot.slot) {
            Some(later) => later.before = slot.before,
            None => second.storage.push(*slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warpline_storage::BlockRef;

    #[test]
    fn the_latest_changes_are_remembered_and_no_more_than_a_number_of_them() {
        let layer = |slots: usize| {
            let slot = SlotDiff { slot: U256::ZERO, before: U256::ZERO, after: U256::ONE };
            let account = AccountDiff {
                address: Address::ZERO,
                before: None,
                after: None,
                storage_cleared: false,
                storage: vec![slot; slots],
            };
            let diff = StateDiff { accounts: vec![account], codes: Vec::new() };
            let block = BlockRef { number: 0, hash: B256::ZERO };
            Arc::new(Layer::new(block, Arc::new(diff)))
        };
        let hash = |number: usize| B256::from(U256::from(number));
        let mut begun = Begun::default();
        for number in 0..=MOST_BLOCKS {
            begun.remember(hash(number), layer(1));
        }
        assert!(begun.find(&hash(0)).is_none() && begun.find(&hash(1)).is_some());
        assert_eq!(begun.entries, 2 * MOST_BLOCKS);
        begun.remember(hash(5000), layer(MOST_ENTRIES));
        assert_eq!((begun.blocks.len(), begun.entries), (1, MOST_ENTRIES + 1));
        begun.remember(hash(5001), layer(0));
        assert!(begun.find(&hash(5000)).is_none() && begun.find(&hash(5001)).is_some());
        assert_eq!((begun.blocks.len(), begun.entries), (1, 1));
    }
}
