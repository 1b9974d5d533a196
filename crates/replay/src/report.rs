//! What a replay found out, as data. This is also the JSON output: its fields are stable.

use crate::{
    AccessListReport, Mode, PreparedBlock, RunConfig,
    checks::{Check, Checks, Outcome, shortened},
    compare::Divergence,
    hints::HintReport,
    prediction::{PredictionConfig, PredictionScore, Unseen, predict_block},
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use warpline_executor::ExecStats;
use warpline_fixture::Part;
use warpline_predictor::AccessPredictor;

/// Everything about one block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockReport {
    /// The file or scenario.
    pub name: String,
    /// The block's number.
    pub number: u64,
    /// The youngest fork active in it.
    pub fork: &'static str,
    /// How many transactions it has.
    pub transactions: usize,
    /// Gas used by them.
    pub gas_used: u64,
    /// Median time of the sequential runs.
    pub sequential_ms: Option<f64>,
    /// Median time of the parallel runs.
    pub parallel_ms: Option<f64>,
    /// The first over the second.
    pub speedup: Option<f64>,
    /// Executions of transactions in one parallel run, speculative ones included.
    pub executions: Option<u64>,
    /// How many of them were in vain.
    pub re_executions: Option<u64>,
    /// The longest chain of dependencies over the total, in time.
    pub critical_path_share: Option<f64>,
    /// The outcome of every check.
    pub checks: BTreeMap<Check, &'static str>,
    /// Whether both executions gave the same.
    pub equal_to_sequential: Option<bool>,
    /// The speed-up that no scheduler can beat: `1 / max(1 / threads, criticalPathShare)`.
    pub bound: Option<f64>,
    /// The speed-up over the bound.
    pub share_of_bound: Option<f64>,
    /// CPU time of a parallel run, of all threads, over that of a sequential run.
    pub cpu_ratio: Option<f64>,
    /// Where the time of a parallel run goes.
    pub shares: Option<Shares>,
    /// Both values of every failed check, and why others could not be made.
    pub check_details: BTreeMap<Check, CheckDetail>,
    /// Why the block could not be executed.
    pub error: Option<String>,
    /// The first difference between both executions.
    pub divergence: Option<Divergence>,
    /// What may be the reason of failed checks.
    pub hint: Option<String>,
    /// How well the accesses of its transactions were predicted.
    pub prediction: Option<PredictionScore>,
    /// What the hints did that parallel executions were given; `null` where they got none.
    pub hints: Option<HintReport>,
    /// What came of its access list, where that was asked for.
    pub access_list: Option<AccessListReport>,
}

/// More about a check that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum CheckDetail {
    /// It failed.
    Failed {
        /// What the block claims.
        expected: String,
        /// What was found.
        actual: String,
    },
    /// It could not be made.
    NotCheckable {
        /// Why.
        reason: String,
    },
}

/// Where the time of a parallel run goes: shares of the time of all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shares {
    /// Executing transactions in order, when their turn has come.
    pub execute: f64,
    /// Executing transactions ahead of their turn.
    pub run_ahead: f64,
    /// Executing transactions once more that had been run ahead in vain.
    pub re_execute: f64,
    /// Checking outcomes of transactions that had been run ahead.
    pub validate: f64,
    /// Committing outcomes and building the state diff.
    pub merge: f64,
    /// Waiting for another thread.
    pub idle: f64,
    /// Everything else: system calls, withdrawals, starting and finishing, having nothing to do.
    pub other: f64,
}

impl Shares {
    /// The shares that an execution's times amount to.
    pub fn new(stats: &ExecStats) -> Self {
        let total = stats.total.as_secs_f64() * stats.threads.max(1) as f64;
        let share = |part: Duration| part.as_secs_f64() / total.max(f64::MIN_POSITIVE);
        let mut shares = Self {
            execute: share(stats.execute.saturating_sub(stats.re_execute)),
            run_ahead: share(stats.speculate.saturating_sub(stats.wait)),
            re_execute: share(stats.re_execute),
            validate: share(stats.validate),
            merge: share(stats.merge),
            idle: share(stats.idle + stats.wait),
            other: 0.0,
        };
        shares.other = (1.0 - shares.parts().iter().sum::<f64>()).max(0.0);
        shares
    }

    const fn parts(&self) -> [f64; 7] {
        let Self { execute, run_ahead, re_execute, validate, merge, idle, other } = *self;
        [execute, run_ahead, re_execute, validate, merge, idle, other]
    }
}

impl BlockReport {
    pub(crate) fn new(block: &PreparedBlock) -> Self {
        Self {
            name: block.label.clone(),
            number: block.header.number,
            fork: block.fork(),
            transactions: block.txs.len(),
            gas_used: block.header.gas_used,
            sequential_ms: None,
            parallel_ms: None,
            speedup: None,
            executions: None,
            re_executions: None,
            critical_path_share: None,
            checks: BTreeMap::new(),
            equal_to_sequential: None,
            bound: None,
            share_of_bound: None,
            cpu_ratio: None,
            shares: None,
            check_details: BTreeMap::new(),
            error: None,
            divergence: None,
            hint: None,
            prediction: None,
            hints: None,
            access_list: None,
        }
    }

    /// Predicts the block's transactions from what `predictor` knows, and lets it learn from them.
    /// A block that cannot be executed has no score.
    pub fn predict(&mut self, block: &PreparedBlock, predictor: &mut AccessPredictor) {
        let config = PredictionConfig { learn: true, unseen: Unseen::Left };
        self.prediction = predict_block(block, predictor, config).ok();
    }

    /// Whether the block was executed, nothing checkable failed, and both executions agree.
    pub fn verified(&self) -> bool {
        self.error.is_none()
            && self.divergence.is_none()
            && self.equal_to_sequential != Some(false)
            && self.access_list.as_ref().is_none_or(|list| list.problem.is_none())
            && self.count("failed") == 0
    }

    /// How many checks have an outcome (`passed`, `failed` or `notCheckable`).
    pub fn count(&self, outcome: &str) -> usize {
        self.checks.values().filter(|status| **status == outcome).count()
    }

    pub(crate) fn set_checks(&mut self, checks: Checks) {
        for (check, outcome) in checks {
            let (status, detail) = match outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed { expected, actual } => {
                    let (expected, actual) = (shortened(&expected), shortened(&actual));
                    ("failed", Some(CheckDetail::Failed { expected, actual }))
                }
                Outcome::NotCheckable { reason } => {
                    ("notCheckable", Some(CheckDetail::NotCheckable { reason }))
                }
            };
            self.checks.insert(check, status);
            self.check_details.extend(detail.map(|detail| (check, detail)));
        }
    }

    pub(crate) fn set_gas_used(&mut self, block: &PreparedBlock, gas_used: u64) {
        if block.lacks(Part::GasUsed) {
            self.gas_used = gas_used;
        }
    }

    pub(crate) fn set_critical_path(&mut self, share: f64, threads: usize) {
        self.critical_path_share = Some(share);
        self.bound = Some(1.0 / share.max(1.0 / threads as f64));
    }

    pub(crate) fn set_stats(&mut self, stats: &ExecStats) {
        self.executions = Some(stats.executions);
        self.re_executions = Some(stats.re_executions);
        self.shares = Some(Shares::new(stats));
    }

    /// Sets the median wall and CPU times of both executions.
    pub(crate) fn set_times(
        &mut self,
        sequential: Option<(Duration, Duration)>,
        parallel: Option<(Duration, Duration)>,
    ) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.sequential_ms = sequential.map(|(wall, _)| ms(wall));
        self.parallel_ms = parallel.map(|(wall, _)| ms(wall));
        if let (Some(sequential), Some(parallel)) = (sequential, parallel) {
            let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(1e-9);
            let speedup = ratio(sequential.0, parallel.0);
            self.speedup = Some(speedup);
            self.share_of_bound = self.bound.map(|bound| speedup / bound);
            self.cpu_ratio = Some(ratio(parallel.1, sequential.1));
        }
    }
}

impl BlockReport {
    /// Sets the median time of the parallel runs without a use of hints, or without all.
    pub(crate) fn set_time_without(&mut self, off: &'static str, wall: Duration) {
        let Some(hints) = &mut self.hints else { return };
        let ms = wall.as_secs_f64() * 1e3;
        if off == "all" {
            hints.without_ms = Some(ms);
            hints.gain = self.parallel_ms.map(|with| ms / with);
        } else {
            hints.ablation.insert(off, ms);
        }
    }
}

/// A file that holds no block that can be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFailure {
    /// The file.
    pub file: String,
    /// What is wrong with it; names the file.
    pub error: String,
}

/// A whole replay.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Threads of the parallel runs.
    pub threads: usize,
    /// Timed runs of each execution.
    pub runs: usize,
    /// Which executions were run.
    pub mode: Mode,
    /// The blocks in the order they were run.
    pub blocks: Vec<BlockReport>,
    /// The files that could not be run.
    pub errors: Vec<FileFailure>,
    /// All blocks taken together.
    pub summary: Summary,
}

/// All blocks taken together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many blocks there were, those in unusable files included.
    pub blocks: usize,
    /// How many were verified.
    pub verified: usize,
    /// How many were not.
    pub failed: usize,
    /// Geometric mean of the speed-ups.
    pub geomean_speedup: Option<f64>,
    /// The smallest speed-up.
    pub min_speedup: Option<f64>,
    /// Gas of all blocks over the sum of their parallel times.
    pub gas_per_second_parallel: Option<f64>,
    /// Gas of all blocks over the sum of their sequential times.
    pub gas_per_second_sequential: Option<f64>,
    /// How many blocks take at least a millisecond sequentially.
    pub blocks_over_1ms: usize,
    /// Geometric mean of the speed-ups of these.
    pub geomean_speedup_over_1ms: Option<f64>,
    /// Geometric mean of what these reach of their bound.
    pub geomean_share_of_bound_over_1ms: Option<f64>,
    /// Geometric mean of the CPU time of parallel over sequential runs of these.
    pub geomean_cpu_ratio_over_1ms: Option<f64>,
}

impl Report {
    /// Sums up.
    pub fn new(config: &RunConfig, blocks: Vec<BlockReport>, errors: Vec<FileFailure>) -> Self {
        let summary = Summary::new(&blocks, errors.len());
        let RunConfig { parallel, runs, mode, .. } = config;
        Self { threads: parallel.threads, runs: *runs, mode: *mode, blocks, errors, summary }
    }

    /// Whether every block was verified and every file usable.
    pub fn verified(&self) -> bool {
        self.summary.failed == 0
    }
}

impl Summary {
    fn new(blocks: &[BlockReport], unusable: usize) -> Self {
        let verified = blocks.iter().filter(|block| block.verified()).count();
        let long: Vec<_> =
            blocks.iter().filter(|block| block.sequential_ms.is_some_and(|ms| ms >= 1.0)).collect();
        let rate = |time: fn(&BlockReport) -> Option<f64>| {
            let timed = blocks.iter().filter_map(|block| Some((block.gas_used, time(block)?)));
            let (gas, ms) = timed.fold((0.0, 0.0), |sum, (g, ms)| (sum.0 + g as f64, sum.1 + ms));
            (ms > 0.0).then(|| gas / ms * 1e3)
        };
        Self {
            blocks: blocks.len() + unusable,
            verified,
            failed: blocks.len() + unusable - verified,
            geomean_speedup: geomean(blocks.iter().filter_map(|block| block.speedup)),
            min_speedup: blocks.iter().filter_map(|block| block.speedup).reduce(f64::min),
            gas_per_second_parallel: rate(|block| block.parallel_ms),
            gas_per_second_sequential: rate(|block| block.sequential_ms),
            blocks_over_1ms: long.len(),
            geomean_speedup_over_1ms: geomean(long.iter().filter_map(|block| block.speedup)),
            geomean_share_of_bound_over_1ms: geomean(
                long.iter().filter_map(|block| block.share_of_bound),
            ),
            geomean_cpu_ratio_over_1ms: geomean(long.iter().filter_map(|block| block.cpu_ratio)),
        }
    }
}

pub(crate) fn geomean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), v| (sum + v.ln(), count + 1));
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometric_means() {
        assert_eq!(geomean([].into_iter()), None);
        let mean = geomean([1.0, 4.0].into_iter()).unwrap();
        assert!((mean - 2.0).abs() < 1e-12);
    }

    #[test]
    fn shares_add_up() {
        let ms = Duration::from_millis;
        let stats = ExecStats {
            threads: 3,
            total: ms(10),
            execute: ms(4),
            re_execute: ms(1),
            validate: ms(1),
            merge: ms(2),
            idle: ms(1),
            speculate: ms(12),
            wait: ms(2),
            ..ExecStats::default()
        };
        let shares = Shares::new(&stats);
        assert!((shares.execute - 0.1).abs() < 1e-9 && (shares.run_ahead - 1.0 / 3.0).abs() < 1e-9);
        assert!((shares.idle - 0.1).abs() < 1e-9);
        assert!((shares.parts().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
