//! A source in memory.

use crate::{
    changes::{AccountChange, normalize},
    error::SourceError,
    source::{FlatAccount, TrieReader, TrieSource},
    updates::TrieUpdates,
};
use alloy_primitives::{B256, U256};
use alloy_trie::Nibbles;
use std::collections::BTreeMap;

/// Flat state and trie nodes in ordered maps: for tests, benchmarks and states that need no disk,
/// and the definition of what committing a block means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// Accounts by hashed address.
    pub accounts: BTreeMap<B256, FlatAccount>,
    /// Slots that are not zero, by hashed address and hashed slot. No account is without slots.
    pub storage: BTreeMap<B256, BTreeMap<B256, U256>>,
    /// Nodes of the account trie by path.
    pub account_nodes: BTreeMap<Nibbles, Vec<u8>>,
    /// Nodes of storage tries by hashed address and path.
    pub storage_nodes: BTreeMap<(B256, Nibbles), Vec<u8>>,
}

impl MemoryState {
    /// Takes in a block: its changes and what [`StateTrie::root`](crate::StateTrie::root) made of
    /// them.
    pub fn commit(&mut self, changes: &[AccountChange], updates: &TrieUpdates) {
        for change in normalize(changes.to_vec()) {
            let deleted = change.update == crate::AccountUpdate::Delete;
            if change.wipe_storage || deleted {
                self.storage.remove(&change.address);
            }
            let slots = self.storage.entry(change.address).or_default();
            for slot in change.slots {
                match slot.value.is_zero() {
                    true => slots.remove(&slot.slot),
                    false => slots.insert(slot.slot, slot.value),
                };
            }
            if slots.is_empty() {
                self.storage.remove(&change.address);
            }
        }
        for (address, account) in updates.accounts() {
            match account {
                Some(account) => self.accounts.insert(*address, *account),
                None => self.accounts.remove(address),
            };
        }
        for &account in updates.wiped_storages() {
            self.storage_nodes.retain(|(of, _), _| *of != account);
        }
        for (path, node) in updates.account_nodes() {
            match node {
                Some(node) => self.account_nodes.insert(*path, node.to_vec()),
                None => self.account_nodes.remove(path),
            };
        }
        for (account, path, node) in updates.storage_nodes() {
            match node {
                Some(node) => self.storage_nodes.insert((account, *path), node.to_vec()),
                None => self.storage_nodes.remove(&(account, *path)),
            };
        }
    }
}

impl TrieSource for MemoryState {
    type Reader<'a> = &'a Self;

    fn open(&self) -> Result<&Self, SourceError> {
        Ok(self)
    }
}

impl TrieReader for &MemoryState {
    fn account_node(&mut self, path: &Nibbles, out: &mut Vec<u8>) -> Result<bool, SourceError> {
        Ok(self.account_nodes.get(path).map(|node| out.extend_from_slice(node)).is_some())
    }

    fn storage_node(
        &mut self,
        account: B256,
        path: &Nibbles,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError> {
        let node = self.storage_nodes.get(&(account, *path));
        Ok(node.map(|node| out.extend_from_slice(node)).is_some())
    }

    fn accounts(
        &mut self,
        from: B256,
        visit: &mut dyn FnMut(B256, FlatAccount) -> bool,
    ) -> Result<(), SourceError> {
        self.accounts.range(from..).all(|(key, account)| visit(*key, *account));
        Ok(())
    }

    fn storage(
        &mut self,
        account: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError> {
        if let Some(slots) = self.storage.get(&account) {
            slots.range(from..).all(|(key, value)| visit(*key, *value));
        }
        Ok(())
    }

    fn account_with_storage(&mut self, from: B256) -> Result<Option<B256>, SourceError> {
        Ok(self.storage.range(from..).next().map(|(account, _)| *account))
    }
}
