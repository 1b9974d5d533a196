//! `warpline bench --cold`: blocks on a state that lies on a disk and nowhere else.
//!
//! A workload block is executed on a database that nobody has read yet: before every run it is
//! closed, its pages are dropped from the cache of the operating system, and it is opened again.
//! Without hints every read waits for the disk; with them other threads read ahead.

use super::{
    BenchArgs, Job,
    pipeline::{create, median, ms, options},
    scratch,
};
use crate::{json, output::sayln};
use eyre::{WrapErr, ensure};
use serde::Serialize;
use std::{
    fs::{self, File},
    num::NonZeroUsize,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use warpline_chain::{Rules, StoredChain};
use warpline_executor::{
    BlockOutput, Ethereum, Guidance, HintUses, ParallelConfig, ParallelExecutor, execute_sequential,
};
use warpline_merger::diff_from_bundle;
use warpline_replay::PreparedBlock;
use warpline_types::StateDiff;
use warpline_workload::generate;

/// The figures of one block: medians over the runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    workload: String,
    transactions: usize,
    state_accounts: usize,
    prefetchers: usize,
    without_ms: f64,
    with_ms: f64,
    /// The first over the second.
    gain: f64,
    /// With everything in memory and no hints.
    warm_ms: f64,
}

pub(super) fn measure(args: &BenchArgs, jobs: &[Job], folder: &Path) -> eyre::Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or_else(cores, NonZeroUsize::get);
    let config = ParallelConfig {
        threads,
        prefetchers: args.prefetchers.get(),
        ..ParallelConfig::default()
    };
    let executor = ParallelExecutor::ethereum(config).wrap_err("starting the threads")?;
    let mut rows = Vec::new();
    for job in jobs {
        sayln!("{}: making the database", job.label());
        rows.push(measure_one(args, job, &executor, folder)?);
    }
    let report = serde_json::json!({ "threads": threads, "runs": args.runs, "cold": rows });
    json::write_with(args.json.as_deref(), &report, table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn measure_one(
    args: &BenchArgs,
    job: &Job,
    executor: &ParallelExecutor<Ethereum>,
    folder: &Path,
) -> eyre::Result<Row> {
    let own = scratch::folder(folder)?;
    let path = &own.path().join("db");
    let threads = executor.config().threads;
    let generated = generate(job.workload, &job.spec)?;
    let (chain, rules, accounts) = create(path, &generated, job.spec.transactions, args, threads)?;
    chain.shutdown()?;

    let block = PreparedBlock::new(job.label(), job.fixture()?, None)?;
    let expected = args.hints.expect(&block, &job.taught(super::LESSONS)?);
    let expected = expected.as_ref().map(|known| &known.accesses);
    let sequential = execute_sequential(block.factory(), block.input(), &block.pre_state)?;
    let mut right = diff_from_bundle(&sequential.bundle);
    right.sort();

    let on = Guidance { expected, ..Guidance::default() };
    let off = Guidance { expected, uses: HintUses::NONE, ..Guidance::default() };
    let subject = Subject { block: &block, executor, rules, path, right };
    let (mut with, mut without, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..args.runs.get() {
        let both = [(&on, &mut with), (&off, &mut without)];
        let mut turns: Vec<_> = both.into_iter().collect();
        if run % 2 == 1 {
            turns.reverse();
        }
        for (guidance, times) in turns {
            times.push(subject.run(*guidance, false)?);
        }
        warm.push(subject.run(off, true)?);
    }
    let middle = |times: &[Duration]| median(times.iter().map(|time| ms(*time)));
    let (with_ms, without_ms) = (middle(&with), middle(&without));
    Ok(Row {
        workload: job.label(),
        transactions: block.txs.len(),
        state_accounts: accounts,
        prefetchers: executor.config().prefetchers,
        without_ms,
        with_ms,
        gain: without_ms / with_ms.max(1e-9),
        warm_ms: middle(&warm),
    })
}

/// A block on the state in a database.
struct Subject<'a> {
    block: &'a PreparedBlock,
    executor: &'a ParallelExecutor<Ethereum>,
    rules: Rules,
    path: &'a Path,
    right: StateDiff,
}

impl Subject<'_> {
    /// Opens the database and executes the block; if `warm`, for the second time since.
    fn run(&self, guidance: Guidance<'_>, warm: bool) -> eyre::Result<Duration> {
        drop_from_cache(self.path)?;
        let config = self.executor.config();
        let chain =
            StoredChain::open(self.path, options(config.threads), self.rules.clone(), None)?;
        let state = chain.view().latest_for(config.threads + config.prefetchers + 1)?;
        if warm {
            self.execute(guidance, &state)?;
        }
        let start = Instant::now();
        let output = self.execute(guidance, &state)?;
        let time = start.elapsed();
        let mut diff = output.diff;
        diff.sort();
        let difference = diff.first_difference(&self.right);
        ensure!(difference.is_none(), "the result is wrong: {difference:?}");
        drop(state);
        chain.shutdown()?;
        Ok(time)
    }

    fn execute(
        &self,
        guidance: Guidance<'_>,
        state: &warpline_chain::BlockState,
    ) -> eyre::Result<BlockOutput<alloy_consensus::EthereumReceipt>> {
        let (factory, input) = (self.block.factory(), self.block.input());
        Ok(self.executor.execute_guided(factory, input, guidance, state)?)
    }
}

/// Has the operating system forget what it holds of the files in a folder.
fn drop_from_cache(folder: &Path) -> eyre::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            let file = File::open(&path)?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
                .wrap_err_with(|| format!("dropping {} from the cache", path.display()))?;
        }
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header([
        "block",
        "txs",
        "accounts",
        "without ms",
        "with ms",
        "gain",
        "in memory ms",
    ]);
    for row in rows {
        table.add_row([
            row.workload.clone(),
            row.transactions.to_string(),
            row.state_accounts.to_string(),
            format!("{:.1}", row.without_ms),
            format!("{:.1}", row.with_ms),
            format!("{:.2}", row.gain),
            format!("{:.1}", row.warm_ms),
        ]);
    }
    format!("{table}\n")
}
