//! The state in the database, with blocks on top that are not in it yet, as the executor reads it.

use super::{
    layer::Layer,
    prefetch::ReadAhead,
    source::{self, SnapshotSource},
};
use crate::{
    ImportError,
    before::{Roots, StateBefore},
};
use alloy_primitives::{Address, B256, Bytes, U256, map::AddressMap};
use quick_cache::{Weighter, sync::Cache};
use revm::{
    Database,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode},
};
use std::sync::Arc;
use warpline_executor::ParentState;
use warpline_storage::{Snapshot, StateReader, StorageError};
use warpline_trie::{AccountChange, StateTrie, TrieConfig};
use warpline_types::StateDiff;

/// Code with its jump destinations, across blocks.
#[derive(Debug)]
pub(crate) struct CodeCache(Cache<B256, Bytecode, ByLength>);

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<B256, Bytecode> for ByLength {
    fn weight(&self, _: &B256, code: &Bytecode) -> u64 {
        // The bytes and a bit for each, with what a cache entry takes.
        (code.len() + code.len() / 8 + 128) as u64
    }
}

impl CodeCache {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Cache::with_weighter((bytes / 8192) as usize, bytes, ByLength))
    }
}

/// Analysed code. What only looks like a delegation runs as what it is: an invalid opcode.
pub(crate) fn analysed(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

/// A state that lies in the database as far as `values`, and in `layers` beyond.
pub(crate) struct StoredState<'a> {
    /// The state below the layers.
    pub(crate) values: &'a Snapshot,
    /// Blocks on top, the newest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// What was read before it is asked for.
    pub(crate) ahead: Option<ReadAhead>,
    pub(crate) codes: &'a CodeCache,
    pub(crate) storage_only: &'a Arc<AddressMap<U256>>,
    pub(crate) tries: Tries<'a>,
}

/// How to get at the trie of the state below the layers.
pub(crate) struct Tries<'a> {
    /// A snapshot of the head: no other has trie nodes.
    pub(crate) head: &'a Snapshot,
    /// What leads from there to the state.
    pub(crate) undo: &'a [AccountChange],
    pub(crate) config: &'a TrieConfig,
}

impl core::fmt::Debug for StoredState<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("StoredState");
        shown.field("values", &self.values).field("layers", &self.layers.len());
        shown.finish_non_exhaustive()
    }
}

/// The database could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Unreadable(#[from] StorageError);

impl DBErrorMarker for Unreadable {}

/// One thread's view of a state in a database.
pub struct StoredDb<'a> {
    layers: &'a [Arc<Layer>],
    ahead: Option<&'a ReadAhead>,
    codes: &'a CodeCache,
    /// Why there is none is reported with the first read.
    reader: Result<StateReader<'a>, StorageError>,
}

impl core::fmt::Debug for StoredDb<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StoredDb").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

impl<'a> StoredDb<'a> {
    pub(super) fn new(
        values: &'a Snapshot,
        layers: &'a [Arc<Layer>],
        codes: &'a CodeCache,
    ) -> Self {
        StoredDb { layers, ahead: None, codes, reader: values.reader() }
    }

    fn reader(&self) -> Result<&StateReader<'a>, Unreadable> {
        self.reader.as_ref().map_err(|error| error.clone().into())
    }

    fn in_layers<T>(&self, of: impl Fn(&Layer) -> Option<T>) -> Option<T> {
        self.layers.iter().find_map(|layer| of(layer))
    }
}

impl Database for StoredDb<'_> {
    type Error = Unreadable;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Unreadable> {
        let known = self.ahead.and_then(|ahead| ahead.account(&address));
        let account = match known.or_else(|| self.in_layers(|layer| layer.account(&address))) {
            Some(account) => account,
            None => self.reader()?.account(&address)?,
        };
        Ok(account.map(|state| AccountInfo {
            balance: state.balance,
            nonce: state.nonce,
            code_hash: state.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Unreadable> {
        if let Some(code) = self.codes.0.get(&code_hash) {
            return Ok(code);
        }
        let code = match self.in_layers(|layer| layer.code(&code_hash).cloned()) {
            Some(code) => code,
            None => analysed(self.reader()?.code(&code_hash)?),
        };
        self.codes.0.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Unreadable> {
        match self.in_layers(|layer| layer.slot(&address, index)) {
            Some(value) => Ok(value),
            None => Ok(self.reader()?.storage(&address, index)?),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Unreadable> {
        let layer = self.layers.iter().find(|layer| layer.block.number == number);
        match layer {
            Some(layer) => Ok(layer.block.hash),
            None => Ok(self.reader()?.block_hash(number)?.unwrap_or_default()),
        }
    }
}

impl ParentState for StoredState<'_> {
    type Db<'a>
        = StoredDb<'a>
    where
        Self: 'a;

    fn open(&self) -> StoredDb<'_> {
        let db = StoredDb::new(self.values, &self.layers, self.codes);
        StoredDb { ahead: self.ahead.as_ref(), ..db }
    }
}

/// A trie of its own for the roots within one block.
pub(crate) struct StoredRoots<'a> {
    trie: StateTrie,
    source: SnapshotSource<'a>,
}

impl<'a> StoredRoots<'a> {
    /// Begins at the state below the layers, and goes on to the newest of them.
    pub(super) fn new(tries: &Tries<'a>, layers: &[Arc<Layer>]) -> Result<Self, ImportError> {
        let root = source::state_root(tries.head)?;
        let mut trie = StateTrie::open(TrieConfig { threads: 1, ..tries.config.clone() }, root)?;
        trie.stage(tries.undo.iter().cloned());
        for layer in layers.iter().rev() {
            trie.stage(layer.diff.accounts.iter().map(AccountChange::from_diff));
        }
        Ok(Self { trie, source: SnapshotSource(tries.head) })
    }

    /// The trie, with everything staged that leads to the state.
    pub(super) fn into_trie(self) -> StateTrie {
        self.trie
    }
}

impl Roots for StoredRoots<'_> {
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        self.trie.stage(changes.accounts.iter().map(AccountChange::from_diff));
        Ok(self.trie.root(&self.source)?.root)
    }
}

impl StateBefore for StoredState<'_> {
    type Roots<'a>
        = StoredRoots<'a>
    where
        Self: 'a;

    fn storage_only(&self) -> Arc<AddressMap<U256>> {
        Arc::clone(self.storage_only)
    }

    fn roots(&self) -> Result<StoredRoots<'_>, ImportError> {
        StoredRoots::new(&self.tries, &self.layers)
    }
}
