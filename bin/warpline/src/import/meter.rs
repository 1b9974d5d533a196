//! What an import has done so far, and how fast.

use crate::output::{plural, sayln};
use alloy_primitives::B256;
use core::fmt;
use eyre::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    collections::VecDeque,
    io::{IsTerminal, stderr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use warpline_chain::{Progress, Stages, StoredChain};

/// How often the message of the bar changes.
const BAR_INTERVAL: Duration = Duration::from_millis(500);

/// Counts blocks, and shows how it goes: a bar on a terminal, lines elsewhere.
#[derive(Debug)]
pub(super) struct Meter {
    bar: ProgressBar,
    interval: Duration,
    start: Instant,
    counts: Mutex<Counts>,
    stages: Stages,
}

#[derive(Debug)]
struct Counts {
    /// Blocks that did not become the head.
    passed_over: u64,
    /// Blocks that were handed to the import and are not counted elsewhere yet.
    handed: u64,
    /// Blocks that have become part of the chain.
    done: Sum,
    /// Blocks that have left it.
    left: u64,
    /// Those of them that were not in the file when the last one came.
    unwritten: VecDeque<Progress>,
    /// When was shown how it goes, and where it stood then.
    shown: Instant,
    shown_sum: Sum,
}

/// Blocks, and what was in them.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    blocks: u64,
    transactions: u64,
    gas: u64,
}

impl Sum {
    fn add(&mut self, block: Progress) {
        self.blocks += 1;
        self.transactions += block.transactions as u64;
        self.gas += block.gas_used;
    }

    fn without(mut self, block: Progress) -> Self {
        self.blocks = self.blocks.saturating_sub(1);
        self.transactions = self.transactions.saturating_sub(block.transactions as u64);
        self.gas = self.gas.saturating_sub(block.gas_used);
        self
    }
}

impl Meter {
    /// For files of so many bytes together.
    pub(super) fn new(bytes: u64, log_interval: Duration) -> Result<Self> {
        let bar = ProgressBar::new(bytes);
        bar.set_style(ProgressStyle::with_template(
            "{bar:40} {bytes}/{total_bytes}, {eta} left: {msg}",
        )?);
        let interval = if stderr().is_terminal() { BAR_INTERVAL } else { log_interval };
        let start = Instant::now();
        let counts = Counts {
            passed_over: 0,
            handed: 0,
            done: Sum::default(),
            left: 0,
            unwritten: VecDeque::new(),
            shown: start,
            shown_sum: Sum::default(),
        };
        let (counts, stages) = (Mutex::new(counts), Stages::default());
        Ok(Self { bar, interval, start, counts, stages })
    }

    /// The bar, for the bytes that are read.
    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block was known.
    pub(super) fn passed_over(&self) {
        self.counts().passed_over += 1;
    }

    /// A block goes into the import.
    pub(super) fn handed(&self) {
        self.counts().handed += 1;
    }

    /// A block has become the head.
    pub(super) fn committed(&self, progress: Progress) {
        if progress.left > 0 {
            let (left, kept) = (plural(progress.left, "block"), progress.block.number - 1);
            self.bar.suspend(|| sayln!("{left} left the chain, which goes on from block {kept}"));
        }
        let mut counts = self.counts();
        counts.left += progress.left;
        counts.handed = counts.handed.saturating_sub(1);
        counts.done.add(progress);
        counts.unwritten.push_back(progress);
        while counts
            .unwritten
            .pop_front_if(|oldest| oldest.block.number <= progress.written)
            .is_some()
        {}
        let passed = counts.shown.elapsed();
        if passed < self.interval {
            return;
        }
        let seconds = passed.as_secs_f64().max(1e-9);
        let blocks = (counts.done.blocks - counts.shown_sum.blocks) as f64 / seconds;
        let gas = (counts.done.gas - counts.shown_sum.gas) as f64 / seconds / 1e6;
        counts.shown = Instant::now();
        counts.shown_sum = counts.done;
        drop(counts);
        let number = progress.block.number;
        let speed = format!("{blocks:.1} blocks/s, {gas:.1} Mgas/s");
        if stderr().is_terminal() {
            self.bar.set_message(format!("block {number}, {speed}"));
        } else {
            sayln!("block {number} imported, block {} written, {speed}", progress.written);
        }
    }

    /// A file is through: what did not become the head was known or lies beside the chain.
    pub(super) fn file_done(&mut self, stages: &Stages) {
        let mut counts = self.counts();
        counts.passed_over += core::mem::take(&mut counts.handed);
        drop(counts);
        self.stages.senders += stages.senders;
        self.stages.reading += stages.reading;
        self.stages.execution += stages.execution;
        self.stages.root += stages.root;
        self.stages.commit += stages.commit;
    }

    /// What is in a file that ends with block `head`, and how many blocks have left the chain and
    /// were passed over.
    fn written(&self, head: u64) -> (Sum, u64, u64) {
        let counts = self.counts();
        let lost = counts.unwritten.iter().filter(|block| block.block.number > head);
        let sum = lost.fold(counts.done, |sum, block| sum.without(*block));
        (sum, counts.left, counts.passed_over)
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The end of an import; `--json` has the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// 0 for sequential execution.
    threads: usize,
    /// Blocks that became part of the chain and were written, and what was in them.
    blocks: u64,
    transactions: u64,
    gas_used: u64,
    /// Executions of transactions, and those among them that were in vain.
    executions: u64,
    re_executions: u64,
    /// Blocks that have left the chain for others.
    left_chain: u64,
    /// Blocks that were in the files and in the chain already, or lie beside it.
    passed_over: u64,
    /// Until the last block was written.
    seconds: f64,
    blocks_per_second: f64,
    mgas_per_second: f64,
    /// How many seconds each stage was busy, in files that came to their end; they overlap.
    stages: StageSeconds,
    /// The last block in the database.
    head: HeadBlock,
    /// Whether a signal ended it.
    interrupted: bool,
    /// What else did.
    pub(super) error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageSeconds {
    senders: f64,
    reading: f64,
    execution: f64,
    root: f64,
    commit: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadBlock {
    number: u64,
    hash: B256,
    state_root: Option<B256>,
}

impl Summary {
    /// Of an import that has written what it could.
    pub(super) fn new(
        meter: &Meter,
        threads: usize,
        chain: &StoredChain,
        interrupted: bool,
    ) -> Result<Self> {
        let (stages, executions) = (meter.stages, chain.executions());
        let seconds = meter.start.elapsed().as_secs_f64();
        let head = chain.storage().written();
        let (sum, left_chain, passed_over) = meter.written(head.number);
        let snapshot = chain.storage().snapshot(1)?;
        let header = snapshot.reader()?.header(head.number)?;
        let state_root = header.map(|(header, _)| header.state_root);
        Ok(Self {
            threads,
            blocks: sum.blocks,
            transactions: sum.transactions,
            gas_used: sum.gas,
            executions: executions.all,
            re_executions: executions.in_vain,
            left_chain,
            passed_over,
            seconds,
            blocks_per_second: sum.blocks as f64 / seconds,
            mgas_per_second: sum.gas as f64 / seconds / 1e6,
            stages: StageSeconds {
                senders: stages.senders.as_secs_f64(),
                reading: stages.reading.as_secs_f64(),
                execution: stages.execution.as_secs_f64(),
                root: stages.root.as_secs_f64(),
                commit: stages.commit.as_secs_f64(),
            },
            head: HeadBlock { number: head.number, hash: head.hash, state_root },
            interrupted,
            error: None,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blocks, transactions) = (plural(self.blocks, "block"), HumanCount(self.transactions));
        let gas = self.gas_used as f64 / 1e6;
        write!(f, "imported {blocks}, {transactions} transactions, {gas:.1} Mgas")?;
        write!(f, " in {:.1} s: ", self.seconds)?;
        writeln!(f, "{:.1} blocks/s, {:.1} Mgas/s", self.blocks_per_second, self.mgas_per_second)?;
        if self.passed_over > 0 {
            let passed_over = plural(self.passed_over, "block");
            writeln!(f, "passed over {passed_over}, known before or beside the chain")?;
        }
        let HeadBlock { number, hash, state_root } = &self.head;
        let root = state_root.map_or_else(String::new, |root| format!(", state root {root}"));
        writeln!(f, "head: block {number} ({hash}){root}")?;
        if self.interrupted {
            writeln!(f, "ended by a signal; the same command goes on from here")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warpline_storage::BlockRef;

    fn block(number: u64, written: u64) -> Progress {
        let block = BlockRef { number, hash: B256::repeat_byte(number as u8) };
        Progress { block, transactions: 10, gas_used: 100, written, left: 0 }
    }

    #[test]
    fn blocks_that_were_not_written_do_not_count() {
        let meter = Meter::new(0, Duration::MAX).unwrap();
        for number in 1..=9 {
            meter.handed();
            meter.committed(block(number, number.saturating_sub(4)));
        }
        let (sum, left, passed_over) = meter.written(9);
        assert_eq!((sum.blocks, sum.transactions, sum.gas), (9, 90, 900));
        assert_eq!((left, passed_over), (0, 0));
        let (sum, ..) = meter.written(7);
        assert_eq!((sum.blocks, sum.transactions, sum.gas), (7, 70, 700));
    }

    #[test]
    fn blocks_that_leave_the_chain_are_counted() {
        let meter = Meter::new(0, Duration::MAX).unwrap();
        meter.committed(block(1, 0));
        meter.committed(block(2, 2));
        meter.committed(Progress { left: 1, ..block(2, 2) });
        let (sum, left, _) = meter.written(2);
        assert_eq!((sum.blocks, left), (3, 1));
    }
}
