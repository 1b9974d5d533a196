//! Where the chain of a test lives: in memory, or in a database as a node would have it.

use alloy_consensus::{Block, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{B256, keccak256};
use std::{collections::BTreeMap, path::Path};
use tempfile::TempDir;
use warpline_chain::{
    BlockTree, ChainOptions, Engine, HashedGenesis, ImportError, InvalidBlock, MemoryState,
    RootStreaming, Rules, StoredChain, verify_state,
};
use warpline_executor::EthTransaction;
use warpline_storage::{CacheSizes, Durability, HashedState, StorageOptions};
use warpline_trie::TrieConfig;
use warpline_types::AccountState;

/// The chain of one test.
pub(crate) enum Home {
    Memory(BlockTree),
    Database {
        chain: Box<StoredChain>,
        /// Goes with the test.
        _folder: TempDir,
    },
}

impl Home {
    /// A chain of nothing but its genesis block; in a new folder inside `datadir` if there is one.
    pub(crate) fn new(
        rules: Rules,
        genesis: &Header,
        state: MemoryState,
        datadir: Option<&Path>,
    ) -> Result<Self, String> {
        let Some(datadir) = datadir else {
            return Ok(Self::Memory(BlockTree::new(rules, genesis.clone(), state)));
        };
        let folder = tempfile::tempdir_in(datadir)
            .map_err(|error| format!("folder in {}: {error}", datadir.display()))?;
        let options = ChainOptions { storage_only: state.storage_only(), ..options() };
        let hashed = hashed(&state);
        let chain =
            StoredChain::create_large(folder.path(), options, rules, genesis.clone(), hashed)
                .map_err(|error| error.to_string())?;
        Ok(Self::Database { chain: Box::new(chain), _folder: folder })
    }

    pub(crate) const fn rules(&self) -> &Rules {
        match self {
            Self::Memory(tree) => tree.rules(),
            Self::Database { chain, .. } => chain.rules(),
        }
    }

    pub(crate) fn import(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
        list: Option<BlockAccessList>,
    ) -> Result<Result<(), InvalidBlock>, String> {
        match self {
            Self::Memory(tree) => Ok(tree.import_listed(engine, block, list.as_ref()).map(drop)),
            Self::Database { chain, .. } => judged(chain.import_listed(engine, block, list)),
        }
    }

    pub(crate) fn import_rlp(
        &mut self,
        engine: &Engine,
        rlp: &[u8],
    ) -> Result<Result<(), InvalidBlock>, String> {
        match self {
            Self::Memory(tree) => Ok(tree.import_rlp(engine, rlp).map(drop)),
            Self::Database { chain, .. } => judged(chain.import_rlp(engine, rlp)),
        }
    }

    /// Hash and state root of the head.
    pub(crate) fn head(&self) -> (B256, B256) {
        match self {
            Self::Memory(tree) => (tree.head().hash, tree.head().header.state_root),
            Self::Database { chain, .. } => (chain.head().hash, chain.head_header().state_root),
        }
    }

    /// Checks everything that a database says twice, and that the chain can be taken back to its
    /// genesis block. Nothing to check in memory.
    pub(crate) fn verify(&mut self) -> Result<(), String> {
        let Self::Database { chain, .. } = self else { return Ok(()) };
        let failed = |error: &dyn core::fmt::Display| format!("database: {error}");
        for unwound in [false, true] {
            if unwound {
                chain.unwind(0).map_err(|error| failed(&error))?;
            }
            chain.flush().map_err(|error| failed(&error))?;
            let findings = chain.storage().verify(1, |_| ()).map_err(|error| failed(&error))?;
            if let Some(finding) = findings.first() {
                return Err(format!("database, unwound {unwound}: {finding:?}"));
            }
            let report = verify_state(chain.storage(), &options().trie, 1);
            let report = report.map_err(|error| failed(&error))?;
            if let Some(problem) = report.problems.first() {
                return Err(format!("database, unwound {unwound}: {problem}"));
            }
        }
        Ok(())
    }
}

fn judged<T>(imported: Result<T, ImportError>) -> Result<Result<(), InvalidBlock>, String> {
    match imported {
        Ok(_) => Ok(Ok(())),
        Err(ImportError::Invalid(invalid)) => Ok(Err(invalid)),
        Err(other) => Err(other.to_string()),
    }
}

/// A small database, with pages small enough for small tries to have nodes, and roots begun while
/// blocks execute.
fn options() -> ChainOptions {
    let storage = StorageOptions {
        durability: Durability::Periodic {
            bytes: usize::MAX,
            period: core::time::Duration::from_secs(3600),
        },
        cache: CacheSizes { accounts: 256, slots: 256, code_bytes: 1 << 20 },
        max_size: 1 << 32,
        growth: 1 << 20,
        max_readers: 64,
        ..StorageOptions::default()
    };
    let trie = TrieConfig { page_limit: 3, ..TrieConfig::default() };
    let streaming = RootStreaming::Always;
    ChainOptions { storage, trie, code_cache: 1 << 20, streaming, ..ChainOptions::default() }
}

fn hashed(state: &MemoryState) -> HashedGenesis {
    let mut genesis = HashedGenesis::default();
    let mut codes = BTreeMap::new();
    for (address, account) in state.accounts() {
        let (hash, info) = (keccak256(address), account.info());
        let (balance, nonce, code_hash) = (info.balance, info.nonce, info.code_hash);
        genesis.accounts.push((hash, AccountState { balance, nonce, code_hash }));
        let code = state.code(&code_hash);
        if !code.is_empty() {
            codes.insert(code_hash, code);
        }
        let slots = account.storage().iter();
        genesis
            .slots
            .extend(slots.map(|(slot, value)| (hash, keccak256(B256::from(*slot)), *value)));
    }
    genesis.codes = codes.into_iter().collect();
    genesis
}

/// The first difference between a state and the one in a database.
pub(crate) fn compare_stored(expected: &MemoryState, chain: &StoredChain) -> Result<(), String> {
    let wanted = hashed(expected);
    let read = || -> Result<_, warpline_storage::StorageError> {
        let snapshot = chain.storage().snapshot(1)?;
        let reader = snapshot.reader()?;
        let mut accounts = BTreeMap::new();
        let mut slots = BTreeMap::new();
        for (account, stored) in reader.accounts_from(&B256::ZERO, usize::MAX)? {
            accounts.insert(account, stored.state);
            for (slot, value) in reader.slots_from(&account, &B256::ZERO, usize::MAX)? {
                slots.insert((account, slot), value);
            }
        }
        Ok((accounts, slots))
    };
    let (accounts, slots) = read().map_err(|error| error.to_string())?;
    let wanted_accounts: BTreeMap<_, _> = wanted.accounts.into_iter().collect();
    let wanted_slots: BTreeMap<_, _> =
        wanted.slots.into_iter().map(|(account, slot, value)| ((account, slot), value)).collect();
    let name = |hash: &B256| {
        let known = expected.accounts().find(|(address, _)| keccak256(address) == *hash);
        known.map_or_else(|| format!("of hash {hash}"), |(address, _)| address.to_string())
    };
    for hash in wanted_accounts.keys().chain(accounts.keys()) {
        let (left, right) = (wanted_accounts.get(hash), accounts.get(hash));
        if left != right {
            return Err(format!("account {}: expected {left:?}, got {right:?}", name(hash)));
        }
    }
    for key in wanted_slots.keys().chain(slots.keys()) {
        let (left, right) = (wanted_slots.get(key), slots.get(key));
        if left != right {
            let (account, slot) = (name(&key.0), key.1);
            return Err(format!(
                "account {account}: slot of hash {slot}: expected {left:?}, got {right:?}"
            ));
        }
    }
    Ok(())
}
