//! `eth_getLogs`: headers tell by their bloom filters which blocks have to be looked at; the logs
//! of those that were are kept for a while.

use super::LogCache;
use crate::{
    Context, RpcError,
    args::Args,
    context::not_kept,
    error::TIMEOUT,
    registry::{BRIEFLY, Registry},
    wire::{BlockId, LogFilter, LogPlace, LogQuery, Range, RpcLog, Tag},
};
use alloy_primitives::{B256, Log};
use core::time::Duration;
use serde_json::value::{RawValue, to_raw_value};
use std::time::Instant;
use warpline_storage::{Snapshot, StateReader, StorageError};

pub(crate) fn register(registry: &mut Registry) {
    let briefly = |context: &Context, args: &mut Args<'_>| {
        let query: LogQuery = args.required("filter")?;
        let found = query_logs_within(context, &query, Some(BRIEFLY))?;
        found.map(|found| printed(&found)).transpose()
    };
    registry.brief("eth_getLogs", 1, briefly, |context, args| {
        let query: LogQuery = args.required("filter")?;
        printed(&query_logs(context, &query)?)
    });
}

/// A log with its place.
#[derive(Debug, Clone)]
pub(crate) struct FoundLog {
    pub(crate) log: Log,
    pub(crate) place: LogPlace,
}

/// Logs as callers see them.
pub(crate) fn printed(logs: &[FoundLog]) -> Result<Box<RawValue>, RpcError> {
    let logs: Vec<_> =
        logs.iter().map(|found| RpcLog::new(&found.log, &found.place, false)).collect();
    to_raw_value(&logs).map_err(RpcError::internal)
}

/// Every log that a query asks for, in the order of the chain.
pub(crate) fn query_logs(context: &Context, query: &LogQuery) -> Result<Vec<FoundLog>, RpcError> {
    Ok(query_logs_within(context, query, None)?.unwrap_or_default())
}

/// The same; none if it takes longer than `time`.
fn query_logs_within(
    context: &Context,
    query: &LogQuery,
    time: Option<Duration>,
) -> Result<Option<Vec<FoundLog>>, RpcError> {
    let until = time.map(|time| Instant::now() + time);
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let mut search = Search::new(context, &query.filter);
    let (from, to) = match query.range {
        Range::Block(hash) => {
            let unknown = || match context.view().is_beside(&hash) {
                true => not_kept("the logs are", hash),
                false => RpcError::refused("unknown block"),
            };
            let number = reader.block_number(&hash)?.ok_or_else(unknown)?;
            (number, number)
        }
        Range::Blocks { from, to } => bounds(context, &blocks, &reader, from, to)?,
    };
    for number in from..=to {
        if number.is_multiple_of(8) && until.is_some_and(|until| Instant::now() > until) {
            return Ok(None);
        }
        search.block(&reader, number)?;
        if search.found.len() > search.most {
            let words = format!("query exceeds max results {}", search.most);
            return Err(RpcError::invalid_params(words));
        }
    }
    Ok(Some(search.found))
}

/// The first and the last block of a range.
fn bounds(
    context: &Context,
    blocks: &Snapshot,
    reader: &StateReader<'_>,
    from: Option<BlockId>,
    to: Option<BlockId>,
) -> Result<(u64, u64), RpcError> {
    let pending = Some(BlockId::Tag(Tag::Pending));
    if from == pending || to == pending {
        return Err(RpcError::invalid_params("pending logs are not supported"));
    }
    let number = |id: Option<BlockId>| match id.unwrap_or_default() {
        BlockId::Number(number) => Ok(number),
        BlockId::Hash(_) | BlockId::Canonical(_) => {
            Err(RpcError::invalid_params("hex number > 64 bits"))
        }
        tag => Ok(context.number_of(blocks, reader, tag)?.unwrap_or_default()),
    };
    let (from, to) = (number(from)?, number(to)?);
    if from > to {
        return Err(RpcError::invalid_params("invalid block range params"));
    }
    if to > blocks.block().number {
        return Err(RpcError::invalid_params("block range extends beyond current head block"));
    }
    let most = context.config.log_blocks;
    if most > 0 && to - from >= most {
        return Err(RpcError::invalid_params(format!("exceed maximum block range: {most}")));
    }
    Ok((from, to))
}

/// A search through blocks, with its limits.
pub(crate) struct Search<'a> {
    filter: &'a LogFilter,
    cache: &'a LogCache,
    most: usize,
    deadline: Option<Instant>,
    /// What was found so far.
    pub(crate) found: Vec<FoundLog>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(context: &'a Context, filter: &'a LogFilter) -> Self {
        let most = if context.config.logs == 0 { usize::MAX } else { context.config.logs };
        let limit = context.config.request_timeout;
        let deadline = (limit != Duration::ZERO).then(|| Instant::now() + limit);
        Self { filter, cache: &context.logs, most, deadline, found: Vec::new() }
    }

    /// Whether there is as much as one answer may have.
    pub(crate) const fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    /// Looks through the block at a height.
    pub(crate) fn block(&mut self, reader: &StateReader<'_>, number: u64) -> Result<(), RpcError> {
        if number.is_multiple_of(1024) && self.deadline.is_some_and(|end| Instant::now() > end) {
            return Err(RpcError::new(TIMEOUT, "request timed out"));
        }
        let Some(hash) = reader.block_hash(number)? else { return Ok(()) };
        let logs = match self.cache.get(&hash) {
            Some(logs) => logs,
            None => {
                let Some((header, _)) = reader.header(number)? else { return Ok(()) };
                if header.gas_used == 0 || !self.filter.may_be_in(&header.logs_bloom) {
                    return Ok(());
                }
                let block = (number, hash, header.timestamp);
                self.cache.read(reader, block, header.logs_bloom)?
            }
        };
        logs.search(self.filter, &mut self.found);
        Ok(())
    }
}

/// All logs of a block, given by number, hash and time.
pub(crate) fn of_block(
    reader: &StateReader<'_>,
    (block_number, block_hash, timestamp): (u64, B256, u64),
    found: &mut Vec<FoundLog>,
) -> Result<(), StorageError> {
    let receipts = reader.receipts(block_number)?.unwrap_or_default();
    let mut log_index = 0;
    for (index, stored) in receipts.into_iter().enumerate() {
        let mut hash = None;
        for log in stored.receipt.logs {
            let transaction_hash = match hash {
                Some(hash) => hash,
                None => {
                    let transaction = reader.transaction(block_number, index)?;
                    *hash.insert(transaction.map_or(B256::ZERO, |found| *found.tx_hash()))
                }
            };
            let place = LogPlace {
                block_hash,
                block_number,
                timestamp,
                transaction_hash,
                transaction_index: index as u64,
                log_index,
            };
            log_index += 1;
            found.push(FoundLog { log, place });
        }
    }
    Ok(())
}
