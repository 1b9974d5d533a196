//! Blocks that are accepted but not written yet, ready to be read from.

use crate::{
    BlockCommit, BlockRef, HashedAccountDiff, HashedSlotDiff, NodeUpdates,
    filter::{Filter, account_key, slot_key},
};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip7928::AccountChanges;
use alloy_primitives::{B256, Bytes, U256, map::B256Map};
use core::mem::size_of_val;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use warpline_types::AccountState;

/// One such block.
pub(crate) struct PendingBlock {
    pub(crate) commit: BlockCommit,
    pub(crate) block: BlockRef,
    /// When it was accepted.
    pub(crate) accepted: Instant,
    /// The accounts that the block changed, and the slots.
    changed: Filter,
    /// Whether there are accounts that lost their storage.
    clears: bool,
    /// Index in the block, by hash. Made when first asked for.
    transactions: OnceLock<B256Map<u32>>,
    /// Memory it takes, about.
    pub(crate) bytes: usize,
}

impl PendingBlock {
    pub(crate) fn new(commit: BlockCommit) -> Self {
        let changed = changed(&commit);
        let clears = commit.diff.accounts().iter().any(|account| account.storage_cleared);
        let bytes = memory(&commit) + changed.memory();
        let block = commit.block();
        let accepted = Instant::now();
        Self { commit, block, accepted, changed, clears, transactions: OnceLock::new(), bytes }
    }

    /// An account by the hash of its address, as it is after this block, where the block changed
    /// it.
    pub(crate) fn account_by_hash(&self, account: &B256) -> Option<Option<AccountState>> {
        self.diff_by_hash(account).map(|diff| diff.after)
    }

    /// The root of an account's storage after this block, where the block says it.
    pub(crate) fn storage_root(&self, account: &B256) -> Option<B256> {
        if !self.changed.may_have(account_key(account)) {
            return None;
        }
        let roots = &self.commit.trie.storage_roots;
        let listed = roots.binary_search_by_key(account, |(account, _)| *account).ok();
        let listed = listed.and_then(|at| roots.get(at)).map(|(_, root)| *root);
        let cleared = || self.diff_by_hash(account).is_some_and(|diff| diff.storage_cleared);
        listed.or_else(|| cleared().then_some(EMPTY_ROOT_HASH))
    }

    /// A slot by hashes, as it is after this block, where the block changed it.
    pub(crate) fn slot_by_hash(&self, account: &B256, slot: &B256) -> Option<U256> {
        if !self.clears && !self.changed.may_have(slot_key(account, slot)) {
            return None;
        }
        let diff = self.diff_by_hash(account)?;
        let at = diff.storage.binary_search_by_key(slot, |slot| slot.hash);
        let written = at.ok().and_then(|at| diff.storage.get(at)).map(|slot| slot.after);
        if diff.storage_cleared { written.or(Some(U256::ZERO)) } else { written }
    }

    fn diff_by_hash(&self, account: &B256) -> Option<&HashedAccountDiff> {
        if !self.changed.may_have(account_key(account)) {
            return None;
        }
        let diff = self.commit.diff.accounts();
        let at = diff.binary_search_by_key(account, |account| account.hash).ok()?;
        diff.get(at)
    }

    /// The accounts that the block changed, from a hash on.
    fn accounts_from(&self, start: &B256) -> &[HashedAccountDiff] {
        let accounts = self.commit.diff.accounts();
        &accounts[accounts.partition_point(|account| account.hash < *start)..]
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

fn changed(commit: &BlockCommit) -> Filter {
    let diff = commit.diff.accounts();
    let slots: usize = diff.iter().map(|account| account.storage.len()).sum();
    let roots = &commit.trie.storage_roots;
    let mut changed = Filter::with_room_for(diff.len().max(roots.len()) + slots);
    for account in diff {
        changed.add(account_key(&account.hash));
        for slot in &account.storage {
            changed.add(slot_key(&account.hash, &slot.hash));
        }
    }
    for (account, _) in roots {
        changed.add(account_key(account));
    }
    changed
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
        + slots * size_of::<HashedSlotDiff>()
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

/// The accounts that blocks changed, from a hash on in ascending order, each as the newest block
/// left it. The blocks come the newest first.
pub(crate) fn accounts_from<'a>(
    blocks: &'a [Arc<PendingBlock>],
    start: &B256,
) -> Ascending<'a, HashedAccountDiff> {
    let lists = blocks.iter().map(|block| block.accounts_from(start)).collect();
    Ascending { lists, key: |account| &account.hash }
}

/// The first account from a hash on of which any of the blocks changed a slot.
pub(crate) fn account_with_slots(blocks: &[Arc<PendingBlock>], start: &B256) -> Option<B256> {
    let changed = |of: &&HashedAccountDiff| of.storage_cleared || !of.storage.is_empty();
    let first = |block: &Arc<PendingBlock>| {
        block.accounts_from(start).iter().find(changed).map(|account| account.hash)
    };
    blocks.iter().filter_map(first).min()
}

/// The slots of one account that blocks changed, from a hash on in ascending order, each as the
/// newest block left it, and whether what is older than these blocks is gone.
pub(crate) fn slots_from<'a>(
    blocks: &'a [Arc<PendingBlock>],
    account: &B256,
    start: &B256,
) -> (Ascending<'a, HashedSlotDiff>, bool) {
    let mut lists = Vec::new();
    let mut cleared = false;
    for diff in blocks.iter().filter_map(|block| block.diff_by_hash(account)) {
        lists.push(&diff.storage[diff.storage.partition_point(|slot| slot.hash < *start)..]);
        if diff.storage_cleared {
            cleared = true;
            break;
        }
    }
    (Ascending { lists, key: |slot| &slot.hash }, cleared)
}

/// The items of several ascending lists in ascending order; of those with one key, the one in the
/// first list.
pub(crate) struct Ascending<'a, T> {
    lists: Vec<&'a [T]>,
    key: fn(&T) -> &B256,
}

impl<'a, T> Iterator for Ascending<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let key = self.key;
        // `min_by` takes the first of several.
        let heads = self.lists.iter().filter_map(|list| list.first());
        let next = heads.min_by(|a, b| key(a).cmp(key(b)))?;
        for list in &mut self.lists {
            if let Some((_, rest)) = list.split_first().filter(|(head, _)| key(head) == key(next)) {
                *list = rest;
            }
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashedDiff, TrieUpdates};
    use alloy_consensus::{BlockBody, Header, Sealable};
    use alloy_primitives::{Address, keccak256};
    use warpline_types::{AccountDiff, AccountState, SlotDiff, StateDiff};

    fn block(accounts: Vec<AccountDiff>, roots: Vec<(B256, B256)>) -> PendingBlock {
        let diff = StateDiff { accounts, codes: Vec::new() };
        PendingBlock::new(BlockCommit {
            header: Header::default().seal_slow(),
            total_difficulty: U256::ZERO,
            body: BlockBody::default(),
            senders: Vec::new(),
            receipts: Vec::new(),
            access_list: None,
            diff: HashedDiff::new(&diff),
            trie: TrieUpdates { storage_roots: roots, ..TrieUpdates::default() },
        })
    }

    fn changed(address: Address, after: Option<AccountState>, cleared: bool) -> AccountDiff {
        let slot = SlotDiff { slot: U256::from(1), before: U256::ZERO, after: U256::from(7) };
        let storage = after.map(|_| slot).into_iter().collect();
        AccountDiff { address, before: None, after, storage_cleared: cleared, storage }
    }

    #[test]
    fn a_block_says_what_it_changed_and_nothing_of_the_rest() {
        let [kept, cleared, gone, rooted, other] = [1, 2, 3, 4, 5].map(Address::repeat_byte);
        let slot = |number: u64| keccak256(U256::from(number).to_be_bytes::<32>());
        let (state, root) = (Some(AccountState::default()), B256::repeat_byte(9));
        let roots = vec![(keccak256(rooted), root)];
        let plain = block(vec![changed(kept, state, false)], roots);
        assert_eq!(plain.account_by_hash(&keccak256(kept)), Some(state));
        assert_eq!(plain.slot_by_hash(&keccak256(kept), &slot(1)), Some(U256::from(7)));
        assert_eq!(plain.slot_by_hash(&keccak256(kept), &slot(2)), None);
        assert_eq!(plain.account_by_hash(&keccak256(other)), None);
        assert_eq!(plain.account_by_hash(&keccak256(rooted)), None);
        assert_eq!(plain.storage_root(&keccak256(rooted)), Some(root));

        let clearing = vec![changed(cleared, state, true), changed(gone, None, true)];
        let clearing = block(clearing, Vec::new());
        assert_eq!(clearing.account_by_hash(&keccak256(gone)), Some(None));
        assert_eq!(clearing.slot_by_hash(&keccak256(gone), &slot(1)), Some(U256::ZERO));
        assert_eq!(clearing.slot_by_hash(&keccak256(cleared), &slot(1)), Some(U256::from(7)));
        assert_eq!(clearing.slot_by_hash(&keccak256(cleared), &slot(2)), Some(U256::ZERO));
        assert_eq!(clearing.storage_root(&keccak256(cleared)), Some(EMPTY_ROOT_HASH));
        assert_eq!(clearing.slot_by_hash(&keccak256(other), &slot(1)), None);
    }
}
