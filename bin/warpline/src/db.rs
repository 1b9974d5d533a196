//! `warpline db`: looking at the database, checking it, going back in it, and giving up its past.

mod prune;
mod stats;
mod unwind;
mod verify;

use clap::{Args, Subcommand};
use eyre::Result;
use std::process::ExitCode;

/// Look at the database, check it, go back in it, or give up its past.
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stats(stats::StatsArgs),
    Verify(verify::VerifyArgs),
    Unwind(unwind::UnwindArgs),
    Prune(prune::PruneArgs),
}

/// Runs the command.
pub(crate) fn run(args: &DbArgs) -> Result<ExitCode> {
    match &args.command {
        Command::Stats(args) => stats::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Unwind(args) => unwind::run(args),
        Command::Prune(args) => prune::run(args),
    }
}
