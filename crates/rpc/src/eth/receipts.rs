//! Receipts.

use super::{
    blocks::{FullBlock, with_block},
    transactions::block_of,
};
use crate::{
    Context, RpcError,
    registry::Registry,
    wire::{Before, BlockId, Hex, RpcReceipt},
};
use alloy_primitives::B256;
use serde_json::value::{RawValue, to_raw_value};

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_getTransactionReceipt", 1, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        of_transaction(context, hash.0)
    });
    registry.quick_but_pending("eth_getBlockReceipts", 1, |context, args| {
        let id: BlockId = args.required("block")?;
        of_block(context, id)
    });
}

/// The receipt of a transaction of the chain.
pub(crate) fn of_transaction(
    context: &Context,
    hash: B256,
) -> Result<Option<Box<RawValue>>, RpcError> {
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let Some((block, index)) = block_of(&reader, &hash)? else { return Ok(None) };
    let stored = block.receipts()?;
    let mut before = Before::default();
    stored.iter().take(index).for_each(|receipt| before.advance(receipt));
    let senders = block.senders()?;
    let (Some(receipt), Some(transaction), Some(from)) =
        (stored.get(index), block.body.transactions.get(index), senders.get(index))
    else {
        return Ok(None);
    };
    let price = blob_price(context, &block);
    let whose = (hash, transaction, *from);
    let receipt = RpcReceipt::new(whose, receipt, &block.mined(index), price, before);
    to_raw_value(&receipt).map(Some).map_err(RpcError::internal)
}

fn of_block(context: &Context, id: BlockId) -> Result<Option<Box<RawValue>>, RpcError> {
    with_block(context, id, |block| all(context, &block))
}

/// The receipts of a block.
fn all(context: &Context, block: &FullBlock<'_>) -> Result<Box<RawValue>, RpcError> {
    let (stored, senders) = (block.receipts()?, block.senders()?);
    let price = blob_price(context, block);
    let mut before = Before::default();
    let transactions = block.body.transactions.iter().zip(senders).enumerate();
    let receipts = stored.iter().zip(transactions).map(|(stored, (index, (transaction, from)))| {
        let whose = (*transaction.tx_hash(), transaction, from);
        let receipt = RpcReceipt::new(whose, stored, &block.mined(index), price, before);
        before.advance(stored);
        receipt
    });
    let receipts: Vec<_> = receipts.collect();
    to_raw_value(&receipts).map_err(RpcError::internal)
}

/// What a unit of blob gas costs in a block.
fn blob_price(context: &Context, block: &FullBlock<'_>) -> Option<u128> {
    let params = context.view().rules().after_merge.blob_params(block.header.timestamp)?;
    block.header.blob_fee(params)
}
