//! What a fuzzing run covered, so that it can be judged.

use crate::support::Done;
use core::fmt;
use std::collections::BTreeMap;
use warpline_executor::ExecStats;
use warpline_testing::evm::GeneratedBlock;

/// Counts over many blocks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    forks: BTreeMap<String, u64>,
    blocks: u64,
    rejected: u64,
    transactions: u64,
    /// Successful ones among those of valid blocks.
    successful: u64,
    /// Transactions with logs.
    logging: u64,
    gas: u64,
    changed_accounts: u64,
    changed_slots: u64,
    cleared: u64,
    executions: u64,
    /// Executions of blocks in which some speculation failed or was repeated.
    conflicts: u64,
    speculations: u64,
    committed_ahead: u64,
    re_executions: u64,
}

impl Tally {
    /// A block, and what the oracle made of it.
    pub(crate) fn block(&mut self, block: &GeneratedBlock, outcome: &Result<Done, String>) {
        *self.forks.entry(format!("{:?}", block.spec)).or_default() += 1;
        self.blocks += 1;
        let Ok((result, diff)) = outcome else {
            self.rejected += 1;
            return;
        };
        self.transactions += result.receipts.len() as u64;
        self.successful += block.expected.statuses.iter().filter(|status| **status).count() as u64;
        let logs = |receipt: &&alloy_consensus::ReceiptEnvelope| !receipt.logs().is_empty();
        self.logging += result.receipts.iter().filter(logs).count() as u64;
        self.gas += result.gas_used;
        self.changed_accounts += diff.accounts.len() as u64;
        self.changed_slots += diff.accounts.iter().map(|a| a.storage.len() as u64).sum::<u64>();
        self.cleared += diff.accounts.iter().filter(|a| a.storage_cleared).count() as u64;
    }

    /// A parallel execution, with its statistics if the block is valid.
    pub(crate) const fn execution(&mut self, stats: Option<&ExecStats>) {
        self.executions += 1;
        let Some(stats) = stats else { return };
        self.conflicts += (stats.re_executions > 0) as u64;
        self.speculations += stats.speculations;
        self.committed_ahead += stats.committed_ahead;
        self.re_executions += stats.re_executions;
    }

    /// # Panics
    /// If the blocks did too little to find anything.
    pub(crate) fn assert_worth_running(&self) {
        assert!(self.successful * 2 > self.transactions, "most fail: {self}");
        assert!(self.successful * 20 < self.transactions * 19, "hardly any fails: {self}");
        assert!(self.rejected > 0 && self.rejected * 3 < self.blocks, "{self}");
        assert!(self.conflicts * 4 > self.executions, "few conflicts: {self}");
        assert!(self.committed_ahead * 4 > self.speculations, "few outcomes hold: {self}");
        assert!(self.re_executions * 20 > self.speculations, "all outcomes hold: {self}");
        assert!(self.cleared > 0, "nothing was destroyed: {self}");
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, transactions, executions, speculations, .. } = *self;
        writeln!(f, "{blocks} blocks, {executions} parallel executions, all equal to sequential")?;
        writeln!(f, "  {:.1}% of the blocks are invalid", percent(self.rejected, blocks))?;
        let per_block = transactions as f64 / (blocks - self.rejected).max(1) as f64;
        writeln!(
            f,
            "  {transactions} transactions ({per_block:.1} per block): {:.1}% succeed, {:.1}% log, \
             {} gas each",
            percent(self.successful, transactions),
            percent(self.logging, transactions),
            self.gas / transactions.max(1),
        )?;
        writeln!(
            f,
            "  {} accounts and {} slots changed, {} accounts destroyed",
            self.changed_accounts, self.changed_slots, self.cleared
        )?;
        writeln!(
            f,
            "  {speculations} speculations: {:.1}% committed, {} executed again; {:.1}% of the \
             executions had conflicts",
            percent(self.committed_ahead, speculations),
            self.re_executions,
            percent(self.conflicts, executions),
        )?;
        write!(f, "  blocks by fork:")?;
        self.forks.iter().try_for_each(|(fork, count)| write!(f, " {fork} {count}"))
    }
}
