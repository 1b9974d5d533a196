//! What a transaction is expected to touch, and how good the predictor is.

use crate::{
    Context, RpcError,
    args::Args,
    debug::{Subject, position},
    eth::At,
    registry::Registry,
    wire::{BlockId, Quantity},
};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use revm::context::TxEnv;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use warpline_executor::ParentState;
use warpline_node::{Predictor, PredictorStats, signed_transaction};
use warpline_predictor::{
    AccessHint, AccountHint, Care, Gaps, SlotHint, Source, Tally, TemplateKey,
};
use warpline_simulation::call_transaction;

pub(super) fn register(registry: &mut Registry) {
    registry.slow("warp_predictAccessList", 2, predict);
    registry.quick("warp_predictorStatistics", 0, |context, _| {
        Ok(Statistics::from(predictor(context)?.stats()))
    });
}

fn predictor(context: &Context) -> Result<&Predictor, RpcError> {
    let off = || RpcError::refused("the predictor is off (--predictor.memory 0)");
    context.node.predictor().ok_or_else(off)
}

/// A transaction as callers name it.
#[derive(Debug)]
enum Wanted {
    Hash(B256),
    Raw(Bytes),
    Call(Box<TransactionRequest>),
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => {
                let bytes: Bytes = text.parse().map_err(de::Error::custom)?;
                // No transaction is so short: signatures alone are longer.
                Ok(B256::try_from(&bytes[..]).map_or(Self::Raw(bytes), Self::Hash))
            }
            call @ Value::Object(_) => {
                serde_json::from_value(call).map(Self::Call).map_err(de::Error::custom)
            }
            _ => Err(de::Error::custom("a hash, the bytes of a transaction, or a call")),
        }
    }
}

fn predict(context: &Context, args: &mut Args<'_>) -> Result<Prediction, RpcError> {
    let predictor = predictor(context)?;
    let wanted: Wanted = args.required("transaction")?;
    let block: Option<BlockId> = args.optional("block")?;
    match wanted {
        Wanted::Hash(hash) if block.is_none() => by_hash(context, predictor, hash),
        Wanted::Hash(_) => {
            Err(RpcError::invalid_params("invalid argument 1 (block): a hash says which block"))
        }
        Wanted::Raw(raw) => {
            let tx = signed_transaction(&raw, context.view().rules().chain_id())?;
            next(context, predictor, &tx, block)
        }
        Wanted::Call(request) => {
            let at = At::new(context, block)?;
            let tx = call_transaction(&request, at.block(context), context.config.gas_cap)?;
            next(context, predictor, &tx, block)
        }
    }
}

/// A transaction of the chain on the state before its block, one of the pool on the latest. It may
/// go from the one to the other while it is looked for.
fn by_hash(context: &Context, predictor: &Predictor, hash: B256) -> Result<Prediction, RpcError> {
    let waiting = context.node.pool().get(&hash);
    if position(context, hash)?.is_none()
        && let Some(waiting) = waiting
    {
        let tx = TxEnv::from_recovered_tx(waiting.transaction(), waiting.sender());
        return next(context, predictor, &tx, None);
    }
    let (subject, index) = Subject::of_transaction(context, hash)?;
    let tx = subject.block(context).transaction(index);
    let tx = tx.ok_or_else(|| RpcError::refused("transaction not found"))?;
    let state = &subject.parent.state;
    let values = subject.values(context);
    let hint = predictor.predict(&tx, &values, state.open(), Care::Analytic);
    let block = state.block();
    Ok(Prediction::new(&hint, block.number, block.hash))
}

/// A transaction of the block after one, the latest where none is named.
fn next(
    context: &Context,
    predictor: &Predictor,
    tx: &TxEnv,
    block: Option<BlockId>,
) -> Result<Prediction, RpcError> {
    let state = context.state(block)?;
    let hint = predictor.predict_next(tx, context.view(), &state)?;
    let block = state.block();
    Ok(Prediction::new(&hint, block.number, block.hash))
}

/// What a transaction is expected to touch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    /// The block on whose state the transaction was predicted.
    state: StateAfter,
    accounts: Vec<RpcAccount>,
    slots: Vec<RpcSlot>,
    gaps: RpcGaps,
}

#[derive(Debug, Serialize)]
struct StateAfter {
    number: Quantity,
    hash: B256,
}

#[derive(Debug, Serialize)]
struct RpcAccount {
    address: Address,
    written: bool,
    commutative: bool,
    confidence: f32,
    source: RpcSource,
}

#[derive(Debug, Serialize)]
struct RpcSlot {
    address: Address,
    slot: B256,
    written: bool,
    confidence: f32,
    source: RpcSource,
}

/// Where an expectation comes from.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum RpcSource {
    Envelope,
    AccessList,
    Template { code_hash: B256, selector: Option<Bytes> },
    History { code_hash: B256, selector: Option<Bytes> },
    Bytecode { code_hash: B256 },
    Trial,
}

/// What could not be predicted, by reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcGaps {
    unseen_code: Quantity,
    unseen_path: Quantity,
    no_formula: Quantity,
    undecided: Quantity,
    cut_short: Quantity,
    creations: Quantity,
}

impl Prediction {
    fn new(hint: &AccessHint, number: u64, hash: B256) -> Self {
        Self {
            state: StateAfter { number: Quantity(number), hash },
            accounts: hint.accounts().iter().map(RpcAccount::from).collect(),
            slots: hint.slots().iter().map(RpcSlot::from).collect(),
            gaps: RpcGaps::from(&hint.gaps),
        }
    }
}

impl From<&AccountHint> for RpcAccount {
    fn from(hint: &AccountHint) -> Self {
        let AccountHint { address, written, commutative, confidence, source } = *hint;
        Self { address, written, commutative, confidence, source: source.into() }
    }
}

impl From<&SlotHint> for RpcSlot {
    fn from(hint: &SlotHint) -> Self {
        let SlotHint { address, slot, written, confidence, source } = *hint;
        Self { address, slot: slot.into(), written, confidence, source: source.into() }
    }
}

impl From<Source> for RpcSource {
    fn from(source: Source) -> Self {
        let of = |key: TemplateKey| {
            (key.code, key.selector.map(|selector| Bytes::copy_from_slice(&selector)))
        };
        match source {
            Source::Envelope => Self::Envelope,
            Source::AccessList => Self::AccessList,
            Source::Template(key) => {
                let (code_hash, selector) = of(key);
                Self::Template { code_hash, selector }
            }
            Source::History(key) => {
                let (code_hash, selector) = of(key);
                Self::History { code_hash, selector }
            }
            Source::Bytecode(code_hash) => Self::Bytecode { code_hash },
            Source::Trial => Self::Trial,
        }
    }
}

impl From<&Gaps> for RpcGaps {
    fn from(gaps: &Gaps) -> Self {
        let count = |count: u32| Quantity(count.into());
        Self {
            unseen_code: count(gaps.unseen_code),
            unseen_path: count(gaps.unseen_path),
            no_formula: count(gaps.no_formula),
            undecided: count(gaps.undecided),
            cut_short: count(gaps.cut_short),
            creations: count(gaps.creations),
        }
    }
}

/// What the predictor knows, what it has learned from since the start, and how good it was of late.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    functions: Quantity,
    bytes: Quantity,
    limit: Quantity,
    blocks: Quantity,
    dropped_blocks: Quantity,
    trials: Quantity,
    dropped_transactions: Quantity,
    failures: Quantity,
    score: Score,
}

/// Of the transactions of the latest blocks that were learned from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Score {
    blocks: Quantity,
    transactions: Quantity,
    accounts: Shares,
    slots: Shares,
    slots_written: Shares,
}

/// Null where there is nothing to be a share of.
#[derive(Debug, Serialize)]
struct Shares {
    precision: Option<f64>,
    recall: Option<f64>,
}

impl From<&Tally> for Shares {
    fn from(tally: &Tally) -> Self {
        Self { precision: tally.precision(), recall: tally.recall() }
    }
}

impl From<PredictorStats> for Statistics {
    fn from(stats: PredictorStats) -> Self {
        let size = |size: usize| Quantity(size as u64);
        let of = &stats.score;
        Self {
            functions: size(stats.functions),
            bytes: size(stats.bytes),
            limit: size(stats.limit),
            blocks: Quantity(stats.blocks),
            dropped_blocks: Quantity(stats.dropped_blocks),
            trials: Quantity(stats.trials),
            dropped_transactions: Quantity(stats.dropped_transactions),
            failures: Quantity(stats.failures),
            score: Score {
                blocks: size(stats.scored_blocks),
                transactions: Quantity(of.transactions),
                accounts: Shares::from(&of.accounts),
                slots: Shares::from(&of.slots),
                slots_written: Shares::from(&of.slots_written),
            },
        }
    }
}
