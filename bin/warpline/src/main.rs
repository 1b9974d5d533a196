//! The `warpline` command: arguments and wiring, one file per subcommand.

mod bench;
mod block_file;
mod blocktest;
mod capture;
mod conformance;
mod datadir;
mod db;
mod export;
mod import;
mod init;
mod json;
mod limits;
mod network;
mod node;
mod replay;
mod statetest;
mod stop;
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
    Init(init::InitArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Capture(capture::CaptureArgs),
    Db(db::DbArgs),
    Node(Box<node::NodeArgs>),
}

fn main() -> eyre::Result<ExitCode> {
    color_eyre::install()?;
    match Cli::parse().command {
        Command::Replay(args) => replay::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::Statetest(args) => statetest::run(args),
        Command::Blocktest(args) => blocktest::run(args),
        Command::Txtest(args) => txtest::run(args),
        Command::Init(args) => init::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Capture(args) => capture::run(&args),
        Command::Db(args) => db::run(&args),
        Command::Node(args) => node::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
