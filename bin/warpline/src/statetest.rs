//! `warpline statetest`: the official state tests.

use crate::conformance::{self, ConformanceArgs};
use clap::Args;
use eyre::Result;
use std::process::ExitCode;
use warpline_conformance::Kind;

/// Run state tests (GeneralStateTests, EEST state_test): one transaction on a given state, for
/// every fork the fixture names. In parallel mode a transaction runs alone and among others.
///
/// Exit code 0: everything as expected. 1: a case failed, or a file cannot be used. 2: wrong
/// usage.
#[derive(Debug, Args)]
pub(crate) struct StatetestArgs {
    #[command(flatten)]
    common: ConformanceArgs,
}

/// Runs the command.
pub(crate) fn run(args: StatetestArgs) -> Result<ExitCode> {
    conformance::run(Kind::State, args.common, None)
}
