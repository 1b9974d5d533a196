//! `warpline db verify`: the database against itself.

use crate::{
    datadir::DatadirArgs,
    json,
    limits::{THREADS, up_to},
    output::{self, sayln},
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
use warpline_chain::{ChainOptions, verify_blocks, verify_state};
use warpline_storage::StorageOptions;
use warpline_trie::TrieConfig;

/// Check every index, and the state root against the flat state.
///
/// Holds every table against those that it must agree with, transactions, ommers, withdrawals and
/// receipts against the headers, and senders against the signatures; computes the state root and
/// all storage roots again from nothing but accounts and slots, and compares every stored trie
/// node. The values of the past are taken as they are. Each thing that is wrong is a line on
/// standard output. Nobody else may use the database meanwhile.
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
    state_root: B256,
    accounts: u64,
    slots: u64,
    trie_nodes: u64,
    seconds: f64,
    findings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let start = Instant::now();
    let storage =
        StorageOptions { check_pages: true, keep_shutdown_mark: true, ..StorageOptions::default() };
    let chain = args.datadir.open(ChainOptions { storage, ..ChainOptions::default() })?;
    let storage = chain.storage();
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(ProgressStyle::with_template("{spinner} {elapsed}: {msg}")?);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let limit = args.limit.get();
    let found = storage.verify(limit, |step| spinner.set_message(step)).wrap_err("the tables")?;
    let mut findings: Vec<_> = found.iter().map(ToString::to_string).collect();
    spinner.set_message("blocks");
    let left = limit.saturating_sub(findings.len());
    match verify_blocks(storage, left) {
        Ok(problems) => findings.extend(problems),
        Err(error) => return given_up(&findings, error, "the blocks cannot be checked"),
    }
    spinner.set_message("state root");
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or_else(cores, NonZeroUsize::get);
    let config = TrieConfig { threads, ..TrieConfig::default() };
    let left = limit.saturating_sub(findings.len());
    let state = verify_state(storage, &config, left.max(1));
    spinner.finish_and_clear();
    let state = match state {
        Ok(state) => state,
        Err(error) => return given_up(&findings, error, "the state root cannot be computed"),
    };
    findings.extend(state.problems);
    let report = Report {
        verified: findings.is_empty(),
        block: state.block.number,
        hash: state.block.hash,
        state_root: state.stated,
        accounts: state.rebuilt.accounts,
        slots: state.rebuilt.slots,
        trie_nodes: state.rebuilt.nodes,
        seconds: start.elapsed().as_secs_f64(),
        findings,
    };
    chain.shutdown()?;
    let lines = args.json.as_deref().is_none_or(|path| path.as_os_str() != "-");
    json::write(args.json.as_deref(), &report)?;
    if lines {
        output::print(listed(&report.findings))?;
    }
    show(&report);
    Ok(if report.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The error that ended the checks, after what they found: why is among that, most likely.
fn given_up(
    findings: &[String],
    error: impl std::error::Error + Send + Sync + 'static,
    what: &'static str,
) -> Result<ExitCode> {
    output::print(listed(findings))?;
    Err(eyre::Report::new(error).wrap_err(what))
}

fn listed(findings: &[String]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn show(report: &Report) {
    let Report { block, hash, state_root, seconds, .. } = report;
    if !report.verified {
        let count = match report.findings.len() {
            1 => "1 finding".to_owned(),
            findings => format!("{findings} findings"),
        };
        sayln!("NOT verified: {count} or more at block {block} ({hash})");
        return;
    }
    sayln!("verified: block {block} ({hash}), state root {state_root}");
    let [accounts, slots, nodes] =
        [report.accounts, report.slots, report.trie_nodes].map(HumanCount);
    sayln!("{accounts} accounts, {slots} slots, {nodes} trie nodes in {seconds:.1} s");
}
