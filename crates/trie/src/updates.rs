//! What a block makes of the stored state: the records and accounts to write.

use crate::{
    accounts::Accounts,
    pass::Log,
    path::Path,
    record,
    source::FlatAccount,
    tree::{Child, Kind, Slot},
};
use alloy_primitives::{B256, Bytes};
use alloy_trie::Nibbles;
use std::ops::Range;

/// What is to be written, in one commit with the flat state, for a source to stand for the new
/// root. In this order: storage tries to drop as a whole, then nodes and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    accounts: Vec<(B256, Option<FlatAccount>)>,
    wiped: Vec<B256>,
    nodes: Vec<(Option<B256>, Nibbles, Option<Range<usize>>)>,
    bytes: Bytes,
}

impl TrieUpdates {
    /// Accounts to store, with their storage roots, or to remove (`None`), in ascending order of
    /// their keys. They include those of which only the storage changed.
    pub fn accounts(&self) -> &[(B256, Option<FlatAccount>)] {
        &self.accounts
    }

    /// Accounts all of whose stored storage nodes are to be removed, in ascending order. New ones
    /// may be among [`Self::storage_nodes`].
    pub fn wiped_storages(&self) -> &[B256] {
        &self.wiped
    }

    /// Nodes of the account trie to store, or to remove (`None`), in ascending order of their
    /// paths. What is to be removed need not exist.
    pub fn account_nodes(&self) -> impl Iterator<Item = (&Nibbles, Option<Bytes>)> {
        let own = self.nodes.iter().take_while(|(storage_of, ..)| storage_of.is_none());
        own.map(|(_, path, range)| (path, self.node(range)))
    }

    /// Nodes of storage tries to store, or to remove (`None`), in ascending order of accounts and
    /// paths. What is to be removed need not exist.
    pub fn storage_nodes(&self) -> impl Iterator<Item = (B256, &Nibbles, Option<Bytes>)> {
        self.nodes.iter().filter_map(|(storage_of, path, range)| {
            storage_of.map(|account| (account, path, self.node(range)))
        })
    }

    /// Number of nodes to store or remove.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Total size of the nodes to store.
    pub fn node_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A part of what all nodes share.
    fn node(&self, range: &Option<Range<usize>>) -> Option<Bytes> {
        range.as_ref().map(|range| self.bytes.slice(range.clone()))
    }

    /// Collects what changed since the last time, and marks it as collected. All of it is in
    /// memory. `room` is about how many bytes of nodes there will be.
    pub(crate) fn collect(top: &mut Slot<Accounts>, mut log: Log, room: usize) -> Self {
        let mut updates = Self::default();
        // A little more, so that a root with a few more nodes does not move all of them.
        let mut bytes = Vec::with_capacity(room + room / 8);
        updates.store::<Accounts>((), top, Path::ROOT, &mut bytes);
        log.storages.sort_unstable();
        log.storages.dedup();
        for account in log.storages {
            if let Some(storage) = top.find(&account).and_then(crate::accounts::Account::storage) {
                updates.store(account, storage, Path::ROOT, &mut bytes);
            }
        }
        // The nodes keep all of it for as long as any of them is kept.
        if bytes.capacity() > bytes.len() + bytes.len() / 4 {
            bytes.shrink_to_fit();
        }
        updates.bytes = bytes.into();
        log.wiped.sort_unstable();
        log.wiped.dedup();
        updates.wiped = log.wiped;
        log.accounts.sort_by_key(|(key, _)| *key);
        log.accounts.reverse();
        log.accounts.dedup_by_key(|(key, _)| *key);
        log.accounts.reverse();
        updates.accounts = log.accounts;
        updates.remove(log.removed);
        updates
    }

    fn store<K: Kind>(
        &mut self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        bytes: &mut Vec<u8>,
    ) {
        let Child::Inner(inner) = &mut slot.child else { return };
        if !std::mem::take(&mut inner.unstored) {
            return;
        }
        let start = bytes.len();
        record::encode(inner, bytes);
        let range = start..bytes.len();
        self.nodes.push((K::storage_of(scope), at.nibbles(), Some(range)));
        for (nibble, child) in inner.slots.iter_mut().enumerate() {
            self.store(scope, child, at.child(nibble), bytes);
        }
    }

    /// Adds removals of what is not stored.
    fn remove(&mut self, mut removed: Vec<(Option<B256>, Path)>) {
        if removed.is_empty() {
            return;
        }
        removed.sort_unstable();
        removed.dedup();
        let stored = std::mem::take(&mut self.nodes);
        let key = |node: &(Option<B256>, Nibbles, Option<Range<usize>>)| (node.0, node.1);
        let removed = removed.into_iter().map(|(account, at)| (account, at.nibbles(), None));
        self.nodes = stored.into_iter().chain(removed).collect();
        // Stable: what is stored comes before the removal of the same node, which is then moot.
        self.nodes.sort_by_key(key);
        self.nodes.dedup_by_key(|node| key(node));
    }
}
