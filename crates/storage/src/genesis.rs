//! Making a database: the genesis block and the state it allocates, however large.

use crate::{
    BlockCommit, BlockRef, Identity, OpenError, SCHEMA_VERSION, Storage, StorageError,
    StorageOptions, StoredAccount, Table, TrieUpdates, codec,
    engine::{Change, Engine, WriteTx},
    meta::{self, Progress},
    open::{self, Lock, in_folder},
    store, write,
};
use alloy_primitives::{B256, Bytes, U256};
use std::path::{Path, PathBuf};

/// Fills a new database. Until [`GenesisLoader::finish`] it counts as incomplete and does not
/// open; each call is a commit of its own, so that memory is bounded by what a call brings.
///
/// The state of an ordinary genesis block goes into the diff given to `finish`. The other calls
/// are for states that are better not held in memory at once.
#[derive(Debug)]
pub struct GenesisLoader {
    engine: Engine,
    lock: Lock,
    path: PathBuf,
    options: StorageOptions,
}

impl Storage {
    /// Makes a new database with a genesis block.
    ///
    /// # Errors
    /// There is a database already, or the folder cannot be written.
    pub fn create(
        path: &Path,
        options: StorageOptions,
        chain_id: u64,
        genesis: BlockCommit,
    ) -> Result<Self, OpenError> {
        GenesisLoader::new(path, options)?.finish(chain_id, genesis)
    }

    /// What [`GenesisLoader::description`] was given when the database was made, or
    /// [`Storage::describe`] since.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn description(&self) -> Result<Option<Bytes>, StorageError> {
        meta::description(&self.shared.engine.read()?)
    }

    /// Replaces the description. It is on the disk when this returns.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn describe(&self, description: &[u8]) -> Result<(), StorageError> {
        self.locked()?;
        let _turn = self.shared.write_turn.lock();
        let tx = self.shared.engine.write()?;
        meta::set_description(&tx, description)?;
        tx.commit()?;
        self.shared.engine.sync()
    }
}

impl GenesisLoader {
    /// Makes an empty database.
    ///
    /// # Errors
    /// There is a database already, or the folder cannot be written.
    pub fn new(path: &Path, options: StorageOptions) -> Result<Self, OpenError> {
        let (engine, lock) = open::fresh(path, &options)?;
        Ok(Self { engine, lock, path: path.to_owned(), options })
    }

    fn commit(
        &self,
        write: impl FnOnce(&WriteTx) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let tx = self.engine.write()?;
        write(&tx)?;
        tx.commit()
    }

    /// Keeps what the caller has to say about the chain, its configuration for instance, for
    /// [`Storage::description`] to give back. The bytes mean nothing to the database.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn description(&self, description: &[u8]) -> Result<(), StorageError> {
        self.commit(|tx| meta::set_description(tx, description))
    }

    /// Adds accounts, by the Keccak-256 of their addresses, in ascending order within and across
    /// calls.
    ///
    /// # Errors
    /// An account is not behind all others, or the database cannot be written.
    pub fn accounts(
        &self,
        accounts: impl IntoIterator<Item = (B256, StoredAccount)>,
    ) -> Result<(), StorageError> {
        self.commit(|tx| {
            let mut cursor = tx.writer(Table::HashedAccounts)?;
            let mut value = Vec::new();
            for (account, state) in accounts {
                value.clear();
                codec::encode_account(&mut value, &state);
                cursor.append(account.as_slice(), &value)?;
            }
            Ok(())
        })
    }

    /// Adds slots, by the Keccak-256 of address and key, in ascending order of both within and
    /// across calls. Zeros are left out.
    ///
    /// # Errors
    /// A slot is not behind all others, or the database cannot be written.
    pub fn slots(
        &self,
        slots: impl IntoIterator<Item = (B256, B256, U256)>,
    ) -> Result<(), StorageError> {
        self.commit(|tx| {
            let mut cursor = tx.writer(Table::HashedStorages)?;
            let mut encoded = Vec::new();
            for (account, slot, value) in slots {
                encoded.clear();
                codec::encode_slot(&mut encoded, &slot, value);
                if !value.is_zero() {
                    cursor.append_value(account.as_slice(), &encoded)?;
                }
            }
            Ok(())
        })
    }

    /// Adds codes by their hashes.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn codes(
        &self,
        codes: impl IntoIterator<Item = (B256, Bytes)>,
    ) -> Result<(), StorageError> {
        self.commit(|tx| {
            let mut cursor = tx.writer(Table::Bytecodes)?;
            codes.into_iter().try_for_each(|(hash, code)| cursor.put(hash.as_slice(), &code))
        })
    }

    /// Adds trie nodes.
    ///
    /// # Errors
    /// A path is too long, or the database cannot be written.
    pub fn nodes(&self, mut updates: TrieUpdates) -> Result<(), StorageError> {
        updates.sort();
        if let Some(problem) = updates.problem() {
            let (block, problem) = (BlockRef::default(), problem.to_owned());
            return Err(StorageError::BadCommit { block, problem });
        }
        self.commit(|tx| {
            write::apply_nodes(tx, &[&updates])?;
            write::storage_roots(tx, &updates.storage_roots)
        })
    }

    /// Adds the genesis block with what its diff allocates, and opens the database.
    ///
    /// # Errors
    /// The block is not block 0 or contradicts itself, or the database cannot be written.
    pub fn finish(self, chain_id: u64, mut genesis: BlockCommit) -> Result<Storage, OpenError> {
        genesis.trie.sort();
        store::check(&genesis).map_err(in_folder(&self.path))?;
        let block = genesis.block();
        if block.number != 0 {
            let problem = "a genesis block has number 0".to_owned();
            return Err(in_folder(&self.path)(StorageError::BadCommit { block, problem }));
        }
        let done = self.commit(|tx| {
            write::genesis(tx, &genesis)?;
            meta::set_schema(tx, SCHEMA_VERSION)?;
            meta::set_identity(tx, &Identity { chain_id, genesis: block.hash })?;
            meta::set_progress(tx, &Progress::default())?;
            meta::set_clean(tx, true)?;
            meta::set_head(tx, block)
        });
        done.and_then(|()| self.engine.sync()).map_err(in_folder(&self.path))?;
        let Self { engine, lock, path, options } = self;
        Storage::with_engine(&path, options, None, engine, Some(lock))
    }
}
