//! Whole blocks that are not part of any chain: `eth_simulateV1`.
//!
//! `plan` puts the blocks that were asked for in order and fills the gaps, `block` executes one
//! after the other, each on the state after the one before, `transaction` turns a call into the
//! unsigned transaction that stands in the block, and `logs` keeps what the calls logged, with
//! their transfers.

mod block;
mod logs;
mod plan;
mod transaction;

pub use logs::{CallLog, TRANSFER_EMITTER};
pub use transaction::UnsignedTransaction;

use crate::{BlockOverrides, CallBlock, Limits, Outcome, Overlay, SimulationError, StateOverrides};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::Database;
use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionRequest;
use serde::{Deserialize, Deserializer};
use warpline_types::StateDiff;

/// Most blocks in one simulation, with those that fill the gaps.
pub const MAX_BLOCKS: u64 = 256;

/// What to simulate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SimulateRequest {
    /// The blocks.
    #[serde(deserialize_with = "or_default")]
    pub block_state_calls: Vec<BlockStateCalls>,
    /// Whether transfers of value are told as logs of [`TRANSFER_EMITTER`].
    #[serde(deserialize_with = "or_default")]
    pub trace_transfers: bool,
    /// Whether nonces, fees and the base fee follow the rules of the chain.
    #[serde(deserialize_with = "or_default")]
    pub validation: bool,
    /// Whether the answer has whole transactions instead of hashes.
    #[serde(deserialize_with = "or_default")]
    pub return_full_transactions: bool,
}

/// One block to simulate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockStateCalls {
    /// Fields of the header.
    pub block_overrides: Option<BlockOverrides>,
    /// Changes to the state before the block.
    pub state_overrides: Option<StateOverrides>,
    /// What happens in the block.
    #[serde(deserialize_with = "or_default")]
    pub calls: Vec<TransactionRequest>,
}

/// `null` is as good as nothing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A block that was simulated.
#[derive(Debug, Clone)]
pub struct SimulatedBlock {
    /// Its header.
    pub header: Header,
    /// The hash of its header.
    pub hash: B256,
    /// Its length in RLP.
    pub size: usize,
    /// The calls as transactions.
    pub transactions: Vec<UnsignedTransaction>,
    /// Its withdrawals, from Shanghai on.
    pub withdrawals: Option<Withdrawals>,
    /// What came of each call.
    pub calls: Vec<SimulatedCall>,
}

/// What came of a call in a simulated block.
#[derive(Debug, Clone)]
pub struct SimulatedCall {
    /// How it ended.
    pub outcome: Outcome,
    /// Its logs with their places in the block, transfers among them.
    pub logs: Vec<CallLog>,
}

/// Computes roots of the state that blocks are simulated on.
pub trait StateRoots {
    /// Why there is no root.
    type Error;

    /// The root after some more changes, each account once, without what was before.
    ///
    /// # Errors
    /// The state cannot be read.
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, Self::Error>;
}

/// Why a simulation has no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError<E, R> {
    /// As for calls.
    #[error(transparent)]
    Simulation(#[from] SimulationError<E>),
    /// The root of the state could not be computed.
    #[error("{0}")]
    Roots(R),
}

/// Simulates blocks on top of `base`, the newest block of `state`.
///
/// # Errors
/// Blocks out of order or too many of them, calls that no block could contain, too little time, or
/// a state that cannot be read. A call that fails in the block is no error.
pub fn simulate<DB: Database, R: StateRoots>(
    state: DB,
    roots: &mut R,
    base: CallBlock<'_>,
    request: &SimulateRequest,
    limits: &Limits,
) -> Result<Vec<SimulatedBlock>, SimulateError<DB::Error, R::Error>> {
    let plan =
        plan::plan(base.header, &request.block_state_calls).map_err(SimulationError::from)?;
    let mut state = Overlay::new(state);
    state.deadline = limits.deadline();
    let base_hash = base.header.hash_slow();
    state.set_block_hash(base.header.number, base_hash);
    let mut simulation = block::Simulation {
        chain: base.chain,
        state,
        roots,
        validation: request.validation,
        trace_transfers: request.trace_transfers,
        gas_left: if limits.gas_cap == 0 { u64::MAX } else { limits.gas_cap },
    };
    let mut blocks: Vec<SimulatedBlock> = Vec::with_capacity(plan.len());
    for planned in &plan {
        let parent = blocks.last().map_or((base.header, base_hash), |b| (&b.header, b.hash));
        blocks.push(simulation.block(parent, planned)?);
    }
    Ok(blocks)
}
