//! Blocks, headers and ommers.

use crate::{
    Context, RpcError,
    args::Args,
    registry::Registry,
    wire::{
        BlockId, Hex, Mined, Quantity, RpcBlock, RpcHeader, RpcTransaction, Tag, Transactions,
        block_size,
    },
};
use alloy_consensus::{BlockBody, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use std::borrow::Cow;
use warpline_chain::ProposedBlock;
use warpline_storage::{StateReader, StorageError, StoredReceipt, Transaction};

pub(crate) fn register(registry: &mut Registry) {
    registry.quick_but_pending("eth_getBlockByNumber", |context, args| {
        let (id, full) = (block_number(args)?, full(args)?);
        with_block(context, id, |block| block.printed(full))
    });
    registry.quick("eth_getBlockByHash", |context, args| {
        let (id, full) = (block_hash(args)?, full(args)?);
        with_block(context, id, |block| block.printed(full))
    });
    registry.quick_but_pending("eth_getHeaderByNumber", |context, args| {
        let id = block_number(args)?;
        header(context, id)
    });
    registry.quick("eth_getHeaderByHash", |context, args| header(context, block_hash(args)?));
    registry.slow("eth_getBlockAccessList", |context, args| {
        access_list(context, args.required("block")?)
    });
    count(registry, "eth_getBlockTransactionCountByNumber", block_number, |body| {
        body.transactions.len()
    });
    count(registry, "eth_getBlockTransactionCountByHash", block_hash, |body| {
        body.transactions.len()
    });
    count(registry, "eth_getUncleCountByBlockNumber", block_number, |body| body.ommers.len());
    count(registry, "eth_getUncleCountByBlockHash", block_hash, |body| body.ommers.len());
    registry.quick_but_pending("eth_getUncleByBlockNumberAndIndex", |context, args| {
        let (id, index) = (block_number(args)?, index(args)?);
        with_block(context, id, |block| block.ommer(index))
    });
    registry.quick("eth_getUncleByBlockHashAndIndex", |context, args| {
        let (id, index) = (block_hash(args)?, index(args)?);
        with_block(context, id, |block| block.ommer(index))
    });
}

/// The block access list of a block (EIP-7928).
pub(crate) fn access_list(
    context: &Context,
    id: BlockId,
) -> Result<Option<BlockAccessList>, RpcError> {
    if id == BlockId::Tag(Tag::Pending)
        && let Some((block, _)) = context.pending()?
    {
        return Ok(context.view().access_list_of_proposed(&block)?);
    }
    let number = {
        let blocks = context.view().blocks()?;
        let reader = blocks.reader()?;
        context.number_of(&blocks, &reader, id)?
    };
    match number {
        Some(number) => Ok(context.view().access_list(number)?),
        None => Ok(None),
    }
}

/// A block by number or tag.
pub(crate) fn block_number(args: &mut Args<'_>) -> Result<BlockId, RpcError> {
    match args.required("block number")? {
        BlockId::Hash(_) => {
            Err(RpcError::invalid_params("invalid argument 0 (block number): hex number > 64 bits"))
        }
        id => Ok(id),
    }
}

/// A block by hash.
pub(crate) fn block_hash(args: &mut Args<'_>) -> Result<BlockId, RpcError> {
    args.required::<Hex<B256>>("block hash").map(|hash| BlockId::Hash(hash.0))
}

/// A place in a list.
pub(crate) fn index(args: &mut Args<'_>) -> Result<usize, RpcError> {
    let Quantity(index) = args.required("index")?;
    Ok(usize::try_from(index).unwrap_or(usize::MAX))
}

fn full(args: &mut Args<'_>) -> Result<bool, RpcError> {
    Ok(args.optional("full transactions")?.unwrap_or_default())
}

fn count(
    registry: &mut Registry,
    name: &'static str,
    block: fn(&mut Args<'_>) -> Result<BlockId, RpcError>,
    count: fn(&BlockBody<Transaction>) -> usize,
) {
    registry.quick_but_pending(name, move |context, args| {
        let id = block(args)?;
        with_block(context, id, |block| Ok(Quantity(count(&block.body) as u64)))
    });
}

/// A block with what belongs to it.
pub(crate) struct FullBlock<'a> {
    source: Source<'a>,
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) body: BlockBody<Transaction>,
}

/// Where the rest of a block is.
enum Source<'a> {
    Chain(&'a StateReader<'a>),
    Pending(&'a ProposedBlock),
}

/// Calls `with` with the block, if there is one.
pub(crate) fn with_block<T>(
    context: &Context,
    id: BlockId,
    with: impl FnOnce(FullBlock<'_>) -> Result<T, RpcError>,
) -> Result<Option<T>, RpcError> {
    if id == BlockId::Tag(Tag::Pending)
        && let Some((block, _)) = context.pending()?
    {
        return with(FullBlock::pending(&block)).map(Some);
    }
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let Some(number) = context.number_of(&blocks, &reader, id)? else { return Ok(None) };
    FullBlock::read(&reader, number)?.map(with).transpose()
}

/// The header, if there is one.
fn header(context: &Context, id: BlockId) -> Result<Option<Box<RawValue>>, RpcError> {
    if id == BlockId::Tag(Tag::Pending)
        && let Some((block, _)) = context.pending()?
    {
        let header = RpcHeader { hash: block.hash, header: &block.header };
        return unsealed(&header).map(Some);
    }
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let Some(number) = context.number_of(&blocks, &reader, id)? else { return Ok(None) };
    let (Some(hash), Some((header, _))) = (reader.block_hash(number)?, reader.header(number)?)
    else {
        return Ok(None);
    };
    to_raw_value(&RpcHeader { hash, header: &header }).map(Some).map_err(RpcError::internal)
}

/// A pending block, or its header: as in geth, what only a block of the chain has is null.
fn unsealed(shown: &impl Serialize) -> Result<Box<RawValue>, RpcError> {
    let mut shown = serde_json::to_value(shown).map_err(RpcError::internal)?;
    for field in ["hash", "nonce", "miner"] {
        shown[field] = Value::Null;
    }
    to_raw_value(&shown).map_err(RpcError::internal)
}

impl<'a> FullBlock<'a> {
    /// The block at a height.
    pub(crate) fn read(
        reader: &'a StateReader<'a>,
        number: u64,
    ) -> Result<Option<Self>, StorageError> {
        let (Some(hash), Some((header, _)), Some(body)) =
            (reader.block_hash(number)?, reader.header(number)?, reader.body(number)?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { source: Source::Chain(reader), hash, header, body }))
    }

    fn pending(block: &'a ProposedBlock) -> Self {
        let ProposedBlock { hash, header, body, .. } = block;
        let source = Source::Pending(block);
        Self { source, hash: *hash, header: header.clone(), body: body.clone() }
    }

    /// The senders of its transactions, whether they are kept or not.
    pub(crate) fn senders(&self) -> Result<Vec<Address>, RpcError> {
        let reader = match self.source {
            Source::Chain(reader) => reader,
            Source::Pending(block) => return Ok(block.senders.clone()),
        };
        match reader.senders(self.header.number) {
            Ok(Some(senders)) => return Ok(senders),
            Ok(None) | Err(StorageError::Pruned { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let recover = alloy_consensus::transaction::SignerRecoverable::recover_signer_unchecked;
        let senders = self.body.transactions.iter().map(recover).collect::<Result<_, _>>();
        senders.map_err(RpcError::internal)
    }

    /// The receipts of its transactions.
    pub(crate) fn receipts(&self) -> Result<Vec<StoredReceipt>, StorageError> {
        match self.source {
            Source::Chain(reader) => Ok(reader.receipts(self.header.number)?.unwrap_or_default()),
            Source::Pending(block) => Ok(block.receipts.clone()),
        }
    }

    /// Where one of its transactions is.
    pub(crate) fn mined(&self, index: usize) -> Mined {
        Mined {
            block_hash: self.hash,
            block_number: self.header.number,
            timestamp: self.header.timestamp,
            base_fee: self.header.base_fee_per_gas,
            index: index as u64,
        }
    }

    /// One of its transactions.
    pub(crate) fn transaction(&self, index: usize, from: Address) -> Option<RpcTransaction<'_>> {
        let transaction = self.body.transactions.get(index)?;
        Some(RpcTransaction {
            hash: *transaction.tx_hash(),
            from,
            transaction: Cow::Borrowed(transaction),
            mined: Some(self.mined(index)),
        })
    }

    fn printed(&self, full: bool) -> Result<Box<RawValue>, RpcError> {
        let body = &self.body;
        let transactions = if full {
            let senders = self.senders()?;
            let all = senders.into_iter().enumerate();
            Transactions::Full(all.filter_map(|(i, from)| self.transaction(i, from)).collect())
        } else {
            let hash = |transaction: &Transaction| *transaction.tx_hash();
            Transactions::Hashes(body.transactions.iter().map(hash).collect())
        };
        let block = RpcBlock {
            header: RpcHeader { hash: self.hash, header: &self.header },
            size: block_size(&self.header, body),
            transactions: Some(transactions),
            uncles: body.ommers.iter().map(Header::hash_slow).collect(),
            withdrawals: body.withdrawals.as_ref().map(|withdrawals| withdrawals.as_slice()),
        };
        match self.source {
            Source::Chain(_) => to_raw_value(&block).map_err(RpcError::internal),
            Source::Pending(_) => unsealed(&block),
        }
    }

    fn ommer(&self, index: usize) -> Result<Option<Box<RawValue>>, RpcError> {
        let Some(ommer) = self.body.ommers.get(index) else { return Ok(None) };
        let block = RpcBlock {
            header: RpcHeader { hash: ommer.hash_slow(), header: ommer },
            size: block_size(ommer, &BlockBody::default()),
            transactions: None,
            uncles: Vec::new(),
            withdrawals: None,
        };
        to_raw_value(&block).map(Some).map_err(RpcError::internal)
    }
}
