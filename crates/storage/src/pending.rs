//! Blocks that are accepted but not written yet, ready to be read from.

use crate::{BlockCommit, BlockRef, HashedAccountDiff, NodeUpdates, StoredAccount};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip7928::AccountChanges;
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map, HashMap},
};
use core::mem::size_of_val;
use std::{collections::BTreeMap, sync::OnceLock};
use warpline_types::AccountState;

/// One such block.
pub(crate) struct PendingBlock {
    pub(crate) commit: BlockCommit,
    pub(crate) block: BlockRef,
    /// Position in the diff.
    accounts: AddressMap<u32>,
    slots: HashMap<(Address, U256), U256>,
    /// Index in the block, by hash. Made when first asked for.
    transactions: OnceLock<B256Map<u32>>,
    /// Memory it takes, about.
    pub(crate) bytes: usize,
}

impl PendingBlock {
    pub(crate) fn new(commit: BlockCommit) -> Self {
        let diff = commit.diff.accounts();
        let accounts = diff.iter().enumerate().map(|(at, account)| (account.address, at as u32));
        let slots = diff.iter().flat_map(|account| {
            account.storage.iter().map(|slot| ((account.address, slot.slot), slot.after))
        });
        let (accounts, slots) = (accounts.collect(), slots.collect());
        let bytes = memory(&commit);
        let block = commit.block();
        Self { commit, block, accounts, slots, transactions: OnceLock::new(), bytes }
    }

    /// The account after this block, where the block changed it.
    pub(crate) fn account(&self, address: &Address) -> Option<Option<AccountState>> {
        self.diff(address).map(|diff| diff.after)
    }

    /// The slot after this block, where the block changed it.
    pub(crate) fn slot(&self, address: &Address, slot: U256) -> Option<U256> {
        let written = || self.slots.get(&(*address, slot)).copied();
        let diff = self.diff(address)?;
        if diff.storage_cleared { written().or(Some(U256::ZERO)) } else { written() }
    }

    fn diff(&self, address: &Address) -> Option<&HashedAccountDiff> {
        let at = self.accounts.get(address)?;
        self.commit.diff.accounts().get(*at as usize)
    }

    /// The same by hash.
    pub(crate) fn account_by_hash(&self, account: &B256) -> Option<Option<AccountState>> {
        self.diff_by_hash(account).map(|diff| diff.after)
    }

    /// The root of an account's storage after this block, where the block says it.
    pub(crate) fn storage_root(&self, account: &B256) -> Option<B256> {
        let roots = &self.commit.trie.storage_roots;
        let listed = roots.binary_search_by_key(account, |(account, _)| *account).ok();
        let listed = listed.and_then(|at| roots.get(at)).map(|(_, root)| *root);
        let cleared = || self.diff_by_hash(account).is_some_and(|diff| diff.storage_cleared);
        listed.or_else(|| cleared().then_some(EMPTY_ROOT_HASH))
    }

    /// The same by hash.
    pub(crate) fn slot_by_hash(&self, account: &B256, slot: &B256) -> Option<U256> {
        let diff = self.diff_by_hash(account)?;
        let at = diff.storage.binary_search_by_key(slot, |slot| slot.hash);
        let written = at.ok().and_then(|at| diff.storage.get(at)).map(|slot| slot.after);
        if diff.storage_cleared { written.or(Some(U256::ZERO)) } else { written }
    }

    fn diff_by_hash(&self, account: &B256) -> Option<&HashedAccountDiff> {
        let diff = self.commit.diff.accounts();
        let at = diff.binary_search_by_key(account, |account| account.hash).ok()?;
        diff.get(at)
    }

    /// Code that the block deployed.
    pub(crate) fn code(&self, hash: &B256) -> Option<Bytes> {
        let codes = self.commit.diff.codes();
        codes.iter().find(|(deployed, _)| deployed == hash).map(|(_, code)| code.clone())
    }

    /// The address or storage key behind a hash, where the block brought it.
    pub(crate) fn preimage(&self, hash: &B256) -> Option<Bytes> {
        let known = self.commit.diff.preimages();
        let at = known.binary_search_by_key(hash, |(hash, _)| *hash).ok()?;
        known.get(at).map(|(_, preimage)| preimage.clone())
    }

    /// A node of the account trie, where the block changed it.
    pub(crate) fn account_node(&self, path: &[u8]) -> Option<Option<Bytes>> {
        node(&self.commit.trie.accounts, path)
    }

    /// A node of a storage trie, where the block changed it.
    pub(crate) fn storage_node(&self, account: &B256, path: &[u8]) -> Option<Option<Bytes>> {
        let storages = &self.commit.trie.storages;
        let at = storages.binary_search_by_key(account, |(account, _)| *account).ok()?;
        let updates = &storages.get(at)?.1;
        node(&updates.nodes, path).or_else(|| updates.cleared.then_some(None))
    }

    /// The index of a transaction.
    pub(crate) fn transaction_index(&self, hash: &B256) -> Option<u32> {
        let transactions = self.transactions.get_or_init(|| {
            let all = self.commit.body.transactions.iter().zip(0u32..);
            all.map(|(transaction, index)| (*transaction.tx_hash(), index)).collect()
        });
        transactions.get(hash).copied()
    }
}

fn node(nodes: &NodeUpdates, path: &[u8]) -> Option<Option<Bytes>> {
    let at = nodes.binary_search_by(|(other, _)| other.as_ref().cmp(path)).ok()?;
    nodes.get(at).map(|(_, node)| node.clone())
}

fn memory(commit: &BlockCommit) -> usize {
    let diff = commit.diff.accounts();
    let slots: usize = diff.iter().map(|account| account.storage.len()).sum();
    let codes: usize = commit.diff.codes().iter().map(|(_, code)| code.len()).sum();
    let codes = codes + 128 * commit.diff.preimages().len();
    let node = |(path, node): &(Bytes, Option<Bytes>)| {
        120 + path.len() + node.as_ref().map_or(0, |node| node.len())
    };
    let tries = commit.trie.storages.iter().map(|(_, updates)| &updates.nodes);
    let nodes: usize = tries.chain([&commit.trie.accounts]).flatten().map(node).sum();
    let logs: usize = commit.receipts.iter().map(|receipt| receipt.receipt.logs.len()).sum();
    let inputs: usize = commit.body.transactions.iter().map(input_length).sum();
    size_of_val(diff)
        + diff.len() * 48
        + slots * 230
        + codes
        + nodes
        + logs * 300
        + commit.body.transactions.len() * 700
        + inputs
        + commit.access_list.iter().flatten().map(list_entry).sum::<usize>()
}

fn list_entry(account: &AccountChanges) -> usize {
    let slots = account.storage_changes.iter();
    let codes = account.code_changes.iter();
    size_of_val(account)
        + size_of_val(account.storage_changes.as_slice())
        + slots.map(|slot| size_of_val(slot.changes.as_slice())).sum::<usize>()
        + size_of_val(account.storage_reads.as_slice())
        + size_of_val(account.balance_changes.as_slice())
        + size_of_val(account.nonce_changes.as_slice())
        + size_of_val(account.code_changes.as_slice())
        + codes.map(|change| change.new_code.len()).sum::<usize>()
}

fn input_length(transaction: &crate::Transaction) -> usize {
    alloy_consensus::Transaction::input(transaction).len()
}

/// The changes of several blocks merged, in ascending order of hashes: for walking through the
/// state.
#[derive(Default)]
pub(crate) struct Merged {
    /// The roots of their storage are looked up elsewhere.
    pub(crate) accounts: BTreeMap<B256, Option<StoredAccount>>,
    pub(crate) storages: BTreeMap<B256, MergedStorage>,
}

/// The changes to the storage of one account.
#[derive(Default)]
pub(crate) struct MergedStorage {
    pub(crate) cleared: bool,
    pub(crate) slots: BTreeMap<B256, Option<U256>>,
}

impl Merged {
    /// From blocks in ascending order.
    pub(crate) fn new<'a>(blocks: impl Iterator<Item = &'a PendingBlock>) -> Self {
        let mut merged = Self::default();
        for account in blocks.flat_map(|block| block.commit.diff.accounts()) {
            merged.accounts.insert(account.hash, account.after.map(StoredAccount::from));
            if account.storage_cleared || !account.storage.is_empty() {
                let storage = merged.storages.entry(account.hash).or_default();
                if account.storage_cleared {
                    storage.cleared = true;
                    storage.slots.clear();
                }
                let slots = account.storage.iter();
                storage.slots.extend(
                    slots.map(|slot| (slot.hash, Some(slot.after).filter(|v| !v.is_zero()))),
                );
            }
        }
        merged
    }
}
