//! A development node in a folder of its own, and what tests need to send to it.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer_local::PrivateKeySigner;
use revm::Database;
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use warpline_chain::{ChainOptions, Engine, GenesisBlock, Rules, StoredChain};
use warpline_executor::{ParallelConfig, ParentState};
use warpline_node::{
    DevAccounts, MNEMONIC, Mining, Node, NodeConfig, PredictorConfig, dev_genesis,
};
use warpline_txpool::PoolConfig;

pub(crate) const CHAIN_ID: u64 = 31_337;
pub(crate) const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// A development node.
pub(crate) struct Dev {
    pub(crate) node: Arc<Node>,
    pub(crate) folder: TempDir,
}

pub(crate) fn genesis() -> alloy_genesis::Genesis {
    let accounts = DevAccounts::from_mnemonic(MNEMONIC, 10).unwrap();
    dev_genesis(CHAIN_ID, accounts.addresses(), ETHER * U256::from(10_000), 30_000_000, 1)
}

pub(crate) fn create(path: &Path, preimages: bool) -> StoredChain {
    create_on(genesis(), path, preimages)
}

pub(crate) fn create_on(
    genesis: alloy_genesis::Genesis,
    path: &Path,
    preimages: bool,
) -> StoredChain {
    let rules = Rules::from_config(&genesis.config).unwrap();
    let block = GenesisBlock::new(&genesis, &rules).unwrap();
    let options =
        ChainOptions { config: Some(genesis.config), preimages, ..ChainOptions::default() };
    StoredChain::create(path, options, rules, &block).unwrap()
}

pub(crate) fn start(mining: Mining) -> Dev {
    let folder = tempfile::tempdir().unwrap();
    let chain = create(&folder.path().join("db"), true);
    start_on(chain, folder, mining)
}

pub(crate) fn start_on(chain: StoredChain, folder: TempDir, mining: Mining) -> Dev {
    start_with(chain, folder, mining, None)
}

/// The chain that was made in a folder.
pub(crate) fn open(path: &Path) -> StoredChain {
    let genesis = genesis();
    let rules = Rules::from_config(&genesis.config).unwrap();
    let options = ChainOptions { preimages: true, ..ChainOptions::default() };
    StoredChain::open(path, options, rules, None).unwrap()
}

pub(crate) fn start_with(
    chain: StoredChain,
    folder: TempDir,
    mining: Mining,
    predictor: Option<PredictorConfig>,
) -> Dev {
    start_as(chain, folder, NodeConfig { mining, predictor, ..config() })
}

/// A node that makes blocks when asked to.
pub(crate) fn config() -> NodeConfig {
    NodeConfig {
        pool: PoolConfig::dev(),
        dev: true,
        pending_lag: Duration::ZERO,
        accounts: DevAccounts::from_mnemonic(MNEMONIC, 10).unwrap(),
        ..NodeConfig::default()
    }
}

pub(crate) fn start_as(chain: StoredChain, folder: TempDir, config: NodeConfig) -> Dev {
    let engine = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
    let engine = Engine::parallel(engine).unwrap();
    Dev { node: Node::start(chain, engine, config).unwrap(), folder }
}

impl Dev {
    pub(crate) fn signer(&self, index: usize) -> PrivateKeySigner {
        self.node.accounts().signers()[index].clone()
    }

    /// Shuts the node down and lets go of its database.
    pub(crate) fn close(self) -> TempDir {
        self.node.shutdown().unwrap();
        let Self { node, folder } = self;
        assert!(Arc::into_inner(node).is_some(), "somebody still has the node");
        folder
    }

    pub(crate) fn balance(&self, address: Address) -> U256 {
        let state = self.node.view().latest().unwrap();
        let account = state.open().basic(address).unwrap();
        account.map_or(U256::ZERO, |account| account.balance)
    }

    pub(crate) fn nonce(&self, address: Address) -> u64 {
        let state = self.node.view().latest().unwrap();
        let account = state.open().basic(address).unwrap();
        account.map_or(0, |account| account.nonce)
    }
}

/// A signed transfer, in the network form.
pub(crate) fn transfer(from: &PrivateKeySigner, nonce: u64, to: Address, value: U256) -> Bytes {
    signed(from, TxEip1559 { nonce, to: TxKind::Call(to), value, ..call() })
}

/// A transaction without what matters.
pub(crate) fn call() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        ..TxEip1559::default()
    }
}

pub(crate) fn signed(from: &PrivateKeySigner, tx: TxEip1559) -> Bytes {
    use alloy_signer::SignerSync;
    let signature = from.sign_hash_sync(&tx.signature_hash()).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}
