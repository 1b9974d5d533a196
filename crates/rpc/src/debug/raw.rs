//! Blocks and what belongs to them, as they are encoded.

use crate::{
    Context, RpcError,
    args::Args,
    eth::{FullBlock, access_list, raw_transaction, with_block},
    registry::Registry,
    wire::{BlockId, Hex},
};
use alloy_consensus::{Block, ReceiptEnvelope};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes};
use serde_json::Value;
use warpline_storage::StoredReceipt;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick_but_pending("debug_getRawHeader", 1, |context, args| {
        of_block(context, args, |_, block| Ok(Bytes::from(alloy_rlp::encode(&block.header))))
    });
    registry.quick_but_pending("debug_getRawBlock", 1, |context, args| {
        of_block(context, args, |_, block| {
            let block = Block { header: block.header, body: block.body };
            Ok(Bytes::from(alloy_rlp::encode(&block)))
        })
    });
    registry.quick_but_pending("debug_getRawReceipts", 1, |context, args| {
        of_block(context, args, |_, block| {
            let receipts = block.receipts()?;
            Ok(receipts.iter().map(encoded).collect::<Vec<Bytes>>())
        })
    });
    registry.quick("debug_getRawTransaction", 1, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        // As in geth, what is not there is empty.
        Ok(raw_transaction(context, hash.0)?.unwrap_or_default())
    });
    registry.slow("debug_getRawBlockAccessList", 1, |context, args| {
        let id: BlockId = args.required("block")?;
        let list = access_list(context, id)?.ok_or_else(|| not_found(id))?;
        Ok(Bytes::from(alloy_rlp::encode(list)))
    });
    // Blocks that break a rule are refused with the reason and not kept.
    registry.quick("debug_getBadBlocks", 0, |_, _| Ok(Vec::<Value>::new()));
}

fn of_block<T>(
    context: &Context,
    args: &mut Args<'_>,
    with: impl FnOnce(&Context, FullBlock<'_>) -> Result<T, RpcError>,
) -> Result<T, RpcError> {
    let id: BlockId = args.required("block")?;
    let found = with_block(context, id, |block| with(context, block))?;
    found.ok_or_else(|| not_found(id))
}

fn not_found(id: BlockId) -> RpcError {
    match id {
        BlockId::Number(number) => RpcError::refused(format!("block #{number} not found")),
        BlockId::Hash(hash) | BlockId::Canonical(hash) => {
            RpcError::refused(format!("block {hash} not found"))
        }
        BlockId::Tag(_) => RpcError::refused("block not found"),
    }
}

/// A receipt as the receipts trie has it.
fn encoded(stored: &StoredReceipt) -> Bytes {
    let receipt = stored.receipt.clone().with_bloom();
    ReceiptEnvelope::from_typed(stored.tx_type, receipt).encoded_2718().into()
}
