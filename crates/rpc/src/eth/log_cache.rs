//! The logs of blocks that were searched of late, decoded.

use super::{FoundLog, logs_of_block};
use crate::wire::LogFilter;
use alloy_primitives::{B256, Bloom};
use core::mem::size_of;
use quick_cache::{Weighter, sync::Cache};
use std::sync::Arc;
use warpline_storage::{StateReader, StorageError};

/// Memory for logs, in bytes: some hundred blocks of mainnet.
const BYTES: u64 = 64 << 20;

/// What a search has to know of a block.
#[derive(Debug)]
pub(crate) struct BlockLogs {
    bloom: Bloom,
    /// All of them, in order.
    logs: Vec<FoundLog>,
}

impl BlockLogs {
    /// Finds logs.
    pub(crate) fn search(&self, filter: &LogFilter, found: &mut Vec<FoundLog>) {
        if filter.may_be_in(&self.bloom) {
            found
                .extend(self.logs.iter().filter(|of_block| filter.matches(&of_block.log)).cloned());
        }
    }

    fn bytes(&self) -> u64 {
        let of_logs = self.logs.iter().map(|found| {
            size_of::<FoundLog>() + found.log.data.data.len() + 32 * found.log.topics().len()
        });
        (size_of::<Self>() + of_logs.sum::<usize>()) as u64
    }
}

/// By the hash of the block, so that nothing in it is ever wrong.
#[derive(Debug)]
pub(crate) struct LogCache(Cache<B256, Arc<BlockLogs>, ByBytes>);

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<B256, Arc<BlockLogs>> for ByBytes {
    fn weight(&self, _: &B256, logs: &Arc<BlockLogs>) -> u64 {
        logs.bytes()
    }
}

impl Default for LogCache {
    fn default() -> Self {
        Self(Cache::with_weighter((BYTES / 4096) as usize, BYTES, ByBytes))
    }
}

impl LogCache {
    /// The logs of a block that has been searched before.
    pub(crate) fn get(&self, block: &B256) -> Option<Arc<BlockLogs>> {
        self.0.get(block)
    }

    /// Reads the logs of a block, given by number, hash and time, for which a bloom filter says
    /// that it may have some.
    pub(crate) fn read(
        &self,
        reader: &StateReader<'_>,
        (number, hash, timestamp): (u64, B256, u64),
        bloom: Bloom,
    ) -> Result<Arc<BlockLogs>, StorageError> {
        let mut logs = Vec::new();
        logs_of_block(reader, (number, hash, timestamp), &mut logs)?;
        let logs = Arc::new(BlockLogs { bloom, logs });
        self.0.insert(hash, Arc::clone(&logs));
        Ok(logs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{LogPlace, LogQuery};
    use alloy_primitives::{Address, Log, U256};
    use serde_json::json;

    fn found(emitter: Address, length: usize) -> FoundLog {
        let log = Log::new_unchecked(emitter, Vec::new(), vec![0; length].into());
        let place = LogPlace {
            block_hash: B256::ZERO,
            block_number: 0,
            timestamp: 0,
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index: 0,
        };
        FoundLog { log, place }
    }

    #[test]
    fn a_block_gives_what_a_filter_asks_for() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let logs = vec![found(a, 1), found(b, 2), found(a, 3)];
        let bloom = logs.iter().map(|found| &found.log).collect();
        let block = BlockLogs { bloom, logs };
        let lengths = |query: serde_json::Value| {
            let query: LogQuery = serde_json::from_value(query).unwrap();
            let mut found = Vec::new();
            block.search(&query.filter, &mut found);
            found.iter().map(|found| found.log.data.data.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(json!({})), [1, 2, 3]);
        assert_eq!(lengths(json!({ "address": a })), [1, 3]);
        assert_eq!(lengths(json!({ "address": Address::repeat_byte(3) })), [0; 0]);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let cache = LogCache::default();
        let block = |at: u64| B256::from(U256::from(at));
        for at in 0..100 {
            let logs = vec![found(Address::ZERO, 2 << 20)];
            cache.0.insert(block(at), Arc::new(BlockLogs { bloom: Bloom::ZERO, logs }));
        }
        let kept = (0..100).filter(|at| cache.get(&block(*at)).is_some()).count();
        assert!((1..=32).contains(&kept), "{kept}");
    }
}
