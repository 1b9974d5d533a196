//! `warpline db unwind`: back to an earlier block.

use crate::{datadir::DatadirArgs, output::sayln};
use clap::Args;
use eyre::{Result, WrapErr};
use std::process::ExitCode;
use warpline_chain::ChainOptions;
use warpline_storage::StorageOptions;

/// Go back to an earlier block.
///
/// State, blocks and indices are as they were after it then; the blocks after it are gone and can
/// be imported again. How far back it can go depends on what has been pruned. It happens as a
/// whole or not at all.
///
/// Exit code 1: there is no such block, its state has been pruned, or the database cannot be
/// used. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct UnwindArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// Number of the block that is to be the head.
    #[arg(value_name = "NUMBER")]
    to: u64,
}

/// Runs the command.
pub(crate) fn run(args: &UnwindArgs) -> Result<ExitCode> {
    let storage = StorageOptions { check_pages: true, ..StorageOptions::default() };
    let mut chain = args.datadir.open(ChainOptions { storage, ..ChainOptions::default() })?;
    let before = chain.head();
    let after = chain.unwind(args.to).wrap_err_with(|| format!("going back to {}", args.to))?;
    chain.shutdown()?;
    sayln!("from block {before} back to block {after}");
    Ok(ExitCode::SUCCESS)
}
