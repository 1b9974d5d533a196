//! `warpline db verify`: the database against itself.

use crate::{
    datadir::DatadirArgs,
    json,
    limits::{THREADS, up_to},
    output::{self, plural, sayln},
};
use alloy_primitives::B256;
use clap::Args;
use eyre::{Result, WrapErr};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use warpline_chain::{ChainOptions, verify_blocks, verify_history, verify_state};
use warpline_storage::{Storage, StorageOptions};
use warpline_trie::TrieConfig;

/// Check every index, and the state root against the flat state.
///
/// Holds every table against those that it must agree with, transactions, ommers, withdrawals and
/// receipts against the headers, and senders against the signatures; computes the state root and
/// all storage roots again from nothing but accounts and slots, and compares every stored trie
/// node; and goes back through the values of the past, holding each state root on the way against
/// its header. Each thing that is wrong is a line on standard output. Nobody else may use the
/// database meanwhile.
///
/// Exit code 0: all is as it should be. 1: something is not, or the database cannot be read. 2:
/// wrong usage.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// Threads that compute the state root [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, NonZeroUsize>)]
    threads: Option<NonZeroUsize>,

    /// How many blocks to go back through the values of the past. What these blocks changed stays
    /// in memory meanwhile.
    #[arg(long, value_name = "BLOCKS", default_value = "128")]
    history: u64,

    /// How many findings to show.
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroUsize,

    /// Also write the result as JSON (`-` for standard output, instead of the lines).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The result; `--json` has the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    verified: bool,
    block: u64,
    hash: B256,
    /// What has been computed; none where the checks ended before.
    #[serde(flatten)]
    state: Option<State>,
    seconds: f64,
    findings: Vec<String>,
    /// Whether there may be more findings.
    more: bool,
    /// What ended the checks.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    state_root: B256,
    accounts: u64,
    slots: u64,
    trie_nodes: u64,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let start = Instant::now();
    let storage =
        StorageOptions { check_pages: true, keep_shutdown_mark: true, ..StorageOptions::default() };
    let chain = args.datadir.open(ChainOptions { storage, ..ChainOptions::default() })?;
    let mut findings = Vec::new();
    let checked = args.check(chain.storage(), &mut findings);
    let (head, more) = (chain.head(), findings.len() >= args.limit.get());
    let error = checked.as_ref().err().map(output::explained);
    let (state, failed) = match checked {
        Ok(state) => (Some(state), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let report = Report {
        verified: findings.is_empty() && error.is_none(),
        block: head.number,
        hash: head.hash,
        state,
        seconds: start.elapsed().as_secs_f64(),
        findings,
        more,
        error,
    };
    let closed = chain.shutdown();
    let json = args.json.as_deref();
    let lines: String = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    let listed = if json::is_standard_output(json) { Ok(()) } else { output::print(lines) };
    show(&report);
    let written = json::write(json, &report);
    failed.and(closed.map_err(Into::into)).and(listed).and(written)?;
    Ok(if report.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl VerifyArgs {
    /// Checks everything, as far as it can be read.
    fn check(&self, storage: &Storage, findings: &mut Vec<String>) -> Result<State> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = self.threads.map_or_else(cores, NonZeroUsize::get);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.wrap_err("starting the threads")?;
        let spinner = Spinner::new()?;
        let limit = self.limit.get();
        let found = storage.verify(limit, |step| spinner.0.set_message(step));
        let found = found.wrap_err("the tables cannot be checked")?;
        findings.extend(found.iter().map(ToString::to_string));
        let left = limit.saturating_sub(findings.len());
        let step = |block| spinner.0.set_message(format!("block {block}"));
        let found = pool.install(|| verify_blocks(storage, left, step));
        findings.extend(found.wrap_err("the blocks cannot be checked")?);
        spinner.0.set_message("state root");
        let config = TrieConfig { threads, ..TrieConfig::default() };
        let left = limit.saturating_sub(findings.len());
        let state = verify_state(storage, &config, left);
        let state = state.wrap_err("the state root cannot be computed")?;
        findings.extend(state.problems);
        if findings.is_empty() {
            let step = |block| spinner.0.set_message(format!("values before block {block}"));
            let found = verify_history(storage, &config, self.history, step);
            findings.extend(found.wrap_err("the values of the past cannot be checked")?);
        }
        Ok(State {
            state_root: state.stated,
            accounts: state.rebuilt.accounts,
            slots: state.rebuilt.slots,
            trie_nodes: state.rebuilt.nodes,
        })
    }
}

/// Shows what is checked, until it goes.
struct Spinner(ProgressBar);

impl Spinner {
    fn new() -> Result<Self> {
        let spinner = ProgressBar::new_spinner();
        spinner.set_style(ProgressStyle::with_template("{spinner} {elapsed}: {msg}")?);
        spinner.enable_steady_tick(Duration::from_millis(100));
        Ok(Self(spinner))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(report: &Report) {
    let Report { block, hash, seconds, more, findings, .. } = report;
    match &report.state {
        Some(State { state_root, accounts, slots, trie_nodes }) if report.verified => {
            sayln!("verified: block {block} ({hash}), state root {state_root}");
            let [accounts, slots, nodes] = [*accounts, *slots, *trie_nodes].map(HumanCount);
            sayln!("{accounts} accounts, {slots} slots, {nodes} trie nodes in {seconds:.1} s");
        }
        _ => {
            let more = if *more { " or more" } else { "" };
            let count = plural(findings.len() as u64, "finding");
            sayln!("NOT verified: {count}{more} at block {block} ({hash})");
        }
    }
}
