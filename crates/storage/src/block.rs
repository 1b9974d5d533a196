//! What goes into the database with a block.

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_consensus::{
    BlockBody, EthereumReceipt, EthereumTxEnvelope, Header, Receipt, Sealed, TxEip4844, TxType,
};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Bytes, U256};
use core::{fmt, mem};
use warpline_keccak::keccak256_each;
use warpline_types::{AccountState, StateDiff};

/// A transaction as a block body holds it: blob transactions without their sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A block by number and hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// An account as the flat state holds it: all that its leaf in the account trie needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAccount {
    /// Nonce, balance and code hash.
    pub state: AccountState,
    /// Root of the account's storage trie.
    pub storage_root: B256,
}

impl From<AccountState> for StoredAccount {
    /// An account without storage.
    fn from(state: AccountState) -> Self {
        Self { state, storage_root: EMPTY_ROOT_HASH }
    }
}

/// A receipt without its bloom filter, which is derived from the logs where needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Type of the transaction.
    pub tx_type: TxType,
    /// Status or, before Byzantium, state root; cumulative gas used; logs.
    pub receipt: Receipt,
}

impl From<EthereumReceipt> for StoredReceipt {
    fn from(receipt: EthereumReceipt) -> Self {
        let EthereumReceipt { tx_type, success, cumulative_gas_used, logs } = receipt;
        Self { tx_type, receipt: Receipt { status: success.into(), cumulative_gas_used, logs } }
    }
}

/// A valid block with all that follows from it, to be made durable.
#[derive(Clone, Debug)]
pub struct BlockCommit {
    /// The header with its hash.
    pub header: Sealed<Header>,
    /// Difficulties of all blocks from the genesis block to this one.
    pub total_difficulty: U256,
    /// Transactions, ommers, withdrawals.
    pub body: BlockBody<Transaction>,
    /// Who sent each transaction, in block order.
    pub senders: Vec<Address>,
    /// One receipt per transaction, in block order.
    pub receipts: Vec<StoredReceipt>,
    /// What the block accessed (EIP-7928), where that is to be kept.
    pub access_list: Option<BlockAccessList>,
    /// What the block changed.
    pub diff: HashedDiff,
    /// Nodes of the account trie and the storage tries that the block changed.
    pub trie: TrieUpdates,
}

impl BlockCommit {
    /// Number and hash.
    pub fn block(&self) -> BlockRef {
        BlockRef { number: self.header.number, hash: self.header.seal() }
    }
}

/// A [`StateDiff`] with the hashes of its keys, sorted by them. Hashing is most of the work of
/// making one, and the trie needs the same hashes, so it is made once, by whoever comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashedDiff {
    accounts: Vec<HashedAccountDiff>,
    codes: Vec<(B256, Bytes)>,
    preimages: Vec<(B256, Bytes)>,
}

/// One changed account of a [`HashedDiff`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedAccountDiff {
    /// Keccak-256 of the address.
    pub hash: B256,
    /// The address.
    pub address: Address,
    /// Before the block; `None` where it did not exist.
    pub before: Option<AccountState>,
    /// After the block; `None` where it does not exist any more.
    pub after: Option<AccountState>,
    /// All storage from before the block is gone. True for every account that is.
    pub storage_cleared: bool,
    /// Changed slots, sorted by hash.
    pub storage: Vec<HashedSlotDiff>,
}

/// One changed slot of a [`HashedAccountDiff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedSlotDiff {
    /// Keccak-256 of the key as 32 bytes.
    pub hash: B256,
    /// The key.
    pub slot: U256,
    /// Before the block; zero where the storage was cleared in the block.
    pub before: U256,
    /// After the block.
    pub after: U256,
}

impl HashedDiff {
    /// Hashes the keys of a diff and sorts it.
    pub fn new(diff: &StateDiff) -> Self {
        let addresses = keccak256_each(diff.accounts.iter().map(|account| account.address));
        let keys = diff.accounts.iter().flat_map(|account| &account.storage);
        let keys = keccak256_each(keys.map(|slot| slot.slot.to_be_bytes::<32>()));
        let mut keys = keys.into_iter();
        let hashed = |(account, hash): (&warpline_types::AccountDiff, B256)| {
            let slots = account.storage.iter().zip(&mut keys);
            let slots = slots.map(|(slot, hash)| HashedSlotDiff {
                hash,
                slot: slot.slot,
                before: slot.before,
                after: slot.after,
            });
            let mut storage: Vec<_> = slots.collect();
            storage.sort_unstable_by_key(|slot| slot.hash);
            HashedAccountDiff {
                hash,
                address: account.address,
                before: account.before,
                after: account.after,
                storage_cleared: account.storage_cleared || account.after.is_none(),
                storage,
            }
        };
        let mut accounts: Vec<_> = diff.accounts.iter().zip(addresses).map(hashed).collect();
        accounts.sort_unstable_by_key(|account| account.hash);
        Self { accounts, codes: diff.codes.clone(), preimages: Vec::new() }
    }

    /// The same, with the addresses and slots that it adds to the state, to be kept under their
    /// hashes for [`StateReader::preimage`](crate::StateReader::preimage).
    pub fn with_preimages(diff: &StateDiff) -> Self {
        let mut hashed = Self::new(diff);
        for account in &hashed.accounts {
            if account.before.is_none() {
                let address = Bytes::copy_from_slice(account.address.as_slice());
                hashed.preimages.push((account.hash, address));
            }
            let new = |slot: &&HashedSlotDiff| slot.before.is_zero() || account.storage_cleared;
            hashed.preimages.extend(
                account.storage.iter().filter(new).map(|slot| {
                    (slot.hash, Bytes::copy_from_slice(&slot.slot.to_be_bytes::<32>()))
                }),
            );
        }
        hashed.preimages.sort_unstable_by_key(|(hash, _)| *hash);
        hashed.preimages.dedup_by_key(|(hash, _)| *hash);
        hashed
    }

    /// The changed accounts, in ascending order of their hashes.
    pub fn accounts(&self) -> &[HashedAccountDiff] {
        &self.accounts
    }

    /// Code deployed in the block, by its hash.
    pub fn codes(&self) -> &[(B256, Bytes)] {
        &self.codes
    }

    /// Addresses and storage keys to be kept, in ascending order of their hashes.
    pub fn preimages(&self) -> &[(B256, Bytes)] {
        &self.preimages
    }
}

/// Changed nodes of one trie: path and new node, or nothing where there is no node any more.
/// What paths and nodes look like is the trie's affair; a path has at most 64 bytes.
pub type NodeUpdates = Vec<(Bytes, Option<Bytes>)>;

/// Changed nodes of all tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    /// The account trie. Of several updates to one path the last counts.
    pub accounts: NodeUpdates,
    /// The storage tries, by the Keccak-256 of the address.
    pub storages: Vec<(B256, StorageTrieUpdates)>,
    /// Roots of the storage tries of changed accounts. An account that is not listed keeps its
    /// root; a new one has no storage then.
    pub storage_roots: Vec<(B256, B256)>,
}

/// Changed nodes of one storage trie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageTrieUpdates {
    /// All nodes from before go, before `nodes` are written.
    pub cleared: bool,
    /// The nodes.
    pub nodes: NodeUpdates,
}

/// Longest path of a trie node, in bytes: a path of 64 nibbles, unpacked.
pub const MAX_PATH: usize = 64;

impl TrieUpdates {
    /// Brings paths into ascending order and keeps the last update of each.
    pub fn sort(&mut self) {
        sort_nodes(&mut self.accounts);
        self.storages.sort_by_key(|(account, _)| *account);
        self.storage_roots.sort_by_key(|(account, _)| *account);
        self.storages.iter_mut().for_each(|(_, updates)| sort_nodes(&mut updates.nodes));
    }

    /// Whether every path can be a key, and every account is listed once.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let lists = self.storages.iter().map(|(_, updates)| &updates.nodes);
        let mut nodes = lists.chain([&self.accounts]).flatten();
        if nodes.any(|(path, _)| path.len() > MAX_PATH) {
            return Some("the path of a trie node is longer than 64 bytes");
        }
        let ascending = |pair: &[(B256, _)]| pair[0].0 < pair[1].0;
        let once = self.storages.windows(2).all(ascending);
        let roots_once = self.storage_roots.is_sorted_by(|a, b| a.0 < b.0);
        (!once || !roots_once).then_some("the storage trie of an account is listed twice")
    }
}

fn sort_nodes(nodes: &mut NodeUpdates) {
    if nodes.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    // Stable, so that the last of equal paths is the last update.
    nodes.sort_by(|a, b| a.0.cmp(&b.0));
    nodes.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            mem::swap(later, earlier);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_update_of_a_path_counts() {
        let node = |path: u8, node: u8| (Bytes::from(vec![path]), Some(Bytes::from(vec![node])));
        let mut updates = TrieUpdates {
            accounts: vec![node(2, 1), node(1, 1), node(2, 2), node(1, 5), node(2, 3)],
            ..Default::default()
        };
        updates.sort();
        assert_eq!(updates.accounts, [node(1, 5), node(2, 3)]);
    }
}
