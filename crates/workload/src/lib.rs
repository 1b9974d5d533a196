//! Synthetic blocks from real contracts: transfers to DePIN metering.
//!
//! A [`Workload`] says what the transactions do, a [`BlockSpec`] how many there are and which
//! share of them is *hot*: meets in one pool, token balance, counter or account. Cold
//! transactions have nothing in common but code, read-only data and the fees they pay; hot ones
//! each depend on the hot one before. [`generate`] makes the block and the complete state before
//! it from a seed, by placing the contracts' code and storage directly.
//!
//! ```
//! use warpline_workload::{BlockSpec, Workload, generate};
//!
//! let spec = BlockSpec { transactions: 20, hot_ratio: 0.3, ..BlockSpec::default() };
//! let block = generate(Workload::Dex, &spec)?;
//! assert_eq!(block.transactions.len(), 20);
//! # Ok::<(), warpline_workload::WorkloadError>(())
//! ```
//!
//! The contracts are our own (`contracts/`), compiled by `scripts/compile-contracts.mjs`.

mod artifact;
mod block;
mod catalogue;
mod error;
mod layout;
mod rng;
mod scenario;
mod world;

pub use block::{CHAIN_ID, WorkloadBlock};
pub use catalogue::Workload;
pub use error::WorkloadError;
pub use world::AccountState;

use alloy_primitives::Bytes;
use world::World;

/// The rules a block follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Every fork up to Osaka, from the first block on.
    #[default]
    Osaka,
    /// Homestead, for the workloads that run there: receipts hold state roots.
    Homestead,
}

/// The size and the contention of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSpec {
    /// How many transactions.
    pub transactions: usize,
    /// The share of them that meets in one place, from 0 to 1.
    pub hot_ratio: f64,
    /// What everything random follows from.
    pub seed: u64,
    /// The rules the block follows.
    pub rules: Rules,
}

impl Default for BlockSpec {
    fn default() -> Self {
        Self { transactions: 10_000, hot_ratio: 0.0, seed: 1, rules: Rules::Osaka }
    }
}

/// The code that one of the contracts has once it is deployed.
///
/// # Errors
/// There is no contract of that name.
pub fn runtime_code(name: &str) -> Result<Bytes, WorkloadError> {
    let known = artifact::Contract::ALL.iter().find(|contract| contract.name() == name);
    let contract = known.ok_or_else(|| WorkloadError::Contract { name: name.to_owned() })?;
    Ok(contract.load(Rules::Osaka)?.runtime().clone())
}

/// Makes a block and the state before it. The same arguments give the same block.
///
/// # Errors
/// When the ratio is no share, or the workload does not run under the rules.
pub fn generate(workload: Workload, spec: &BlockSpec) -> Result<WorkloadBlock, WorkloadError> {
    if !(0.0..=1.0).contains(&spec.hot_ratio) {
        return Err(WorkloadError::HotRatio { ratio: spec.hot_ratio });
    }
    if spec.rules == Rules::Homestead && !workload.runs_under_homestead() {
        return Err(WorkloadError::Rules { workload, rules: spec.rules });
    }
    let mut world = World::new(spec.seed, spec.rules, block::TIMESTAMP);
    let hot = (spec.hot_ratio * spec.transactions as f64).round() as usize;
    let hot = world.rng.flags(spec.transactions, hot);
    let mut scenario = scenario::build(workload, &mut world)?;
    let calls =
        hot.into_iter().map(|hot| scenario.call(&mut world, hot)).collect::<Result<_, _>>()?;
    block::assemble(world, calls)
}
