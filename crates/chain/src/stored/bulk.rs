//! A genesis state that is too large for a genesis file: for benchmarks and snapshots of states.

use super::{chain::StoredChain, options::ChainOptions, record::ChainRecord};
use crate::{ChainError, Rules};
use alloy_consensus::{BlockBody, Header};
use alloy_primitives::{B256, Bytes, Sealable, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::path::Path;
use warpline_storage::{
    BlockCommit, GenesisLoader, HashedDiff, StorageTrieUpdates, StoredAccount, TrieUpdates,
};
use warpline_trie::{Finding, FlatAccount, SourceError, TrieReader, TrieSource, rebuild};
use warpline_types::AccountState;

/// Accounts written at a time.
const CHUNK: usize = 1 << 18;

/// A whole state by hashes.
#[derive(Debug, Clone, Default)]
pub struct HashedGenesis {
    /// Accounts by the Keccak-256 of their addresses.
    pub accounts: Vec<(B256, AccountState)>,
    /// Slots by the Keccak-256 of address and key. No zeros.
    pub slots: Vec<(B256, B256, U256)>,
    /// Codes by their hashes.
    pub codes: Vec<(B256, Bytes)>,
}

impl StoredChain {
    /// Makes a database with a state of any size. The header's state root is filled in.
    ///
    /// # Errors
    /// There is a database already, or it cannot be written; slots of an account that is not
    /// there.
    pub fn create_large(
        path: &Path,
        options: ChainOptions,
        rules: Rules,
        mut header: Header,
        mut state: HashedGenesis,
    ) -> Result<Self, ChainError> {
        state.accounts.sort_unstable_by_key(|(account, _)| *account);
        state.slots.sort_unstable_by_key(|(account, slot, _)| (*account, *slot));
        let loader = GenesisLoader::new(path, options.storage.clone())?;
        if let Some(config) = &options.config {
            let record = ChainRecord::new(config.clone(), &options.storage_only);
            loader.description(&record.to_bytes()?)?;
        }
        let mut accounts = state.accounts.chunks(CHUNK);
        accounts.try_for_each(|chunk| {
            let stored = chunk.iter().map(|(account, state)| (*account, (*state).into()));
            loader.accounts(stored.collect::<Vec<(B256, StoredAccount)>>())
        })?;
        state.slots.chunks(CHUNK).try_for_each(|chunk| loader.slots(chunk.iter().copied()))?;
        loader.codes(state.codes.iter().cloned())?;

        let mut tries = TrieUpdates::default();
        let mut waiting = 0usize;
        let rebuilt = rebuild(&state, options.trie.page_limit, options.trie.threads, |finding| {
            add(&mut tries, &finding);
            waiting += 1;
            if waiting.is_multiple_of(CHUNK) {
                loader.nodes(grouped(core::mem::take(&mut tries)))?;
            }
            Ok(())
        })?;
        loader.nodes(grouped(tries))?;
        header.state_root = rebuilt.root;
        let withdrawals = header.withdrawals_root.map(|_| Default::default());
        let commit = BlockCommit {
            total_difficulty: header.difficulty,
            header: header.seal_slow(),
            body: BlockBody { withdrawals, ..Default::default() },
            senders: Vec::new(),
            receipts: Vec::new(),
            access_list: None,
            diff: HashedDiff::default(),
            trie: TrieUpdates::default(),
        };
        let storage = loader.finish(rules.chain_id(), commit)?;
        Self::new(storage, options, rules)
    }
}

fn add(tries: &mut TrieUpdates, finding: &Finding<'_>) {
    match finding {
        Finding::StorageRoot { account, computed, .. } => {
            tries.storage_roots.push((*account, *computed));
        }
        Finding::Node { storage_of, path, node } => {
            let node = (Bytes::from(path.to_vec()), Some(Bytes::copy_from_slice(node)));
            match storage_of {
                None => tries.accounts.push(node),
                Some(account) => {
                    let updates = StorageTrieUpdates { cleared: false, nodes: vec![node] };
                    tries.storages.push((*account, updates));
                }
            }
        }
    }
}

/// One entry per storage trie.
fn grouped(mut tries: TrieUpdates) -> TrieUpdates {
    tries.storages.sort_by_key(|(account, _)| *account);
    tries.storages.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1.nodes.append(&mut later.1.nodes);
        }
        same
    });
    tries
}

impl TrieSource for HashedGenesis {
    type Reader<'a> = &'a Self;

    fn open(&self) -> Result<&Self, SourceError> {
        Ok(self)
    }
}

impl HashedGenesis {
    fn slots_from(&self, account: B256, from: B256) -> &[(B256, B256, U256)] {
        let at = self.slots.partition_point(|(of, slot, _)| (*of, *slot) < (account, from));
        self.slots.get(at..).unwrap_or_default()
    }
}

impl TrieReader for &HashedGenesis {
    fn account_node(&mut self, _: &Nibbles, _: &mut Vec<u8>) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn storage_node(&mut self, _: B256, _: &Nibbles, _: &mut Vec<u8>) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn accounts(
        &mut self,
        from: B256,
        visit: &mut dyn FnMut(B256, FlatAccount) -> bool,
    ) -> Result<(), SourceError> {
        let at = self.accounts.partition_point(|(account, _)| *account < from);
        let mut accounts = self.accounts.get(at..).unwrap_or_default().iter();
        accounts.all(|(account, state)| {
            visit(*account, FlatAccount { state: *state, storage_root: EMPTY_ROOT_HASH })
        });
        Ok(())
    }

    fn storage(
        &mut self,
        account: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError> {
        let slots = self.slots_from(account, from).iter();
        slots.take_while(|(of, ..)| *of == account).all(|(_, slot, value)| visit(*slot, *value));
        Ok(())
    }

    fn account_with_storage(&mut self, from: B256) -> Result<Option<B256>, SourceError> {
        Ok(self.slots_from(from, B256::ZERO).first().map(|(account, ..)| *account))
    }
}
