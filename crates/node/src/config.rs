//! How a node works.

use crate::{DevAccounts, PredictorConfig};
use alloy_primitives::{Address, Bytes};
use std::time::Duration;
use warpline_txpool::PoolConfig;

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// As soon as there are transactions; those that arrive together share a block.
    Instant,
    /// One each time that so much has passed, transactions or not.
    Interval(Duration),
    /// When somebody asks.
    Manual,
}

/// How a node works.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// When blocks are made.
    pub mining: Mining,
    /// Who gets the fees of new blocks.
    pub coinbase: Address,
    /// Gas limit that new blocks approach; none to keep the parent's.
    pub gas_limit: Option<u64>,
    /// What the headers of new blocks carry, at most 32 bytes.
    pub extra_data: Bytes,
    /// Smallest tip of a transaction in a new block, in wei per gas.
    pub min_tip: u128,
    /// How far the pending block may be behind the pool while it takes long to build; zero to
    /// have it up to date whenever somebody asks, at any cost.
    pub pending_lag: Duration,
    /// The pool.
    pub pool: PoolConfig,
    /// The predictor of accesses; none to do without.
    pub predictor: Option<PredictorConfig>,
    /// Whether transactions that wait for a block are executed before it is made.
    pub early: bool,
    /// Whether this is a development chain, whose state and time callers may change.
    pub dev: bool,
    /// Accounts whose keys the node has.
    pub accounts: DevAccounts,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            mining: Mining::Manual,
            coinbase: Address::ZERO,
            gas_limit: None,
            extra_data: Bytes::from_static(b"warpline"),
            min_tip: 0,
            pending_lag: Duration::from_secs(2),
            pool: PoolConfig::default(),
            predictor: None,
            early: true,
            dev: false,
            accounts: DevAccounts::default(),
        }
    }
}
