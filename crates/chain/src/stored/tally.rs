//! How often transactions were executed.

use super::chain::StoredChain;
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
}

impl Tally {
    /// One more execution of a block.
    pub(super) fn add(&self, stats: &ExecStats) {
        // Of an execution in order only the number of transactions is known.
        self.all.fetch_add(stats.executions.max(stats.transactions), Ordering::Relaxed);
        self.in_vain.fetch_add(stats.re_executions, Ordering::Relaxed);
    }
}

impl StoredChain {
    /// How often transactions of imported blocks have been executed.
    pub fn executions(&self) -> Executions {
        let Tally { all, in_vain } = &self.tally;
        let [all, in_vain] = [all, in_vain].map(|count| count.load(Ordering::Relaxed));
        Executions { all, in_vain }
    }
}
