//! How often transactions were executed, and what was done for roots meanwhile.

use super::{chain::StoredChain, stream::Begun};
use core::sync::atomic::{AtomicU64, Ordering};
use warpline_executor::ExecStats;

/// Executions of transactions, in blocks that were valid as far as their execution shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executions {
    /// All of them.
    pub all: u64,
    /// Those that were in vain: more than one of a transaction in one execution of its block.
    pub in_vain: u64,
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    all: AtomicU64,
    in_vain: AtomicU64,
    foreseen: AtomicU64,
}

impl Tally {
    /// One more execution of a block.
    pub(super) fn add(&self, stats: &ExecStats) {
        // Of an execution in order only the number of transactions is known.
        self.all.fetch_add(stats.executions.max(stats.transactions), Ordering::Relaxed);
        self.in_vain.fetch_add(stats.re_executions, Ordering::Relaxed);
    }

    /// The root of one more block was begun while it executed.
    pub(super) fn add_begun(&self, begun: Begun) {
        self.foreseen.fetch_add(begun.values, Ordering::Relaxed);
    }
}

impl StoredChain {
    /// How often transactions of imported blocks have been executed.
    pub fn executions(&self) -> Executions {
        let Tally { all, in_vain, .. } = &self.tally;
        let [all, in_vain] = [all, in_vain].map(|count| count.load(Ordering::Relaxed));
        Executions { all, in_vain }
    }

    /// Values that the trie was given while their block still executed.
    pub fn foreseen(&self) -> u64 {
        self.tally.foreseen.load(Ordering::Relaxed)
    }
}
