//! What has happened in the pool since it was made, and what it holds.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of the pool. Counts are since the pool was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Transactions that could be in the next block or behind others of their sender in it.
    pub pending: usize,
    /// Transactions behind a gap in their sender's nonces.
    pub queued: usize,
    /// Slots of 32 KiB that they take.
    pub slots: usize,
    /// Bytes of memory that they take, about.
    pub bytes: usize,
    /// Senders with a transaction in the pool.
    pub senders: usize,
    /// Transactions that entered.
    pub added: u64,
    /// Of these, those that replaced another.
    pub replaced: u64,
    /// Transactions that were refused.
    pub refused: u64,
    /// Transactions that left in a block.
    pub mined: u64,
    /// Transactions that came back from blocks that left the chain.
    pub returned: u64,
    /// Transactions that were dropped: evicted, invalid at a new head, or taken out by name.
    pub dropped: u64,
    /// Queued transactions of senders that had been silent for too long.
    pub expired: u64,
    /// Times that the journal could not be written.
    pub journal_failures: u64,
}

/// The counts, which need no lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) added: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) mined: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) journal_failures: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Counters {
    /// The counts, beside which the rest is zero.
    pub(crate) fn read(&self) -> PoolStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolStats {
            added: read(&self.added),
            replaced: read(&self.replaced),
            refused: read(&self.refused),
            mined: read(&self.mined),
            returned: read(&self.returned),
            dropped: read(&self.dropped),
            expired: read(&self.expired),
            journal_failures: read(&self.journal_failures),
            ..PoolStats::default()
        }
    }
}
