//! Chain rules by number and timestamp: built-in networks and geth genesis files.
//!
//! [`ChainSpec`] answers every question that depends on the fork: which rules a block follows,
//! what a blob costs, how revm is to be configured and what the block executor of alloy-evm must
//! know beside the transactions. It is a handle to shared, immutable data: cloning it is cheap.
//!
//! - `networks`: mainnet, Sepolia, Holesky and Hoodi, whose genesis block is in `hoodi`.
//! - `file`: geth's `genesis.json`.
//! - `genesis`: any chain that such a file can describe.
//! - `compare`: such a file against the network whose genesis block it makes.
//! - `env`: from a header to what the EVM needs.

mod compare;
mod env;
mod error;
mod file;
mod forks;
mod genesis;
mod hoodi;
mod networks;

pub use error::ChainSpecError;
pub use file::read_genesis;
pub use genesis::unknown_forks;

use alloy_eips::eip7840::BlobParams;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;
use forks::ForkTable;
use revm::primitives::hardfork::SpecId;
use std::sync::Arc;

/// The rules of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec(Arc<Rules>);

#[derive(Debug, PartialEq, Eq)]
struct Rules {
    name: String,
    chain_id: u64,
    forks: ForkTable,
    deposit_contract: Option<Address>,
    /// Blob parameters with the time they start at, in ascending order.
    blob_schedule: Vec<(u64, BlobParams)>,
}

impl ChainSpec {
    /// The chain's name: that of the built-in network, or `chain-<id>` for a custom one.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.0.chain_id
    }

    /// The youngest fork active in a block, as people call it.
    pub fn fork_name(&self, number: u64, timestamp: u64) -> &'static str {
        forks::human_name(self.0.forks.youngest(number, timestamp))
    }

    /// The rules revm applies to a block.
    pub fn spec_id(&self, number: u64, timestamp: u64) -> SpecId {
        alloy_evm::spec_by_timestamp_and_block_number(self, timestamp, number)
    }

    /// The blob parameters at a timestamp, `None` before Cancun.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        let started = self.0.blob_schedule.iter().rev().find(|(start, _)| *start <= timestamp);
        started.map(|(_, params)| *params)
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.0.forks.activation(fork)
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.0.deposit_contract
    }
}
