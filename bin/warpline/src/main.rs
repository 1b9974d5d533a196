//! The `warpline` command: arguments and wiring, one file per subcommand.

// What is printed goes through `output`: with these a closed pipe ends the process.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod allocator;
mod bench;
mod block_file;
mod blocktest;
mod capture;
mod config;
mod conformance;
mod datadir;
mod db;
mod export;
mod import;
mod init;
mod json;
mod limits;
mod load;
mod network;
mod node;
mod output;
mod patient;
mod predict;
mod prune;
mod replay;
mod root_stream;
mod statetest;
mod stop;
mod txtest;
mod whole_file;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use eyre::Result;
use std::process::ExitCode;

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
    Predict(predict::PredictArgs),
    Statetest(statetest::StatetestArgs),
    Blocktest(blocktest::BlocktestArgs),
    Txtest(txtest::TxtestArgs),
    Init(init::InitArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Capture(capture::CaptureArgs),
    Load(load::LoadArgs),
    Db(db::DbArgs),
    Node(Box<node::NodeArgs>),
}

fn main() -> ExitCode {
    allocator::keep_free_memory();
    run().unwrap_or_else(|error| {
        output::fail(&error);
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    match Cli::with_file().command {
        Command::Replay(args) => replay::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Predict(args) => predict::run(&args),
        Command::Statetest(args) => statetest::run(args),
        Command::Blocktest(args) => blocktest::run(args),
        Command::Txtest(args) => txtest::run(args),
        Command::Init(args) => init::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Capture(args) => capture::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Db(args) => db::run(&args),
        Command::Node(args) => node::run(&args),
    }
}

impl Cli {
    /// The arguments, and behind them the configuration file that they name. Ends the process with
    /// code 2 where either is wrong.
    fn with_file() -> Self {
        let given: Vec<_> = std::env::args_os().collect();
        let mut command = Self::command();
        command.build();
        let mut matches = command.clone().get_matches_from(&given);
        match config::complete(&command, &matches, &given) {
            Ok(None) => {}
            Ok(Some(all)) => matches = command.clone().get_matches_from(all),
            Err(error) => config::refuse(&mut command, &error),
        }
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
