//! What a node tells whoever listens.

use alloy_consensus::Header;
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use warpline_executor::ExecStats;
use warpline_storage::BlockRef;
use warpline_txpool::PoolTransaction;

/// How a block was made here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockReport {
    /// The block.
    pub block: BlockRef,
    /// How its execution went.
    pub stats: ExecStats,
    /// From the choice of transactions to the end of the execution, roots included that need no
    /// state.
    pub execution: Duration,
    /// Until the head had moved.
    pub total: Duration,
    /// Candidates that could not be in it.
    pub dropped: usize,
}

impl BlockReport {
    /// How many times as long the execution would about have taken in order: the front's own work
    /// and the helpers' that was of use, by the time that passed. It is an estimate, since the
    /// block is not executed in order; 1 where nothing ran ahead.
    pub fn speedup(&self) -> f64 {
        let stats = &self.stats;
        if stats.committed_ahead == 0 || stats.total.is_zero() {
            return 1.0;
        }
        let of_use = stats.committed_ahead as f64 / stats.speculations.max(1) as f64;
        let helped = stats.speculate.saturating_sub(stats.wait).as_secs_f64() * of_use;
        let work = stats.execute + stats.merge;
        (work.as_secs_f64() + helped) / stats.total.as_secs_f64()
    }
}

/// A new head.
#[derive(Debug, Clone)]
pub struct NewHead {
    /// Which block it is.
    pub block: BlockRef,
    /// Its header.
    pub header: Arc<Header>,
    /// The blocks that left the chain for it, the newest first, with their logs gone.
    pub dropped: Arc<[BlockRef]>,
    /// How it was made, where it was made here.
    pub report: Option<BlockReport>,
}

/// Transactions that could be in the next block from now on.
#[derive(Debug, Clone)]
pub struct NewPending(pub Arc<[Arc<PoolTransaction>]>);

/// A listener was too slow and has missed something.
pub type Lagged = broadcast::error::RecvError;

/// How many events a slow listener may be behind before it misses some.
const BEHIND: usize = 4096;

/// The streams of events.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) heads: broadcast::Sender<NewHead>,
    pub(crate) pending: broadcast::Sender<NewPending>,
    /// How often the head has moved: for those who only want to know that it has.
    pub(crate) moves: watch::Sender<u64>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            heads: broadcast::channel(BEHIND).0,
            pending: broadcast::channel(BEHIND).0,
            moves: watch::channel(0).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_helpers_did_of_use_speeds_a_block_up() {
        let millis = Duration::from_millis;
        let mut report = BlockReport::default();
        report.stats.execute = millis(500);
        report.stats.merge = millis(100);
        report.stats.total = millis(1000);
        assert_eq!(report.speedup(), 1.0, "nothing ran ahead");
        report.stats.speculations = 10;
        report.stats.speculate = millis(1100);
        report.stats.wait = millis(100);
        assert_eq!(report.speedup(), 1.0, "nothing of it was of use");
        report.stats.committed_ahead = 9;
        assert!((report.speedup() - 1.5).abs() < 1e-9, "{}", report.speedup());
    }
}
