//! `warpline blocktest`: the official blockchain and engine tests.

use crate::conformance::{self, ConformanceArgs};
use clap::Args;
use eyre::Result;
use std::{path::PathBuf, process::ExitCode};
use warpline_conformance::Kind;

/// Run blockchain tests (BlockchainTests, EEST blockchain_test and blockchain_test_engine):
/// chains of blocks, valid and not, with full block validation.
///
/// Exit code 0: everything as expected. 1: a case failed, or a file cannot be used. 2: wrong
/// usage.
#[derive(Debug, Args)]
pub(crate) struct BlocktestArgs {
    #[command(flatten)]
    common: ConformanceArgs,

    /// Import through databases in this folder, one for each test, and verify them and that they
    /// unwind to their genesis block [default: in memory].
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: BlocktestArgs) -> Result<ExitCode> {
    conformance::run(Kind::Block, args.common, args.datadir)
}
