//! Blocks, headers and ommers.

use crate::{
    Context, RpcError,
    args::Args,
    context::not_kept,
    registry::Registry,
    wire::{
        BlockId, Hex, Mined, Quantity, RpcBlock, RpcHeader, RpcTransaction, Tag, Transactions,
        block_size,
    },
};
use alloy_consensus::{Block, BlockBody, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use std::borrow::Cow;
use warpline_chain::{ProposedBlock, SideBlock};
use warpline_storage::{StateReader, StorageError, StoredReceipt, Transaction};

pub(crate) fn register(registry: &mut Registry) {
    registry.quick_but_pending("eth_getBlockByNumber", 2, |context, args| {
        let (id, full) = (block_number(args)?, full(args)?);
        with_block(context, id, |block| block.printed(full))
    });
    registry.quick("eth_getBlockByHash", 2, |context, args| {
        let (id, full) = (block_hash(args)?, full(args)?);
        with_block(context, id, |block| block.printed(full))
    });
    registry.quick_but_pending("eth_getHeaderByNumber", 1, |context, args| {
        let id = block_number(args)?;
        header(context, id)
    });
    registry.quick("eth_getHeaderByHash", 1, |context, args| header(context, block_hash(args)?));
    registry.slow("eth_getBlockAccessList", 1, |context, args| {
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
    registry.quick_but_pending("eth_getUncleByBlockNumberAndIndex", 2, |context, args| {
        let (id, index) = (block_number(args)?, index(args)?);
        with_block(context, id, |block| block.ommer(index))
    });
    registry.quick("eth_getUncleByBlockHashAndIndex", 2, |context, args| {
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
        BlockId::Hash(_) | BlockId::Canonical(_) => {
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
    registry.quick_but_pending(name, 1, move |context, args| {
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
    /// What is known of its receipts.
    Beside(Option<Vec<StoredReceipt>>),
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
    match context.number_of(&blocks, &reader, id)? {
        Some(number) => FullBlock::read(&reader, number)?.map(with).transpose(),
        None => FullBlock::beside(context, id).map(with).transpose(),
    }
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
    let found = match context.number_of(&blocks, &reader, id)? {
        Some(number) => reader.block_hash(number)?.zip(reader.header(number)?.map(|(of, _)| of)),
        None => FullBlock::beside(context, id).map(|block| (block.hash, block.header)),
    };
    let printed = found.map(|(hash, header)| to_raw_value(&RpcHeader { hash, header: &header }));
    printed.transpose().map_err(RpcError::internal)
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

    /// A block beside the chain.
    fn beside(context: &Context, id: BlockId) -> Option<Self> {
        let BlockId::Hash(hash) = id else { return None };
        let SideBlock { block, receipts } = context.view().beside(&hash)?;
        let Block { header, body } = block;
        Some(Self { source: Source::Beside(receipts), hash, header, body })
    }

    fn pending(block: &'a ProposedBlock) -> Self {
        let ProposedBlock { hash, header, body, .. } = block;
        let source = Source::Pending(block);
        Self { source, hash: *hash, header: header.clone(), body: body.clone() }
    }

    /// The senders of its transactions, whether they are kept or not.
    pub(crate) fn senders(&self) -> Result<Vec<Address>, RpcError> {
        let kept = match &self.source {
            Source::Chain(reader) => reader.senders(self.header.number),
            Source::Pending(block) => return Ok(block.senders.clone()),
            Source::Beside(_) => Ok(None),
        };
        match kept {
            Ok(Some(senders)) => return Ok(senders),
            Ok(None) | Err(StorageError::Pruned { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let recover = alloy_consensus::transaction::SignerRecoverable::recover_signer_unchecked;
        let senders = self.body.transactions.iter().map(recover).collect::<Result<_, _>>();
        senders.map_err(RpcError::internal)
    }

    /// The receipts of its transactions.
    pub(crate) fn receipts(&self) -> Result<Vec<StoredReceipt>, RpcError> {
        match &self.source {
            Source::Chain(reader) => Ok(reader.receipts(self.header.number)?.unwrap_or_default()),
            Source::Pending(block) => Ok(block.receipts.clone()),
            Source::Beside(receipts) => {
                receipts.clone().ok_or_else(|| not_kept("the receipts are", self.hash))
            }
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
            Source::Chain(_) | Source::Beside(_) => {
                to_raw_value(&block).map_err(RpcError::internal)
            }
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
