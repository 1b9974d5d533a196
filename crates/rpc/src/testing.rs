//! `testing_*`: blocks on demand, to test other clients with (execution-apis).

use crate::{
    Context, RpcError,
    registry::Registry,
    wire::{Hex, Quantity},
};
use alloy_consensus::{
    Transaction as _, TxReceipt,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::{Encodable2718, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bytes, TxHash, U256, map::B256Map};
use alloy_rpc_types_engine::{
    BlobsBundleV1, BlobsBundleV2, ExecutionPayloadV1, ExecutionPayloadV2, ExecutionPayloadV3,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use warpline_chain::Proposal;
use warpline_node::ProposeOptions;
use warpline_txpool::{PoolTransaction, decode};

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("testing_buildBlockV1", 4, |context, args| {
        let parent: Hex<B256> = args.required("parentHash")?;
        let attributes: Attributes = args.required("payloadAttributes")?;
        let transactions: Option<Vec<Bytes>> = args.optional("transactions")?;
        let extra_data: Option<Bytes> = args.optional("extraData")?;
        build(context, parent.0, attributes, transactions, extra_data)
    });
}

/// What the block is to say. The fields are those of `engine_forkchoiceUpdated`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    timestamp: Quantity,
    prev_randao: Hex<B256>,
    suggested_fee_recipient: Hex<Address>,
    withdrawals: Option<Vec<Withdrawal>>,
    parent_beacon_block_root: Option<Hex<B256>>,
}

/// The block as a consensus client would get it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    execution_payload: ExecutionPayloadV3,
    block_value: U256,
    blobs_bundle: BlobsBundle,
    execution_requests: Vec<Bytes>,
    should_override_builder: bool,
}

/// One proof per blob, or one per cell (EIP-7594).
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum BlobsBundle {
    PerBlob(BlobsBundleV1),
    PerCell(BlobsBundleV2),
}

fn build(
    context: &Context,
    parent: B256,
    attributes: Attributes,
    transactions: Option<Vec<Bytes>>,
    extra_data: Option<Bytes>,
) -> Result<Envelope, RpcError> {
    if parent != context.view().head().hash {
        let in_chain = context.view().blocks()?.reader()?.block_number(&parent)?.is_some();
        let known = in_chain || context.view().is_beside(&parent);
        let problem = if known { "is not the head" } else { "is not known" };
        return Err(RpcError::refused(format!("parent {parent} {problem}")));
    }
    check_time(context, attributes.timestamp.0)?;
    let transactions = transactions.map(|list| {
        let read = |(index, raw): (usize, &Bytes)| {
            let wrong = |error: &dyn core::fmt::Display| {
                RpcError::invalid_params(format!("transaction {index}: {error}"))
            };
            let tx = decode(raw).map_err(|error| wrong(&error))?;
            let sender = tx.recover_signer().map_err(|error| wrong(&error))?;
            Ok(Recovered::new_unchecked(tx.into(), sender))
        };
        list.iter().enumerate().map(read).collect::<Result<Vec<_>, RpcError>>()
    });
    let transactions = transactions.transpose()?;
    let proposal = context.node.propose(ProposeOptions {
        timestamp: Some(attributes.timestamp.0),
        beneficiary: Some(attributes.suggested_fee_recipient.0),
        prev_randao: Some(attributes.prev_randao.0),
        withdrawals: attributes.withdrawals,
        parent_beacon_block_root: attributes.parent_beacon_block_root.map(|root| root.0),
        extra_data: Some(extra_data.unwrap_or_default()),
        gas_limit: None,
        transactions,
    })?;
    if proposal.block.header.parent_hash != parent {
        return Err(RpcError::refused(format!("parent {parent} is not the head any more")));
    }
    Ok(envelope(context, &proposal))
}

/// Refuses a time that is not after the head's.
fn check_time(context: &Context, wanted: u64) -> Result<(), RpcError> {
    let blocks = context.view().blocks()?;
    let head = blocks.reader()?.header(blocks.block().number)?;
    match head.map(|(header, _)| header.timestamp).filter(|last| wanted <= *last) {
        None => Ok(()),
        Some(last) => Err(RpcError::invalid_params(format!(
            "invalid argument 1 (payloadAttributes): timestamp {wanted} is not later than that of \
             the parent, {last}"
        ))),
    }
}

fn envelope(context: &Context, proposal: &Proposal) -> Envelope {
    let (block, header) = (&proposal.block, &proposal.block.header);
    let txs = &block.body.transactions;
    let payload_inner = ExecutionPayloadV1 {
        parent_hash: header.parent_hash,
        fee_recipient: header.beneficiary,
        state_root: header.state_root,
        receipts_root: header.receipts_root,
        logs_bloom: header.logs_bloom,
        prev_randao: header.mix_hash,
        block_number: header.number,
        gas_limit: header.gas_limit,
        gas_used: header.gas_used,
        timestamp: header.timestamp,
        extra_data: header.extra_data.clone(),
        base_fee_per_gas: U256::from(header.base_fee_per_gas.unwrap_or_default()),
        block_hash: header.hash_slow(),
        transactions: txs.iter().map(|tx| tx.encoded_2718().into()).collect(),
    };
    let withdrawals = block.body.withdrawals.clone().unwrap_or_default().into_inner();
    let execution_payload = ExecutionPayloadV3 {
        payload_inner: ExecutionPayloadV2 { payload_inner, withdrawals },
        blob_gas_used: header.blob_gas_used.unwrap_or_default(),
        excess_blob_gas: header.excess_blob_gas.unwrap_or_default(),
    };
    Envelope {
        execution_payload,
        block_value: value(proposal),
        blobs_bundle: blobs(context, proposal),
        execution_requests: proposal.requests.iter().cloned().collect(),
        should_override_builder: false,
    }
}

/// What the transactions pay the fee recipient.
fn value(proposal: &Proposal) -> U256 {
    let base_fee = proposal.block.header.base_fee_per_gas.unwrap_or_default();
    let mut before = 0;
    let paid = proposal.block.body.transactions.iter().zip(&proposal.receipts);
    paid.map(|(tx, receipt)| {
        let gas = receipt.cumulative_gas_used() - before;
        before = receipt.cumulative_gas_used();
        let tip = tx.effective_tip_per_gas(base_fee).unwrap_or_default();
        U256::from(tip) * U256::from(gas)
    })
    .sum()
}

/// The sidecars of the pool's transactions in the block.
fn blobs(context: &Context, proposal: &Proposal) -> BlobsBundle {
    let pool = context.node.pool();
    let of = |hash: &TxHash| pool.get(hash);
    let found: B256Map<Arc<PoolTransaction>> = proposal
        .block
        .body
        .transactions
        .iter()
        .filter_map(|tx| Some((*tx.tx_hash(), of(tx.tx_hash())?)))
        .collect();
    let sidecars = || {
        let txs = proposal.block.body.transactions.iter();
        txs.filter_map(|tx| found.get(tx.tx_hash())?.sidecar().cloned())
    };
    if sidecars().any(|sidecar| sidecar.is_eip7594()) {
        BlobsBundle::PerCell(BlobsBundleV2::new(sidecars().filter_map(|of| of.into_eip7594())))
    } else {
        BlobsBundle::PerBlob(BlobsBundleV1::new(sidecars().filter_map(|of| of.into_eip4844())))
    }
}
