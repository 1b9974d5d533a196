//! A chain of random blocks with a plain model of the state after each of them.

use alloy_consensus::{
    BlockBody, Header, Receipt, Sealable, SignableTransaction, TxLegacy, TxType,
    constants::EMPTY_ROOT_HASH,
};
use alloy_eips::eip7928::{AccountChanges, BlockAccessList};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, Log, LogData, Signature, U256, keccak256,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;
use warpline_storage::{
    BlockCommit, BlockRef, Finality, HashedDiff, NodeUpdates, StorageTrieUpdates, StoredReceipt,
    Transaction, TrieUpdates,
};
use warpline_types::{AccountDiff, AccountState, SlotDiff, StateDiff};

/// How many addresses there are.
pub(crate) const ADDRESSES: u64 = 24;
/// How many slots an account can have.
pub(crate) const SLOTS: u64 = 12;

pub(crate) type Nodes = BTreeMap<Bytes, Bytes>;

/// The state after a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<Address, (AccountState, BTreeMap<U256, U256>)>,
    pub(crate) nodes: Nodes,
    pub(crate) storage_nodes: BTreeMap<B256, Nodes>,
}

/// The canonical chain from block 0 on, with the state after each block.
pub(crate) struct Chain {
    pub(crate) blocks: Vec<BlockCommit>,
    pub(crate) states: Vec<State>,
    pub(crate) finality: Finality,
    /// The number of the highest block there ever was.
    pub(crate) highest: u64,
    rng: StdRng,
}

pub(crate) fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

pub(crate) fn hashed_slot(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

impl Chain {
    /// A chain of nothing but a genesis block.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chain = Self {
            blocks: Vec::new(),
            states: Vec::new(),
            finality: Finality::default(),
            highest: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        chain.grow();
        chain
    }

    pub(crate) fn genesis(&self) -> BlockCommit {
        self.blocks[0].clone()
    }

    pub(crate) fn head(&self) -> BlockRef {
        self.blocks.last().expect("there is a genesis block").block()
    }

    /// Forgets all blocks after a height.
    pub(crate) fn unwind(&mut self, to: u64) {
        self.blocks.truncate(to as usize + 1);
        self.states.truncate(to as usize + 1);
        let kept = |block: Option<BlockRef>| block.filter(|block| block.number <= to);
        let Finality { safe, finalized } = self.finality;
        self.finality = Finality { safe: kept(safe), finalized: kept(finalized) };
    }

    /// The block so far below the head, where there is one.
    pub(crate) fn below_head(&self, depth: u64) -> Option<BlockRef> {
        let number = self.head().number.checked_sub(depth)?;
        Some(self.blocks[number as usize].block())
    }

    /// Adds a random block.
    pub(crate) fn grow(&mut self) -> BlockCommit {
        let number = self.blocks.len() as u64;
        let mut state = self.states.last().cloned().unwrap_or_default();
        let (diff, mut trie) = self.change(&mut state, number == 0);
        self.change_nodes(&mut state, &mut trie);
        trie.storage_roots = roots(diff.accounts.iter().map(|a| a.address), &state);
        let transactions = self.transactions(number);
        let count = transactions.len() as u64;
        let header = Header {
            number,
            parent_hash: self.blocks.last().map_or(B256::ZERO, |block| block.header.seal()),
            difficulty: U256::from(number % 3),
            gas_used: count * 21_000,
            mix_hash: self.rng.random::<[u8; 32]>().into(),
            ..Default::default()
        };
        let difficulty = self.blocks.last().map_or(U256::ZERO, |block| block.total_difficulty);
        let commit = BlockCommit {
            total_difficulty: difficulty + header.difficulty,
            header: header.seal_slow(),
            senders: transactions.iter().map(|_| address(number)).collect(),
            receipts: (0..count).map(|index| receipt(number, index)).collect(),
            access_list: self.access_list(number),
            body: BlockBody { transactions, ..Default::default() },
            diff: HashedDiff::new(&diff),
            trie,
        };
        self.highest = self.highest.max(number);
        self.blocks.push(commit.clone());
        self.states.push(state);
        commit
    }

    /// Some blocks have one.
    fn access_list(&mut self, number: u64) -> Option<BlockAccessList> {
        let mut account = |index| {
            let mut account = AccountChanges::new(address(index));
            let slots = self.rng.random_range(0..200);
            account.storage_reads = (0..slots).map(U256::from).collect();
            account
        };
        (!number.is_multiple_of(3)).then(|| (0..number % 5).map(&mut account).collect())
    }

    fn transactions(&mut self, number: u64) -> Vec<Transaction> {
        let count = self.rng.random_range(0..4);
        let transaction = |index: u64| {
            let tx = TxLegacy {
                nonce: number,
                gas_limit: index,
                input: self.rng.random::<[u8; 16]>().into(),
                ..Default::default()
            };
            Transaction::Legacy(tx.into_signed(Signature::test_signature()))
        };
        (0..if number == 0 { 0 } else { count }).map(transaction).collect()
    }

    fn change(&mut self, state: &mut State, genesis: bool) -> (StateDiff, TrieUpdates) {
        let (mut diff, mut trie) = (StateDiff::default(), TrieUpdates::default());
        for index in 0..ADDRESSES {
            if !self.rng.random_ratio(1, 4) {
                continue;
            }
            let address = address(index);
            let (account, codes) = self.change_account(state, address, genesis);
            if account.storage_cleared || account.after.is_none() {
                let updates = StorageTrieUpdates { cleared: true, nodes: Vec::new() };
                state.storage_nodes.remove(&keccak256(address));
                trie.storages.push((keccak256(address), updates));
            }
            diff.codes.extend(codes);
            let nothing = account.before == account.after
                && account.storage.is_empty()
                && !account.storage_cleared;
            if !nothing {
                diff.accounts.push(account);
            }
        }
        (diff, trie)
    }

    /// Anything that can happen to an account in a block, as a merger reports it.
    fn change_account(
        &mut self,
        state: &mut State,
        address: Address,
        genesis: bool,
    ) -> (AccountDiff, Option<(B256, Bytes)>) {
        let existing = state.accounts.remove(&address);
        let before = existing.as_ref().map(|(account, _)| *account);
        let destroyed = existing.is_some() && !genesis && self.rng.random_ratio(1, 5);
        let mut slots = existing.filter(|_| !destroyed).map(|(_, s)| s).unwrap_or_default();
        let gone = destroyed && self.rng.random_ratio(1, 2);
        let mut diff = AccountDiff {
            address,
            before,
            after: None,
            storage_cleared: destroyed,
            storage: vec![],
        };
        if gone {
            return (diff, None);
        }
        let code = self.rng.random_ratio(1, 4).then(|| {
            let code = Bytes::from(self.rng.random::<[u8; 9]>().to_vec());
            (keccak256(&code), code)
        });
        let kept = before.filter(|_| !destroyed).map(|account| account.code_hash);
        let after = AccountState {
            balance: U256::from_be_bytes(self.rng.random::<[u8; 32]>())
                >> self.rng.random_range(0..256),
            nonce: self.rng.random::<u64>() >> self.rng.random_range(0..64),
            code_hash: code.as_ref().map(|(hash, _)| *hash).or(kept).unwrap_or(KECCAK256_EMPTY),
        };
        let only_slots = before.filter(|_| !destroyed && code.is_none());
        let after = only_slots.filter(|_| self.rng.random_ratio(1, 4)).unwrap_or(after);
        for slot in (0..SLOTS).map(U256::from) {
            if !self.rng.random_ratio(1, 3) {
                continue;
            }
            let old = slots.remove(&slot).unwrap_or_default();
            let delete = genesis || self.rng.random_ratio(1, 3);
            let new = if delete {
                U256::ZERO
            } else {
                U256::from_be_bytes(self.rng.random::<[u8; 32]>()) >> (8 * slot.to::<usize>())
            };
            if !new.is_zero() {
                slots.insert(slot, new);
            }
            if old != new {
                diff.storage.push(SlotDiff { slot, before: old, after: new });
            }
        }
        diff.after = Some(after);
        state.accounts.insert(address, (after, slots));
        (diff, code)
    }

    fn change_nodes(&mut self, state: &mut State, trie: &mut TrieUpdates) {
        trie.accounts = self.update_nodes(&mut state.nodes);
        let accounts: Vec<_> = state.accounts.keys().map(keccak256).collect();
        for account in accounts {
            if !self.rng.random_ratio(1, 5) {
                continue;
            }
            let nodes = self.update_nodes(state.storage_nodes.entry(account).or_default());
            match trie.storages.iter_mut().find(|(other, _)| *other == account) {
                Some((_, updates)) => updates.nodes = nodes,
                None => {
                    trie.storages.push((account, StorageTrieUpdates { cleared: false, nodes }));
                }
            }
        }
    }

    fn update_nodes(&mut self, nodes: &mut Nodes) -> NodeUpdates {
        let mut updates = NodeUpdates::new();
        for _ in 0..self.rng.random_range(0..6) {
            let path: Vec<u8> =
                (0..self.rng.random_range(0..3)).map(|_| self.rng.random_range(0..4)).collect();
            let path = Bytes::from(path);
            let node = Bytes::from(self.rng.random::<[u8; 6]>().to_vec());
            let node = self.rng.random_ratio(3, 4).then_some(node);
            match &node {
                Some(node) => nodes.insert(path.clone(), node.clone()),
                None => nodes.remove(&path),
            };
            updates.push((path, node));
        }
        updates
    }
}

/// Stands for the root of a storage trie: different for different storage.
pub(crate) fn storage_root(slots: &BTreeMap<U256, U256>) -> B256 {
    if slots.is_empty() { EMPTY_ROOT_HASH } else { keccak256(format!("{slots:?}")) }
}

fn receipt(number: u64, index: u64) -> StoredReceipt {
    let data = LogData::new_unchecked(vec![B256::with_last_byte(index as u8)], Bytes::new());
    let logs = vec![Log { address: address(number), data }];
    let receipt = Receipt { status: true.into(), cumulative_gas_used: (index + 1) * 21_000, logs };
    StoredReceipt { tx_type: TxType::Legacy, receipt }
}

fn roots(addresses: impl Iterator<Item = Address>, state: &State) -> Vec<(B256, B256)> {
    let slots = |address| state.accounts.get(&address).map(|(_, slots)| slots);
    let root = |address| Some((keccak256(address), storage_root(slots(address)?)));
    addresses.filter_map(root).collect()
}

/// The updates that lead from one set of nodes to another.
fn node_changes(from: &Nodes, to: &Nodes) -> NodeUpdates {
    let gone = from.keys().filter(|path| !to.contains_key(*path));
    let gone = gone.map(|path| (path.clone(), None));
    gone.chain(to.iter().map(|(path, node)| (path.clone(), Some(node.clone())))).collect()
}

/// The updates that lead from the tries of one state to those of another.
pub(crate) fn trie_changes(from: &State, to: &State) -> TrieUpdates {
    let mut storages = BTreeMap::new();
    for account in from.storage_nodes.keys().chain(to.storage_nodes.keys()) {
        let empty = Nodes::new();
        let nodes = |state: &State| state.storage_nodes.get(account).unwrap_or(&empty).clone();
        let nodes = node_changes(&nodes(from), &nodes(to));
        storages.insert(*account, StorageTrieUpdates { cleared: false, nodes });
    }
    TrieUpdates {
        accounts: node_changes(&from.nodes, &to.nodes),
        storages: storages.into_iter().collect(),
        storage_roots: roots(to.accounts.keys().copied(), to),
    }
}
