//! `warpline txtest`: the official tests that take no state.

use crate::conformance::{self, ConformanceArgs};
use clap::Args;
use eyre::Result;
use std::process::ExitCode;
use warpline_conformance::Kind;

/// Run transaction, RLP, trie and difficulty tests (TransactionTests, RLPTests, TrieTests,
/// DifficultyTests, BasicTests): what is valid or follows without any state.
///
/// Exit code 0: everything as expected. 1: a case failed, or a file cannot be used. 2: wrong
/// usage.
#[derive(Debug, Args)]
pub(crate) struct TxtestArgs {
    #[command(flatten)]
    common: ConformanceArgs,
}

/// Runs the command.
pub(crate) fn run(args: TxtestArgs) -> Result<ExitCode> {
    conformance::run(Kind::Basic, args.common, None)
}
