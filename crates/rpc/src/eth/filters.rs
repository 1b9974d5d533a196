//! Filters: what is new since the last time that somebody asked.
//!
//! A filter is a place in the chain, not a queue: what has happened since is found when it is
//! asked for, so one that nobody asks costs nothing, until it is given up after five minutes.

use super::logs::{FoundLog, Search, query_logs};
use crate::{
    Context, RpcError,
    args::Args,
    feed::LogListener,
    registry::Registry,
    subscriptions::HexIds,
    wire::{BlockId, LogQuery, Range, RpcLog, RpcTransaction, Tag},
};
use alloy_primitives::B256;
use core::time::Duration;
use parking_lot::Mutex;
use serde_json::value::{RawValue, to_raw_value};
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use warpline_node::NewPending;
use warpline_storage::BlockRef;

/// How long a filter lives that nobody asks, as in geth.
const FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// How many there may be.
const MAX_FILTERS: usize = 10_000;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_newFilter", 1, |context, args| {
        let query: LogQuery = args.required("filter")?;
        check(&query)?;
        let listener = context.feed.log_listener();
        let seen = context.feed.advance(context.view())?;
        context.filters.add(Kind::Logs { query, seen, _listener: listener })
    });
    registry.quick("eth_newBlockFilter", 0, |context, _| {
        let seen = context.feed.advance(context.view())?;
        context.filters.add(Kind::Blocks { seen })
    });
    registry.quick("eth_newPendingTransactionFilter", 1, |context, args| {
        let full = args.optional("full transactions")?.unwrap_or_default();
        context.filters.add(Kind::Pending { events: context.node.new_pending(), full })
    });
    registry.slow("eth_getFilterChanges", 1, changes);
    registry.slow("eth_getFilterLogs", 1, |context, args| {
        let id: String = args.required("filter id")?;
        let query = context.filters.with(&id, |kind| match kind {
            Kind::Logs { query, .. } => Ok(query.clone()),
            _ => Err(not_found()),
        })?;
        super::logs::printed(&query_logs(context, &query)?)
    });
    registry.quick("eth_uninstallFilter", 1, |context, args| {
        let id: String = args.required("filter id")?;
        Ok(context.filters.remove(&id))
    });
}

/// Refuses what no log can ever match.
pub(crate) fn check(query: &LogQuery) -> Result<(), RpcError> {
    let Range::Blocks { from, to } = query.range else { return Ok(()) };
    let pending = Some(BlockId::Tag(Tag::Pending));
    if from == pending || to == pending {
        return Err(RpcError::invalid_params("pending logs are not supported"));
    }
    match (from, to) {
        (Some(BlockId::Number(from)), Some(BlockId::Number(to))) if from > to => {
            Err(RpcError::invalid_params("invalid block range params"))
        }
        _ => Ok(()),
    }
}

/// What a filter looks for, and how far it has come.
#[derive(Debug)]
enum Kind {
    Blocks {
        seen: BlockRef,
    },
    Logs {
        query: LogQuery,
        seen: BlockRef,
        _listener: LogListener,
    },
    /// What has become pending waits in the channel of the node, which is bounded: of what comes
    /// while nobody asks, the oldest is lost.
    Pending {
        events: Receiver<NewPending>,
        full: bool,
    },
}

#[derive(Debug)]
struct Filter {
    kind: Mutex<Kind>,
    asked: Mutex<Instant>,
}

/// All filters by identifier.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<HashMap<String, Arc<Filter>>>);

fn not_found() -> RpcError {
    RpcError::refused("filter not found")
}

impl Filters {
    fn add(&self, kind: Kind) -> Result<String, RpcError> {
        self.forget(Instant::now());
        let mut filters = self.0.lock();
        if filters.len() >= MAX_FILTERS {
            return Err(RpcError::limit_exceeded(format!("too many filters (max {MAX_FILTERS})")));
        }
        let id = HexIds::text();
        let filter = Filter { kind: Mutex::new(kind), asked: Mutex::new(Instant::now()) };
        filters.insert(id.clone(), Arc::new(filter));
        Ok(id)
    }

    /// Gives up those that nobody asks any more.
    pub(crate) fn forget(&self, now: Instant) {
        let asked = |filter: &Filter| now.saturating_duration_since(*filter.asked.lock());
        self.0.lock().retain(|_, filter| asked(filter) < FORGOTTEN);
    }

    fn remove(&self, id: &str) -> bool {
        self.0.lock().remove(id).is_some()
    }

    fn with<T>(
        &self,
        id: &str,
        with: impl FnOnce(&mut Kind) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let filter = self.0.lock().get(id).cloned().ok_or_else(not_found)?;
        *filter.asked.lock() = Instant::now();
        let mut kind = filter.kind.lock();
        with(&mut kind)
    }
}

fn changes(context: &Context, args: &mut Args<'_>) -> Result<Box<RawValue>, RpcError> {
    let id: String = args.required("filter id")?;
    context.filters.with(&id, |kind| match kind {
        Kind::Blocks { seen } => {
            let hashes = new_blocks(context, seen)?;
            to_raw_value(&hashes).map_err(RpcError::internal)
        }
        Kind::Logs { query, seen, .. } => new_logs(context, query, seen),
        Kind::Pending { events, full } => new_pending(events, *full),
    })
}

/// The transactions that have become pending.
fn new_pending(events: &mut Receiver<NewPending>, full: bool) -> Result<Box<RawValue>, RpcError> {
    let mut transactions = Vec::new();
    loop {
        match events.try_recv() {
            Ok(NewPending(some)) => transactions.extend(some.iter().cloned()),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    let printed = if full {
        let all = transactions.iter().map(|transaction| RpcTransaction::pending(transaction));
        to_raw_value(&all.collect::<Vec<_>>())
    } else {
        let hashes = transactions.iter().map(|transaction| transaction.hash());
        to_raw_value(&hashes.collect::<Vec<_>>())
    };
    printed.map_err(RpcError::internal)
}

/// The blocks that have come into the chain.
fn new_blocks(context: &Context, seen: &mut BlockRef) -> Result<Vec<B256>, RpcError> {
    context.feed.since(context.view(), *seen, |_, first, blocks, reader| {
        let mut hashes = Vec::new();
        for number in first..=blocks.block().number {
            hashes.extend(reader.block_hash(number)?);
        }
        *seen = blocks.block();
        Ok(hashes)
    })
}

/// The logs that have gone from the chain, and those that have come.
fn new_logs(
    context: &Context,
    query: &LogQuery,
    seen: &mut BlockRef,
) -> Result<Box<RawValue>, RpcError> {
    context.feed.since(context.view(), *seen, |removed, first, blocks, reader| {
        let gone = removed.iter().flat_map(|block| block.logs.iter().flatten().rev());
        let gone = gone.filter(|found| wanted(query, found));
        let mut logs: Vec<_> =
            gone.map(|found| RpcLog::new(&found.log, &found.place, true)).collect();
        let (from, to) = bounds(query);
        let mut search = Search::new(context, &query.filter);
        let mut last = blocks.block();
        for number in first..=blocks.block().number {
            if (from..=to).contains(&number) {
                search.block(reader, number)?;
            }
            // The rest has to wait until the next time.
            if search.is_full() {
                let hash = reader.block_hash(number)?.unwrap_or_default();
                last = BlockRef { number, hash };
                break;
            }
        }
        let found = search.found.iter();
        logs.extend(found.map(|found| RpcLog::new(&found.log, &found.place, false)));
        let printed = to_raw_value(&logs).map_err(RpcError::internal)?;
        *seen = last;
        Ok(printed)
    })
}

/// Whether a query asks for a log.
pub(crate) fn wanted(query: &LogQuery, found: &FoundLog) -> bool {
    let (from, to) = bounds(query);
    (from..=to).contains(&found.place.block_number) && query.filter.matches(&found.log)
}

/// Between which heights a query asks for logs that come from now on.
fn bounds(query: &LogQuery) -> (u64, u64) {
    let number = |id| match id {
        Some(BlockId::Number(number)) => Some(number),
        _ => None,
    };
    match query.range {
        Range::Blocks { from, to } => (number(from).unwrap_or(0), number(to).unwrap_or(u64::MAX)),
        Range::Block(_) => (0, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::LIMIT_EXCEEDED;

    #[test]
    fn a_filter_that_nobody_asks_is_forgotten_after_five_minutes() {
        let filters = Filters::default();
        let blocks = || Kind::Blocks { seen: BlockRef::default() };
        let ask = |id: &str| filters.with(id, |_| Ok(()));
        let asked = |id: &str| *filters.0.lock()[id].asked.lock();
        let (silent, busy) = (filters.add(blocks()).unwrap(), filters.add(blocks()).unwrap());
        let just_before = asked(&silent) + FORGOTTEN - Duration::from_nanos(1);
        filters.forget(just_before);
        assert_eq!(filters.0.lock().len(), 2);
        while asked(&busy) <= asked(&silent) {
            ask(&busy).unwrap();
        }
        filters.forget(asked(&silent) + FORGOTTEN);
        assert_eq!(ask(&silent).unwrap_err().to_string(), "filter not found");
        assert!(ask(&busy).is_ok());
        assert!(!filters.remove(&silent) && filters.remove(&busy));
    }

    #[test]
    fn there_are_only_so_many() {
        let filters = Filters::default();
        let add = || filters.add(Kind::Blocks { seen: BlockRef::default() });
        let first = add().unwrap();
        for _ in 1..MAX_FILTERS {
            add().unwrap();
        }
        let refused = add().unwrap_err();
        assert_eq!(
            (refused.code, refused.to_string().as_str()),
            (LIMIT_EXCEEDED, "too many filters (max 10000)")
        );
        assert!(filters.remove(&first));
        assert!(add().is_ok());
    }
}
