//! `warpline init`: a database with the genesis block of a chain.

use crate::{
    datadir::{self, DatadirArgs},
    network::ChainArg,
    output::sayln,
};
use clap::Args;
use eyre::Result;
use indicatif::HumanCount;
use std::process::ExitCode;
use warpline_chain::ChainOptions;
use warpline_storage::{StorageOptions, Table};

/// Make a database that begins with the genesis block of a chain.
///
/// Where there is one of the same chain already, nothing happens, except that a genesis file may
/// schedule, put off or give up forks that no block of it follows yet. Exit code 0: the database is
/// there. 1: it could not be made, or holds another chain. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// The chain: mainnet, sepolia, holesky, hoodi, or the path of a genesis file in geth's
    /// format.
    #[arg(long, value_name = "NAME|FILE", value_parser = ChainArg::parse)]
    chain: ChainArg,
}

/// Runs the command.
pub(crate) fn run(args: &InitArgs) -> Result<ExitCode> {
    let path = args.datadir.database()?;
    let network = args.chain.network()?;
    if let Some(warning) = network.warning() {
        sayln!("warning: {warning}");
    }
    let storage = StorageOptions { keep_shutdown_mark: true, ..StorageOptions::default() };
    let looking = ChainOptions { storage, ..ChainOptions::default() };
    let there = datadir::open_or_amend(&path, &network, looking)?;
    if let Some(chain) = there {
        sayln!("{} is there already, with head block {}", path.display(), chain.head());
        chain.shutdown()?;
        return Ok(ExitCode::SUCCESS);
    }
    let chain = datadir::create(&path, &network, ChainOptions::default())?;
    let (id, genesis) = (network.identity.chain_id, network.identity.genesis);
    let accounts = chain.storage().stats()?.tables;
    let accounts = accounts.iter().find(|table| table.table == Table::HashedAccounts);
    let accounts = accounts.map_or(0, |table| table.entries);
    sayln!("made {}: chain {id}, genesis block {genesis}", path.display());
    sayln!("{} accounts, state root {}", HumanCount(accounts), chain.head_header().state_root);
    chain.shutdown()?;
    Ok(ExitCode::SUCCESS)
}
