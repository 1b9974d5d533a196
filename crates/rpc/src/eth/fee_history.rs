//! What gas has cost: `eth_feeHistory`.

use super::fees::{blob_base_fee, next_base_fee};
use crate::{
    Context, RpcError,
    args::Args,
    registry::Registry,
    wire::{BlockId, Quantity, Tag},
};
use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use warpline_storage::{StoredReceipt, Transaction};

/// Most blocks of one answer, as in geth.
const MAX_BLOCKS: u64 = 1024;
/// Most percentiles of one request, as in geth.
const MAX_PERCENTILES: usize = 100;

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("eth_feeHistory", 3, |context, args| {
        let count: Count = args.required("block count")?;
        fee_history(context, count.get(), args)
    });
}

/// A number of blocks, as a JSON number, or a string in hex or decimal.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of blocks, in hex or as a JSON number")]
enum Count {
    Number(u64),
    Hex(Quantity),
    Decimal(#[serde(deserialize_with = "decimal")] u64),
}

impl Count {
    const fn get(&self) -> u64 {
        match self {
            Self::Number(count) | Self::Hex(Quantity(count)) | Self::Decimal(count) => *count,
        }
    }
}

fn decimal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    oldest_block: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<U256>>>,
    base_fee_per_gas: Vec<U256>,
    gas_used_ratio: Vec<f64>,
    base_fee_per_blob_gas: Vec<U256>,
    blob_gas_used_ratio: Vec<f64>,
}

fn fee_history(context: &Context, count: u64, args: &mut Args<'_>) -> Result<FeeHistory, RpcError> {
    let newest: BlockId = args.required("newest block")?;
    let percentiles: Vec<f64> = args.optional("reward percentiles")?.unwrap_or_default();
    check(&percentiles)?;
    let pending = match newest {
        BlockId::Tag(Tag::Pending) => context.pending()?.map(|(block, _)| block),
        _ => None,
    };
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let head = blocks.block().number;
    // The chain may have moved on to the pending block meanwhile, or past it.
    let pending = pending.filter(|block| block.parent() == blocks.block());
    let Some(in_chain) = context.number_of(&blocks, &reader, newest)? else {
        let words = match newest {
            BlockId::Number(asked) => {
                format!("request beyond head block: requested {asked}, head {head}")
            }
            _ => "header not found".to_owned(),
        };
        return Err(RpcError::refused(words));
    };
    let newest = in_chain + u64::from(pending.is_some());
    let count = count.min(MAX_BLOCKS).min(newest + 1);
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let mut history = FeeHistory { oldest_block: Quantity(oldest), ..FeeHistory::default() };
    let mut rewards = Vec::new();
    let mut last = None;
    for number in oldest..=in_chain {
        let header = reader.header(number)?.map(|(header, _)| header);
        let Some(header) = header else { break };
        history.add(context, &header);
        if !percentiles.is_empty() {
            let body = reader.body(number)?.unwrap_or_default();
            let receipts = reader.receipts(number)?.unwrap_or_default();
            rewards.push(reward(&header, &body.transactions, &receipts, &percentiles));
        }
        last = Some(header);
    }
    if let Some(block) = &pending {
        history.add(context, &block.header);
        if !percentiles.is_empty() {
            let (transactions, receipts) = (&block.body.transactions, &block.receipts);
            rewards.push(reward(&block.header, transactions, receipts, &percentiles));
        }
        last = Some(block.header.clone());
    }
    if let Some(last) = last {
        history.add_next(context, &last);
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// Percentiles have to rise from 0 to 100.
fn check(percentiles: &[f64]) -> Result<(), RpcError> {
    if percentiles.len() > MAX_PERCENTILES {
        let words = format!("invalid reward percentile: over the query limit {MAX_PERCENTILES}");
        return Err(RpcError::refused(words));
    }
    for (index, percentile) in percentiles.iter().enumerate() {
        if !(0.0..=100.0).contains(percentile) {
            return Err(RpcError::refused(format!("invalid reward percentile: {percentile}")));
        }
        if index > 0 && *percentile <= percentiles[index - 1] {
            let before = percentiles[index - 1];
            let words = format!(
                "invalid reward percentile: #{}:{before} >= #{index}:{percentile}",
                index - 1
            );
            return Err(RpcError::refused(words));
        }
    }
    Ok(())
}

impl FeeHistory {
    fn add(&mut self, context: &Context, header: &Header) {
        self.base_fee_per_gas.push(U256::from(header.base_fee_per_gas.unwrap_or_default()));
        self.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        let blob_fee = blob_base_fee(context, header).unwrap_or_default();
        self.base_fee_per_blob_gas.push(U256::from(blob_fee));
        let params = context.view().rules().after_merge.blob_params(header.timestamp);
        let most = params.map_or(0, |params| params.max_blob_gas_per_block());
        self.blob_gas_used_ratio.push(ratio(header.blob_gas_used.unwrap_or_default(), most));
    }

    /// Fees are known one block ahead.
    fn add_next(&mut self, context: &Context, header: &Header) {
        let base_fee = next_base_fee(context, header).unwrap_or_default();
        self.base_fee_per_gas.push(U256::from(base_fee));
        let params = context.view().rules().after_merge.blob_params(header.timestamp);
        let blob_fee = params.and_then(|params| header.next_block_blob_fee(params));
        self.base_fee_per_blob_gas.push(U256::from(blob_fee.unwrap_or_default()));
    }
}

fn ratio(used: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { used as f64 / of as f64 }
}

/// The priority fees at these percentiles of the gas of a block.
fn reward(
    header: &Header,
    transactions: &[Transaction],
    receipts: &[StoredReceipt],
    percentiles: &[f64],
) -> Vec<U256> {
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let mut before = 0;
    let paid = transactions.iter().zip(receipts).map(|(transaction, receipt)| {
        let gas = receipt.receipt.cumulative_gas_used.saturating_sub(before);
        before = receipt.receipt.cumulative_gas_used;
        (transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), gas)
    });
    let mut paid: Vec<(u128, u64)> = paid.collect();
    paid.sort_unstable();
    let (mut at, mut gas) = (0, paid.first().map_or(0, |(_, gas)| *gas));
    let rewards = percentiles.iter().map(|percentile| {
        let threshold = (header.gas_used as f64 * percentile / 100.0) as u64;
        while gas < threshold && at + 1 < paid.len() {
            at += 1;
            gas += paid[at].1;
        }
        U256::from(paid.get(at).map_or(0, |(tip, _)| *tip))
    });
    rewards.collect()
}
