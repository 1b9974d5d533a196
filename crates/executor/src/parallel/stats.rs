//! How an execution went.

use core::time::Duration;

/// Counts and, where asked for, times of one block execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecStats {
    /// Transactions in the block.
    pub transactions: u64,
    /// Threads that could have worked on the block, the front included.
    pub threads: u64,
    /// Executions in all, speculative ones included.
    pub executions: u64,
    /// Speculative executions.
    pub speculations: u64,
    /// Speculative outcomes that were committed.
    pub committed_ahead: u64,
    /// Outcomes from before the block that were committed.
    pub committed_early: u64,
    /// Outcomes from before the block that no longer held.
    pub outdated_early: u64,
    /// Executions beyond one for each transaction that was executed in the block: speculative
    /// outcomes that no longer held, or that were given up.
    pub re_executions: u64,
    /// The whole execution.
    pub total: Duration,
    /// The front executing transactions itself.
    pub execute: Duration,
    /// Part of `execute` spent on transactions that had been run ahead in vain.
    pub re_execute: Duration,
    /// The front validating outcomes.
    pub validate: Duration,
    /// The front committing outcomes and building the state diff.
    pub merge: Duration,
    /// The front with nothing to do.
    pub idle: Duration,
    /// All threads speculating, waits included.
    pub speculate: Duration,
    /// Speculations waiting at a read for an earlier transaction.
    pub wait: Duration,
}
