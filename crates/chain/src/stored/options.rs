//! How a chain in a database works.

use super::stream::RootStreaming;
use alloy_genesis::ChainConfig;
use alloy_primitives::{U256, map::AddressMap};
use warpline_storage::StorageOptions;
use warpline_trie::TrieConfig;

/// How a [`StoredChain`](crate::StoredChain) works.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// The database.
    pub storage: StorageOptions,
    /// The state trie. Its page limit is that which the database was made with.
    pub trie: TrieConfig,
    /// Bytes of analysed code to keep in memory.
    pub code_cache: u64,
    /// The accounts that [`GenesisBlock::storage_only`](crate::GenesisBlock::storage_only) lists.
    /// No chain has ever asked for them; without them, EIP-7610 is not observed.
    pub storage_only: AddressMap<U256>,
    /// The configuration of the chain, to be kept with a new database. See
    /// [`ChainRecord`](crate::ChainRecord).
    pub config: Option<ChainConfig>,
    /// Keep the addresses and slots of the genesis block and of blocks built here, so that
    /// [`BlockState::accounts`](crate::BlockState::accounts) can name them.
    pub preimages: bool,
    /// Which blocks have their root begun while they execute.
    pub streaming: RootStreaming,
    /// Make and keep the access list (EIP-7928) of every block. Those that headers commit to are
    /// kept anyway.
    pub access_lists: bool,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            storage: StorageOptions::default(),
            trie: TrieConfig::default(),
            code_cache: 128 << 20,
            storage_only: AddressMap::default(),
            config: None,
            preimages: false,
            streaming: RootStreaming::Never,
            access_lists: false,
        }
    }
}
