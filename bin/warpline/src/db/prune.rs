//! `warpline db prune`: giving up the past.

use crate::{datadir::DatadirArgs, output::sayln, prune};
use clap::Args;
use eyre::{Result, WrapErr};
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use std::{process::ExitCode, time::Duration};
use warpline_chain::ChainOptions;
use warpline_storage::{Durability, PrunePolicy, StorageOptions};

/// Give up what is not to be kept of the past.
///
/// The chain stays as it is and can be followed on, but neither read nor unwound as of blocks
/// whose state is gone. The file does not shrink: what becomes free in it is used again. What was
/// done when the command is interrupted stays done.
///
/// Exit code 1: the database cannot be used. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// What to keep: `full` for the state, receipts, senders and access lists of the last 10064
    /// blocks, or a number of blocks (`archive` gives nothing up).
    #[arg(value_name = "POLICY", value_parser = prune::parse)]
    policy: PrunePolicy,
}

/// Blocks that one commit gives up.
const AT_ONCE: usize = 128;

/// Runs the command.
pub(crate) fn run(args: &PruneArgs) -> Result<ExitCode> {
    let storage = StorageOptions {
        prune: args.policy,
        max_batch_blocks: AT_ONCE,
        // What a power cut takes is done again by the same command.
        durability: Durability::Periodic { bytes: 64 << 20, period: Duration::from_secs(30) },
        check_pages: true,
        ..StorageOptions::default()
    };
    let chain = args.datadir.open(ChainOptions { storage, ..ChainOptions::default() })?;
    let head = chain.head();
    let goal = head.number.saturating_sub(args.policy.history.unwrap_or(head.number));
    let bar = ProgressBar::new(goal)
        .with_style(ProgressStyle::with_template("{bar:40} block {pos}/{len}, {eta} left")?);
    let pruned = chain.storage().prune(|done| {
        let first = done.history_from.min(done.receipts_from).min(done.senders_from);
        bar.set_position(first);
    });
    bar.finish_and_clear();
    let kept = pruned.wrap_err("pruning")?;
    let stats = chain.storage().stats()?;
    let free = BinaryBytes(stats.free_pages.saturating_mul(stats.page_size));
    chain.shutdown()?;
    sayln!(
        "kept: state from block {}, receipts from block {}, senders from block {}",
        kept.history_from,
        kept.receipts_from,
        kept.senders_from
    );
    sayln!("head is block {head}; {free} of the file are free");
    Ok(ExitCode::SUCCESS)
}
