//! The `warpline` command: arguments and wiring, one file per subcommand.

mod bench;
mod blocktest;
mod conformance;
mod limits;
mod replay;
mod statetest;
mod txtest;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Parallel execution of Ethereum blocks
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::ReplayArgs),
    Bench(bench::BenchArgs),
    Statetest(statetest::StatetestArgs),
    Blocktest(blocktest::BlocktestArgs),
    Txtest(txtest::TxtestArgs),
}

fn main() -> eyre::Result<ExitCode> {
    color_eyre::install()?;
    match Cli::parse().command {
        Command::Replay(args) => replay::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::Statetest(args) => statetest::run(args),
        Command::Blocktest(args) => blocktest::run(args),
        Command::Txtest(args) => txtest::run(args),
    }
}
