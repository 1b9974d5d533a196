//! `eth_simulateV1`.

use super::call::{At, limits};
use crate::{
    Context, RpcError,
    args::Args,
    registry::Registry,
    wire::{LogPlace, Mined, Quantity, RpcBlock, RpcHeader, RpcLog, RpcTransaction, Transactions},
};
use alloy_primitives::{B256, Bytes, Signature, U256};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use std::borrow::Cow;
use warpline_chain::{BlockRoots, ImportError};
use warpline_executor::ParentState;
use warpline_simulation::{
    SimulateRequest, SimulatedBlock, SimulatedCall, StateRoots, UnsignedTransaction, simulate,
};
use warpline_types::StateDiff;

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("eth_simulateV1", 2, simulate_v1);
}

/// Roots of the tries in the database.
struct Roots(BlockRoots);

impl StateRoots for Roots {
    type Error = ImportError;

    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        self.0.root_after(changes)
    }
}

fn simulate_v1(context: &Context, args: &mut Args<'_>) -> Result<Box<RawValue>, RpcError> {
    let request: SimulateRequest = args.required("simulation")?;
    if request.block_state_calls.is_empty() {
        return Err(RpcError::invalid_params("empty input"));
    }
    let at = At::new(context, args.optional("block")?)?;
    let mut roots = Roots(at.state.roots()?);
    let (base, limits) = (at.block(context), limits(context));
    let blocks = simulate(at.state.open(), &mut roots, base, &request, &limits)?;
    let full = request.return_full_transactions;
    let blocks: Vec<_> = blocks.iter().map(|block| RpcSimulated::new(block, full)).collect();
    to_raw_value(&blocks).map_err(RpcError::internal)
}

/// A simulated block.
#[derive(Debug, Serialize)]
struct RpcSimulated<'a> {
    #[serde(flatten)]
    block: RpcBlock<'a>,
    calls: Vec<RpcCall<'a>>,
}

/// What came of a call in a simulated block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcCall<'a> {
    return_data: Bytes,
    logs: Vec<RpcLog<'a>>,
    gas_used: Quantity,
    max_used_gas: Quantity,
    status: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CallError>,
}

/// How a call failed.
#[derive(Debug, Serialize)]
struct CallError {
    code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl<'a> RpcSimulated<'a> {
    fn new(block: &'a SimulatedBlock, full: bool) -> Self {
        let transactions = block.transactions.iter();
        let transactions = if full {
            let place = |(index, tx)| transaction(block, index, tx);
            Transactions::Full(transactions.enumerate().map(place).collect())
        } else {
            Transactions::Hashes(transactions.map(|tx| tx.hash).collect())
        };
        let calls = block.calls.iter().enumerate();
        Self {
            block: RpcBlock {
                header: RpcHeader { hash: block.hash, header: &block.header },
                size: Quantity(block.size as u64),
                transactions: Some(transactions),
                uncles: Vec::new(),
                withdrawals: block.withdrawals.as_ref().map(|list| list.as_slice()),
            },
            calls: calls.map(|(index, call)| RpcCall::new(block, index, call)).collect(),
        }
    }
}

fn transaction<'a>(
    block: &SimulatedBlock,
    index: usize,
    unsigned: &UnsignedTransaction,
) -> RpcTransaction<'a> {
    let signature = Signature::new(U256::ZERO, U256::ZERO, false);
    RpcTransaction {
        hash: unsigned.hash,
        from: unsigned.from,
        transaction: Cow::Owned((unsigned.tx.clone(), signature).into()),
        mined: Some(Mined {
            block_hash: block.hash,
            block_number: block.header.number,
            timestamp: block.header.timestamp,
            base_fee: block.header.base_fee_per_gas,
            index: index as u64,
        }),
    }
}

impl<'a> RpcCall<'a> {
    fn new(block: &SimulatedBlock, index: usize, call: &'a SimulatedCall) -> Self {
        let hash = block.transactions.get(index).map(|tx| tx.hash);
        let place = |log_index| LogPlace {
            block_hash: block.hash,
            block_number: block.header.number,
            timestamp: block.header.timestamp,
            transaction_hash: hash.unwrap_or_default(),
            transaction_index: index as u64,
            log_index,
        };
        let (outcome, logs) = (&call.outcome, call.logs.iter());
        let success = outcome.is_success();
        let error = RpcError::of_outcome(outcome);
        Self {
            return_data: if success { outcome.output.clone() } else { Bytes::new() },
            logs: logs.map(|log| RpcLog::new(&log.log, &place(log.index), false)).collect(),
            gas_used: Quantity(outcome.gas_used),
            max_used_gas: Quantity(outcome.max_gas_used),
            status: Quantity(success.into()),
            error: error.map(|RpcError { code, message, data }| CallError { code, message, data }),
        }
    }
}
