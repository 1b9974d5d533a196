//! What a node tells whoever listens.

use alloy_consensus::Header;
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::broadcast;
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

/// The two streams of events.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) heads: broadcast::Sender<NewHead>,
    pub(crate) pending: broadcast::Sender<NewPending>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { heads: broadcast::channel(BEHIND).0, pending: broadcast::channel(BEHIND).0 }
    }
}
