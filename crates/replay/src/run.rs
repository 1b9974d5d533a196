//! Running a block: once for the proof, then as often as asked for the time.

use crate::{
    BlockReport, CriticalPath, PreparedBlock,
    checks::{self, Checks, Outcome},
    compare::{Execution, compare},
    hints::{HintReport, HintSource, Variant},
    prediction::BlockExpectations,
};
use alloy_consensus::EthereumReceipt;
use cpu_time::ProcessTime;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;
use std::{
    hint::black_box,
    io,
    time::{Duration, Instant},
};
use warpline_executor::{
    BlockOutput, Ethereum, ExecStats, ExecuteError, ParallelConfig, ParallelExecutor,
    SequentialOutput, execute_sequential,
};
use warpline_merger::diff_from_bundle;

/// Which executions to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Sequentially and in parallel, and compare.
    #[default]
    Both,
    /// In parallel only.
    Parallel,
    /// Sequentially only.
    Sequential,
}

/// How to run blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunConfig {
    /// How to execute in parallel.
    pub parallel: ParallelConfig,
    /// How often to time each execution.
    pub runs: usize,
    /// Which executions to run.
    pub mode: Mode,
    /// Where the expectations come from that [`Runner::run`] is given.
    pub hints: HintSource,
    /// Also time parallel runs with one use of the expectations less, each in turn.
    pub ablate: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        let parallel = ParallelConfig::default();
        Self { parallel, runs: 15, mode: Mode::Both, hints: HintSource::Off, ablate: false }
    }
}

/// Runs blocks on a pool of threads that outlives them.
#[derive(Debug)]
pub struct Runner {
    config: RunConfig,
    timed: ParallelExecutor<Ethereum>,
    /// The same, telling where the time goes.
    observed: ParallelExecutor<Ethereum>,
}

/// Times of one execution, over all runs.
#[derive(Debug)]
pub(crate) struct Times {
    /// How often the block is executed in a run.
    repeat: u32,
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Runner {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(config: RunConfig) -> io::Result<Self> {
        let timed = ParallelConfig { timings: false, ..config.parallel };
        let observed = ParallelConfig { timings: true, ..config.parallel };
        Ok(Self {
            config,
            timed: ParallelExecutor::ethereum(timed)?,
            observed: ParallelExecutor::ethereum(observed)?,
        })
    }

    /// The configuration in use.
    pub const fn config(&self) -> &RunConfig {
        &self.config
    }

    pub(crate) const fn timed(&self) -> &ParallelExecutor<Ethereum> {
        &self.timed
    }

    /// Runs a block: executes and checks it, compares the executions, then measures. `tick` is
    /// called after every timed run.
    ///
    /// Parallel executions are guided by `expectations`, where there are any.
    pub fn run(
        &self,
        block: &PreparedBlock,
        expectations: Option<&BlockExpectations>,
        mut tick: impl FnMut(),
    ) -> BlockReport {
        let mode = self.config.mode;
        let sequential = (mode != Mode::Parallel).then(|| sequential(block));
        let guided = Guided { block, expectations };
        let observed = |variant| self.parallel(&guided, variant);
        let observed = (mode != Mode::Sequential).then(|| observed(Variant::ALL));
        let (parallel, stats) = match observed {
            Some(Ok((execution, stats))) => (Some(Ok(execution)), Some(stats)),
            Some(Err(error)) => (Some(Err(error)), None),
            None => (None, None),
        };

        let mut report = BlockReport::new(block);
        let mut checks = checks::check_body(block);
        for execution in [&sequential, &parallel].into_iter().flatten() {
            merge(&mut checks, check(block, execution));
        }
        if let (Some(sequential), Some(parallel)) = (&sequential, &parallel) {
            let divergence = compare(block, sequential, parallel);
            report.equal_to_sequential = Some(divergence.is_none());
            report.divergence = divergence;
        }
        match sequential.as_ref().or(parallel.as_ref()) {
            Some(Ok(execution)) => report.set_gas_used(block, execution.result.gas_used),
            Some(Err(error)) => report.error = Some(explain(block, error)),
            None => {}
        }
        let failed = checks.values().any(|check| matches!(check, Outcome::Failed { .. }));
        report.set_checks(checks);
        if failed {
            report.hint = unlisted_accounts(block);
        }

        if report.error.is_none() && report.divergence.is_none() {
            report.set_critical_path(critical_path_share(block), self.config.parallel.threads);
            if let Some(stats) = &stats {
                report.set_stats(stats);
                report.hints = expectations.map(|known| HintReport::new(self.config.hints, known));
            }
            if let Some(hints) = &mut report.hints {
                let without = self.parallel(&guided, Variant::NONE).ok();
                hints.re_executions_without = without.map(|(_, stats)| stats.re_executions);
            }
            self.measure(&guided, &sequential, &parallel, &mut report, &mut tick);
        }
        report
    }

    /// Times all executions in turns, so that they see the same machine. Every parallel result
    /// must still be the right one, whatever the schedule was.
    fn measure(
        &self,
        guided: &Guided<'_>,
        sequential: &Option<Result<Execution, ExecuteError>>,
        parallel: &Option<Result<Execution, ExecuteError>>,
        report: &mut BlockReport,
        tick: &mut impl FnMut(),
    ) {
        let block = guided.block;
        let repeat = repetitions(sequential.is_some(), block, &self.timed);
        let variants = self.variants(parallel.is_some(), guided.expectations.is_some());
        let mut in_order = Times::new(repeat);
        let mut at_once: Vec<_> = variants.iter().map(|_| Times::new(repeat)).collect();
        let Some(expected) = sequential.as_ref().or(parallel.as_ref()) else { return };
        let mut orders = Orders::new(variants.len() + 1);
        for run in 0..self.config.runs {
            for &turn in orders.next(run) {
                let Some(variant) = variants.get(turn) else {
                    if sequential.is_some() {
                        in_order.time(|| run_sequential(block));
                    }
                    continue;
                };
                let outputs = at_once[turn].time(|| guided.run(*variant, &self.timed));
                for output in outputs {
                    let divergence = compare(block, expected, &output.map(from_parallel));
                    if divergence.is_some() {
                        report.equal_to_sequential = Some(false);
                        report.divergence = divergence;
                        return;
                    }
                }
            }
            tick();
        }
        report.set_times(in_order.medians(), at_once.first().and_then(Times::medians));
        for (variant, times) in variants.iter().zip(&at_once) {
            if let (Some(off), Some((wall, _))) = (variant.off, times.medians()) {
                report.set_time_without(off, wall);
            }
        }
    }

    /// The parallel executions to time, the one that counts first.
    fn variants(&self, parallel: bool, hints: bool) -> Vec<Variant> {
        let mut variants = Vec::new();
        if parallel {
            variants.push(Variant::ALL);
        }
        if parallel && hints {
            variants.push(Variant::NONE);
        }
        if parallel && hints && self.config.ablate {
            variants.extend(Variant::ablated());
        }
        variants
    }

    fn parallel(
        &self,
        guided: &Guided<'_>,
        variant: Variant,
    ) -> Result<(Execution, ExecStats), ExecuteError> {
        // The first run fills the caches, the second shows what a run looks like.
        guided.run(variant, &self.observed)?;
        let output = guided.run(variant, &self.observed)?;
        let stats = output.stats;
        Ok((from_parallel(output), stats))
    }
}

/// A block with what is expected of it.
struct Guided<'a> {
    block: &'a PreparedBlock,
    expectations: Option<&'a BlockExpectations>,
}

impl Guided<'_> {
    fn run(
        &self,
        variant: Variant,
        executor: &ParallelExecutor<Ethereum>,
    ) -> Result<BlockOutput<EthereumReceipt>, ExecuteError> {
        let (block, guidance) = (self.block, variant.guidance(self.expectations));
        executor.execute_guided(block.factory(), block.input(), guidance, &block.pre_state)
    }
}

impl Times {
    pub(crate) const fn new(repeat: u32) -> Self {
        Self { repeat, wall: Vec::new(), cpu: Vec::new() }
    }

    /// Takes the time of a run. What it gives is kept, so that dropping it is not timed.
    pub(crate) fn time<T>(&mut self, run: impl Fn() -> T) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.repeat as usize);
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        for _ in 0..self.repeat {
            outputs.push(black_box(run()));
        }
        self.wall.push(wall.elapsed() / self.repeat);
        self.cpu.push(cpu.elapsed() / self.repeat);
        outputs
    }

    /// The median wall and CPU time.
    fn medians(&self) -> Option<(Duration, Duration)> {
        Some((median(&self.wall)?, median(&self.cpu)?))
    }
}

/// The orders in which executions take their turns, run by run.
///
/// Who comes after a sequential execution finds the other cores asleep, who comes second finds
/// warmer caches, and some of it lasts for longer than one turn. So every order is as likely as any
/// other, and each is followed by its reverse; up to three executions take all orders in turn.
#[derive(Debug)]
struct Orders {
    random: StdRng,
    last: Vec<usize>,
}

impl Orders {
    /// Those of so many executions, the same every time.
    fn new(turns: usize) -> Self {
        Self { random: StdRng::seed_from_u64(0), last: (0..turns).collect() }
    }

    /// The order of a run; runs are counted from 0.
    fn next(&mut self, run: usize) -> &[usize] {
        match (run % 2, self.last.len()) {
            (1, _) => self.last.reverse(),
            (_, 0..=3) => {
                self.last.reverse();
                self.last.rotate_left(1);
            }
            _ => self.last.shuffle(&mut self.random),
        }
        &self.last
    }
}

/// The median wall time in milliseconds.
pub(crate) fn median_ms(times: &Times) -> Option<f64> {
    median(&times.wall).map(|time| time.as_secs_f64() * 1e3)
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some((sorted[middle - 1] + sorted[middle]) / 2),
        _ => Some(sorted[middle]),
    }
}

/// The median of several measurements: a run that was interrupted says nothing about the block.
fn critical_path_share(block: &PreparedBlock) -> f64 {
    let mut shares = [0; 3].map(|_| CriticalPath::measure(block).share());
    shares.sort_unstable_by(f64::total_cmp);
    shares[1]
}

/// How often a block is executed in one timed run, whose mean then counts: a block of some
/// microseconds cannot be timed alone.
pub(crate) fn repetitions(
    in_order: bool,
    block: &PreparedBlock,
    executor: &ParallelExecutor<Ethereum>,
) -> u32 {
    const ENOUGH: Duration = Duration::from_micros(500);
    const MOST: u128 = 64;
    let start = Instant::now();
    match in_order {
        true => drop(run_sequential(block)),
        false => drop(run_parallel(block, executor)),
    }
    let once = start.elapsed().as_nanos().max(1);
    u32::try_from((ENOUGH.as_nanos() / once).clamp(1, MOST)).unwrap_or(1)
}

fn run_parallel(
    block: &PreparedBlock,
    executor: &ParallelExecutor<Ethereum>,
) -> Result<BlockOutput<EthereumReceipt>, ExecuteError> {
    executor.execute_block(block.factory(), block.input(), &block.pre_state)
}

fn run_sequential(
    block: &PreparedBlock,
) -> Result<SequentialOutput<EthereumReceipt>, ExecuteError> {
    execute_sequential(block.factory(), block.input(), &block.pre_state)
}

fn sequential(block: &PreparedBlock) -> Result<Execution, ExecuteError> {
    let output = run_sequential(block)?;
    Ok(Execution { result: output.result, diff: diff_from_bundle(&output.bundle) })
}

pub(crate) fn from_parallel(output: BlockOutput<EthereumReceipt>) -> Execution {
    let mut diff = output.diff;
    diff.sort();
    Execution { result: output.result, diff }
}

fn check(block: &PreparedBlock, execution: &Result<Execution, ExecuteError>) -> Checks {
    match execution {
        Ok(Execution { result, diff }) => checks::check_execution(block, result, diff),
        Err(_) => checks::not_executed(),
    }
}

/// Adds the checks of another execution: a check passes if it passes for all of them.
fn merge(all: &mut Checks, more: Checks) {
    for (check, outcome) in more {
        let kept = all.entry(check).or_insert_with(|| outcome.clone());
        if !matches!(kept, Outcome::Failed { .. }) && matches!(outcome, Outcome::Failed { .. }) {
            *kept = outcome;
        }
    }
}

/// An execution error in full, with what the fixture may have to do with it.
fn explain(block: &PreparedBlock, error: &ExecuteError) -> String {
    let index = error.transaction().map(|index| index.get());
    let sender = index.and_then(|index| block.sender(index));
    match sender.filter(|sender| block.pre_state.account(sender).is_none()) {
        Some(sender) => format!("{error} (the pre-state has no account {sender}, its sender)"),
        None => error.to_string(),
    }
}

/// Names the accounts that may be missing from a fixture whose checks fail.
fn unlisted_accounts(block: &PreparedBlock) -> Option<String> {
    const SHOWN: usize = 5;
    if block.manifest.complete_state {
        return None;
    }
    let unlisted = CriticalPath::measure(block).unlisted();
    let shown: Vec<_> = unlisted
        .iter()
        .take(SHOWN)
        .map(|(address, index)| format!("{address} (transaction {index})"))
        .collect();
    let more = unlisted.len().saturating_sub(SHOWN);
    (!shown.is_empty()).then(|| {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("accounts that were read but are not in the pre-state: {}{more}", shown.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn up_to_three_executions_take_all_orders_in_turn() {
        for (turns, all) in [(1, 1), (2, 2), (3, 6)] {
            let mut orders = Orders::new(turns);
            let seen: BTreeSet<Vec<usize>> =
                (0..all).map(|run| orders.next(run).to_vec()).collect();
            assert_eq!(seen.len(), all, "{seen:?}");
        }
    }

    #[test]
    fn everyone_comes_about_as_often_so_many_turns_after_each_of_the_others() {
        const RUNS: usize = 20_000;
        for turns in 3..8 {
            let mut orders = Orders::new(turns);
            let mut after = vec![vec![0_usize; turns * turns]; turns];
            for run in 0..RUNS {
                let order = orders.next(run);
                for (at, first) in order.iter().enumerate() {
                    for (distance, later) in order[at..].iter().enumerate().skip(1) {
                        after[distance][first * turns + later] += 1;
                    }
                }
            }
            for (distance, counts) in after.iter().enumerate().skip(1) {
                let expected = RUNS * (turns - distance) / (turns * (turns - 1));
                let others = counts.iter().enumerate().filter(|(at, _)| at % (turns + 1) != 0);
                for (_, count) in others {
                    assert!(
                        count.abs_diff(expected) * 3 < expected,
                        "{turns} {distance}: {after:?}"
                    );
                }
            }
        }
    }
}
