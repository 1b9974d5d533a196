//! `warpline load`: how much development nodes bear, side by side.
//!
//! - `http`: one connection, one request at a time.
//! - `prepare`: the contracts and accounts that the requests are about.
//! - `reads`: calls, balances, blocks and logs; `transactions`: sending as fast as can be;
//!   `blocks`: many of them, and memory.
//! - `traffic`: who sends what. `statistics`: rates and percentiles.
//! - `check`: whether what came of the transactions is what was answered meanwhile.

mod blocks;
mod check;
mod http;
mod prepare;
mod reads;
mod statistics;
mod traffic;
mod transactions;

use crate::json;
use blocks::BlocksArgs;
use clap::{Args, Subcommand};
use eyre::{Result, WrapErr, ensure};
use http::Endpoint;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Load development nodes with requests, and measure them side by side.
///
/// Every node is measured in every round, one after the other; the result of a node is the median
/// of its rounds. The chains are changed: contracts are put into them and accounts made rich.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// eth_call, eth_getBalance, eth_getBlockByNumber and eth_getLogs, as many as are answered.
    Reads {
        #[command(flatten)]
        common: CommonArgs,
        /// Only these methods.
        #[arg(long, value_name = "NAME", value_parser = reads::METHODS)]
        method: Vec<String>,
    },
    /// Transfers, token transfers and calls that all conflict, as fast as they are taken; then
    /// checks that each is in one block, and that reads have seen the state of their block.
    Transactions {
        #[command(flatten)]
        common: CommonArgs,
        /// Ends each round after so many transactions.
        #[arg(long, value_name = "N", default_value_t = 1_000_000,
              value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        transactions: u64,
        /// Each connection asks for the receipt of a transaction before it sends the next.
        #[arg(long)]
        receipts: bool,
    },
    /// Block after block of a few transactions each, and the memory that the nodes take meanwhile.
    /// They make blocks on demand only from then on.
    Blocks(BlocksArgs),
}

/// What both have.
#[derive(Debug, Args)]
struct CommonArgs {
    /// A development node, as NAME=URL or URL; several to compare them.
    #[arg(long, value_name = "NAME=URL", required = true, value_parser = Endpoint::parse)]
    rpc: Vec<Endpoint>,

    /// How many connections send at once.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,

    /// How long a measurement lasts.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,

    /// How often every node is measured.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,

    /// Write a report as JSON; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(10) => Ok(duration),
        Ok(_) => Err("at least 0.01".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the command. The exit code is 1 where a check fails.
pub(crate) fn run(args: &LoadArgs) -> Result<ExitCode> {
    let (rpc, report) = match &args.what {
        What::Reads { common, .. } | What::Transactions { common, .. } => {
            (&common.rpc, &common.json)
        }
        What::Blocks(blocks) => (&blocks.rpc, &blocks.json),
    };
    json::check_writable(report.as_deref())?;
    ensure!(rpc.len() <= 16, "at most 16 nodes");
    for (at, node) in rpc.iter().enumerate() {
        let twice = rpc[..at].iter().any(|other| other.name == node.name);
        ensure!(!twice, "two nodes have the name {}", node.name);
    }
    // One thread: what sends must not take the cores from what answers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.wrap_err("starting the runtime")?;
    match &args.what {
        What::Reads { common, method } => runtime.block_on(reads::run(common, method)),
        What::Transactions { common, transactions, receipts } => {
            runtime.block_on(transactions::run(common, *transactions, *receipts))
        }
        What::Blocks(blocks) => runtime.block_on(blocks::run(blocks)),
    }
}
