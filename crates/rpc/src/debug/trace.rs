//! What happened inside transactions: `debug_trace*`, and `trace_transaction` and `trace_block` as
//! Parity has them.

use crate::{
    Context, RpcError,
    args::Args,
    eth::{At, FullBlock, limits, with_block},
    registry::Registry,
    wire::{BlockId, Hex, Quantity},
};
use alloy_consensus::{Block, BlockBody, Header, transaction::SignerRecoverable};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::{geth::GethTrace, parity::LocalizedTransactionTrace};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use warpline_executor::{ParentState, UnreachedRules};
use warpline_predictor::BlockValues;
use warpline_simulation::{
    BlockOverrides, CallBlock, Limits, Overrides, StateOverrides, TraceOptions, TracedBlock,
    flat_traces, trace_block, trace_call, trace_call_within, trace_transaction,
};
use warpline_storage::{BlockRef, Transaction};

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("debug_traceTransaction", 2, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        let options = options(args)?;
        let (subject, index) = Subject::of_transaction(context, hash.0)?;
        let limits = timed(context, &options)?;
        let block = subject.block(context);
        Ok(trace_transaction(subject.parent.state.open(), &block, index, &options, &limits)?)
    });
    registry.slow("debug_traceBlockByNumber", 2, |context, args| {
        let id = args.required("block number")?;
        traces(context, &Subject::read(context, id)?, args)
    });
    registry.slow("debug_traceBlockByHash", 2, |context, args| {
        let hash: Hex<B256> = args.required("block hash")?;
        traces(context, &Subject::read(context, BlockId::Hash(hash.0))?, args)
    });
    registry.slow("debug_traceBlock", 2, |context, args| {
        let rlp: Bytes = args.required("block")?;
        traces(context, &Subject::decode(context, &rlp)?, args)
    });
    registry.slow("debug_traceCall", 3, call);
    registry.slow("trace_transaction", 1, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        match position(context, hash.0)? {
            Some((number, index)) => {
                let subject = Subject::read(context, BlockId::Number(number))?;
                flat(context, &subject, Some(index)).map(Some)
            }
            None => Ok(None),
        }
    });
    registry.slow("trace_block", 1, |context, args| {
        let id = args.required("block")?;
        if with_block(context, id, |block| Ok(block.header.number))? == Some(0) {
            return Ok(Vec::new());
        }
        flat(context, &Subject::read(context, id)?, None)
    });
}

/// A block to look into, with the state before it.
pub(crate) struct Subject {
    pub(crate) parent: At,
    pub(super) header: Header,
    pub(super) hash: B256,
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    pub(super) ommers: Vec<Header>,
    pub(super) withdrawals: Option<Withdrawals>,
}

impl Subject {
    pub(crate) fn read(context: &Context, id: BlockId) -> Result<Self, RpcError> {
        let found = with_block(context, id, |block| {
            let senders = block.senders()?;
            let FullBlock { hash, header, body, .. } = block;
            Ok((hash, Block { header, body }, senders))
        })?;
        let (hash, block, senders) = found.ok_or_else(|| not_found(id))?;
        Self::new(context, hash, block, senders)
    }

    pub(crate) fn of_transaction(context: &Context, hash: B256) -> Result<(Self, usize), RpcError> {
        let found = position(context, hash)?;
        let (number, index) = found.ok_or_else(|| RpcError::refused("transaction not found"))?;
        let subject = Self::read(context, BlockId::Number(number))?;
        // The chain may have moved in between.
        match subject.transactions.get(index) {
            Some(transaction) if *transaction.tx_hash() == hash => Ok((subject, index)),
            _ => Err(RpcError::refused("transaction not found")),
        }
    }

    fn decode(context: &Context, mut rlp: &[u8]) -> Result<Self, RpcError> {
        let wrong = |error: &dyn core::fmt::Display| {
            RpcError::invalid_params(format!("could not decode block: {error}"))
        };
        let block = Block::<Transaction>::decode(&mut rlp).map_err(|error| wrong(&error))?;
        let sender = SignerRecoverable::recover_signer;
        let senders: Result<Vec<_>, _> = block.body.transactions.iter().map(sender).collect();
        let senders = senders.map_err(|error| wrong(&error))?;
        Self::new(context, block.header.hash_slow(), block, senders)
    }

    fn new(
        context: &Context,
        hash: B256,
        block: Block<Transaction>,
        senders: Vec<Address>,
    ) -> Result<Self, RpcError> {
        let number = block.header.number;
        if number == 0 {
            return Err(RpcError::refused("genesis is not traceable"));
        }
        let parent = At::before(context, BlockRef { number, hash })?;
        if parent.state.block().hash != block.header.parent_hash {
            let words = format!("parent {:#x} not found", block.header.parent_hash);
            return Err(RpcError::refused(words));
        }
        let Block { header, body } = block;
        let BlockBody { transactions, ommers, withdrawals } = body;
        Ok(Self { parent, header, hash, transactions, senders, ommers, withdrawals })
    }

    /// What a prediction takes of the block.
    pub(crate) fn values(&self, context: &Context) -> BlockValues {
        let chain = self.parent.next_chain(context.view().rules());
        CallBlock { chain, header: &self.header }.values()
    }

    pub(crate) fn block<'a>(&'a self, context: &'a Context) -> TracedBlock<'a> {
        let rules = context.view().rules();
        let net_gas_metering = rules.net_gas_metering(self.header.number);
        TracedBlock {
            chain: self.parent.next_chain(rules),
            header: &self.header,
            hash: self.hash,
            transactions: &self.transactions,
            senders: &self.senders,
            unreached: UnreachedRules { net_gas_metering, ..UnreachedRules::default() },
        }
    }
}

/// Where a transaction is: the number of its block, and its index there.
pub(crate) fn position(context: &Context, hash: B256) -> Result<Option<(u64, usize)>, RpcError> {
    let blocks = context.view().blocks()?;
    let found = blocks.reader()?.transaction_position(&hash)?;
    let index = |index| usize::try_from(index).unwrap_or(usize::MAX);
    Ok(found.map(|(number, at)| (number, index(at))))
}

fn not_found(id: BlockId) -> RpcError {
    RpcError::refused(match id {
        BlockId::Number(number) => format!("block #{number} not found"),
        BlockId::Hash(hash) | BlockId::Canonical(hash) => format!("block {hash:#x} not found"),
        BlockId::Tag(_) => "block not found".to_owned(),
    })
}

/// Options as geth has them. How far back the state may be computed from (`reexec`) makes no
/// difference: the states that there are are kept.
fn options(args: &mut Args<'_>) -> Result<TraceOptions, RpcError> {
    Ok(args.optional("trace options")?.unwrap_or_default())
}

/// The limits of a trace, which may ask for other times than calls have.
fn timed(context: &Context, options: &TraceOptions) -> Result<Limits, RpcError> {
    let limits = limits(context);
    let Some(text) = &options.timeout else { return Ok(limits) };
    let timeout = duration(text)
        .ok_or_else(|| RpcError::invalid_params(format!("invalid timeout: {text:?}")))?;
    Ok(Limits { timeout: Some(timeout), ..limits })
}

/// A duration as Go writes it: `5s`, `1m30s`, `1.5s`, `100ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// The trace of a transaction in a list of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTrace {
    tx_hash: B256,
    result: GethTrace,
}

fn traces(
    context: &Context,
    subject: &Subject,
    args: &mut Args<'_>,
) -> Result<Vec<TransactionTrace>, RpcError> {
    let options = options(args)?;
    let limits = timed(context, &options)?;
    let block = subject.block(context);
    let traces = trace_block(subject.parent.state.open(), &block, &options, &limits)?;
    let transactions = subject.transactions.iter().zip(traces);
    let trace = |(transaction, result): (&Transaction, GethTrace)| TransactionTrace {
        tx_hash: *transaction.tx_hash(),
        result,
    };
    Ok(transactions.map(trace).collect())
}

fn flat(
    context: &Context,
    subject: &Subject,
    index: Option<usize>,
) -> Result<Vec<LocalizedTransactionTrace>, RpcError> {
    let block = subject.block(context);
    Ok(flat_traces(subject.parent.state.open(), &block, index, &limits(context))?)
}

/// What `debug_traceCall` takes beside the call and the block.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CallOptions {
    #[serde(flatten)]
    trace: TraceOptions,
    state_overrides: Option<StateOverrides>,
    block_overrides: Option<BlockOverrides>,
    tx_index: Option<Quantity>,
}

fn call(context: &Context, args: &mut Args<'_>) -> Result<GethTrace, RpcError> {
    let request: TransactionRequest = args.required("transaction")?;
    let id: Option<BlockId> = args.optional("block")?;
    let options: CallOptions = args.optional("trace options")?.unwrap_or_default();
    let limits = timed(context, &options.trace)?;
    let overrides = Overrides {
        state: options.state_overrides.as_ref(),
        block: options.block_overrides.as_ref(),
    };
    let Some(Quantity(index)) = options.tx_index else {
        let at = At::new(context, id)?;
        let (state, block) = (at.state.open(), at.block(context));
        return Ok(trace_call(state, block, &request, overrides, &options.trace, &limits)?);
    };
    let subject = Subject::read(context, id.unwrap_or_default())?;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if index >= subject.transactions.len() {
        return Err(RpcError::refused(format!(
            "transaction index {index} out of range for block {:#x}",
            subject.hash
        )));
    }
    let (state, block) = (subject.parent.state.open(), subject.block(context));
    let trace = &options.trace;
    Ok(trace_call_within(state, &block, index, &request, overrides, trace, &limits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("5s"), Some(5_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1.5s"), Some(1_500));
        assert_eq!(millis("100ms"), Some(100));
        for wrong in ["", "5", "s", "5 s", "-1s", "1.2.3s", "5y"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
