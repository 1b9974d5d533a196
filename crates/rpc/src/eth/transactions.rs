//! Transactions of blocks.

use super::blocks::{FullBlock, block_hash, block_number, index, with_block};
use crate::{
    Context, RpcError,
    registry::Registry,
    txpool,
    wire::{BlockId, Hex, Mined, RpcTransaction, Tag},
};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes};
use serde_json::value::to_raw_value;
use std::borrow::Cow;
use warpline_storage::{StateReader, StorageError, Transaction};

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_getTransactionByHash", 1, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        // What leaves the pool in between is in a block then.
        if let Some(waiting) = context.node.pool().get(&hash.0)
            && by_hash(context, hash.0)?.is_none()
        {
            return to_raw_value(&txpool::waiting(&waiting)).map_err(RpcError::internal);
        }
        to_raw_value(&by_hash(context, hash.0)?).map_err(RpcError::internal)
    });
    registry.quick_but_pending("eth_getTransactionByBlockNumberAndIndex", 2, |context, args| {
        at_index(context, block_number(args)?, index(args)?)
    });
    registry.quick("eth_getTransactionByBlockHashAndIndex", 2, |context, args| {
        at_index(context, block_hash(args)?, index(args)?)
    });
    registry.quick("eth_getRawTransactionByHash", 1, |context, args| {
        let hash: Hex<B256> = args.required("transaction hash")?;
        raw(context, hash.0)
    });
    registry.quick_but_pending("eth_getRawTransactionByBlockNumberAndIndex", 2, |context, args| {
        let found = at_index(context, block_number(args)?, index(args)?)?;
        Ok(found.map(|found| encoded(&found.transaction)))
    });
    registry.quick("eth_getRawTransactionByBlockHashAndIndex", 2, |context, args| {
        let found = at_index(context, block_hash(args)?, index(args)?)?;
        Ok(found.map(|found| encoded(&found.transaction)))
    });
}

fn encoded(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

/// A transaction of the chain or of the pool. It may go from the one to the other while it is
/// looked for, so the chain is asked again.
pub(crate) fn by_hash(
    context: &Context,
    hash: B256,
) -> Result<Option<RpcTransaction<'static>>, RpcError> {
    let mined = mined(context, hash)?;
    if mined.is_some() {
        return Ok(mined);
    }
    match context.node.pool().get(&hash) {
        Some(waiting) => Ok(Some(RpcTransaction::pending(&waiting).into_owned())),
        None => self::mined(context, hash),
    }
}

fn mined(context: &Context, hash: B256) -> Result<Option<RpcTransaction<'static>>, RpcError> {
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let Some((number, index)) = reader.transaction_position(&hash)? else { return Ok(None) };
    read(&reader, number, index as usize)
}

/// A transaction as it is sent: with its blobs while it waits.
pub(crate) fn raw(context: &Context, hash: B256) -> Result<Option<Bytes>, RpcError> {
    let mined = |context: &Context| -> Result<Option<Bytes>, RpcError> {
        let blocks = context.view().blocks()?;
        let reader = blocks.reader()?;
        let Some((number, index)) = reader.transaction_position(&hash)? else { return Ok(None) };
        Ok(reader.transaction(number, index as usize)?.map(|transaction| encoded(&transaction)))
    };
    if let Some(found) = mined(context)? {
        return Ok(Some(found));
    }
    match context.node.pool().get(&hash) {
        Some(waiting) => Ok(Some(waiting.encoded())),
        None => mined(context),
    }
}

/// A transaction by its place.
pub(crate) fn at_index(
    context: &Context,
    block: BlockId,
    index: usize,
) -> Result<Option<RpcTransaction<'static>>, RpcError> {
    if block != BlockId::Tag(Tag::Pending) {
        let blocks = context.view().blocks()?;
        let reader = blocks.reader()?;
        if let Some(number) = context.number_of(&blocks, &reader, block)? {
            return read(&reader, number, index);
        }
    }
    let found = with_block(context, block, |block| {
        let from = block.senders()?.get(index).copied();
        let found = from.and_then(|from| block.transaction(index, from));
        Ok(found.map(RpcTransaction::into_owned))
    });
    found.map(Option::flatten)
}

fn read(
    reader: &StateReader<'_>,
    number: u64,
    index: usize,
) -> Result<Option<RpcTransaction<'static>>, RpcError> {
    let (Some(block_hash), Some((header, _)), Some(transaction)) =
        (reader.block_hash(number)?, reader.header(number)?, reader.transaction(number, index)?)
    else {
        return Ok(None);
    };
    let mined = Mined {
        block_hash,
        block_number: number,
        timestamp: header.timestamp,
        base_fee: header.base_fee_per_gas,
        index: index as u64,
    };
    Ok(Some(RpcTransaction {
        hash: *transaction.tx_hash(),
        from: sender(reader, number, index, &transaction)?,
        transaction: Cow::Owned(transaction),
        mined: Some(mined),
    }))
}

/// Who sent a transaction, whether senders are kept or not.
pub(crate) fn sender(
    reader: &StateReader<'_>,
    number: u64,
    index: usize,
    transaction: &Transaction,
) -> Result<Address, RpcError> {
    match reader.senders(number) {
        Ok(senders) => {
            if let Some(sender) = senders.and_then(|senders| senders.get(index).copied()) {
                return Ok(sender);
            }
        }
        Err(StorageError::Pruned { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    transaction.recover_signer_unchecked().map_err(RpcError::internal)
}

/// The block of a transaction, and its place there.
pub(crate) fn block_of<'a>(
    reader: &'a StateReader<'a>,
    hash: &B256,
) -> Result<Option<(FullBlock<'a>, usize)>, StorageError> {
    let Some((number, index)) = reader.transaction_position(hash)? else { return Ok(None) };
    Ok(FullBlock::read(reader, number)?.map(|block| (block, index as usize)))
}
