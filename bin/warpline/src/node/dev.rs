//! The development chain: funded accounts whose keys the node has.

use crate::{network::Network, output::sayln};
use alloy_primitives::U256;
use clap::Args;
use eyre::{Result, WrapErr, bail};
use std::time::{SystemTime, UNIX_EPOCH};
use warpline_node::{DevAccounts, MNEMONIC, dev_genesis};

/// A chain to develop on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Development chain")]
pub(crate) struct DevArgs {
    /// Run a development chain: funded accounts whose keys the node has, blocks as soon as there
    /// are transactions, and the methods with which test suites change state and time. Without
    /// --datadir it is forgotten in the end.
    #[arg(long)]
    pub(crate) dev: bool,

    /// Number of funded accounts.
    #[arg(long = "dev.accounts", alias = "accounts", value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    accounts: u32,

    /// What each of them has, in ether.
    #[arg(long = "dev.balance", alias = "balance", value_name = "ETHER", default_value_t = 10_000)]
    balance: u64,

    /// The words that their keys follow from.
    #[arg(long = "dev.mnemonic", alias = "mnemonic", value_name = "WORDS", default_value = MNEMONIC)]
    mnemonic: String,

    /// The chain id of a new chain [default: 31337].
    #[arg(long = "dev.chain-id", alias = "chain-id", value_name = "ID")]
    chain_id: Option<u64>,

    /// Gas limit of its blocks.
    #[arg(long = "dev.gas-limit", alias = "gas-limit", value_name = "GAS",
          default_value_t = 30_000_000, value_parser = clap::value_parser!(u64).range(5_000..1 << 62))]
    gas_limit: u64,

    /// Time of the genesis block in seconds since 1970 [default: now].
    #[arg(long = "dev.timestamp", alias = "timestamp", value_name = "SECONDS")]
    timestamp: Option<u64>,

    /// Not supported: anvil's flags for a fork of another chain.
    #[arg(long = "fork-url", aliases = ["rpc-url", "fork"], hide = true, value_name = "URL")]
    fork_url: Option<String>,
    #[arg(long = "fork-block-number", hide = true, value_name = "BLOCK")]
    fork_block: Option<String>,
}

/// The chain id of development chains, anvil's included.
const CHAIN_ID: u64 = 31_337;

const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

impl DevArgs {
    /// Refuses what only anvil has, rather than call it unknown.
    pub(crate) fn check(&self) -> Result<()> {
        let fork = [("--fork-url", &self.fork_url), ("--fork-block-number", &self.fork_block)];
        let asked = fork.iter().find(|(_, value)| value.is_some());
        if let Some((flag, _)) = asked {
            bail!(
                "{flag}: forking is not supported: a development chain does not take over another \
                 chain's state. `warpline capture` takes single blocks of any node"
            );
        }
        Ok(())
    }

    /// The accounts whose keys the node has: none, unless this is a development chain.
    pub(crate) fn keys(&self) -> Result<DevAccounts> {
        match self.dev {
            true => Ok(DevAccounts::from_mnemonic(&self.mnemonic, self.accounts)
                .wrap_err("--dev.mnemonic")?),
            false => Ok(DevAccounts::default()),
        }
    }

    /// The chain that these accounts have their funds on.
    pub(crate) fn network(&self, keys: &DevAccounts) -> Result<Network> {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let balance = U256::from(self.balance) * U256::from(WEI_PER_ETHER);
        let timestamp = self.timestamp.unwrap_or_else(now);
        let genesis = dev_genesis(
            self.chain_id.unwrap_or(CHAIN_ID),
            keys.addresses(),
            balance,
            self.gas_limit,
            timestamp,
        );
        Network::of_genesis(&genesis)
    }

    /// Refuses a chain id that is not that of the chain which is there.
    pub(crate) fn check_chain(&self, chain_id: u64) -> Result<()> {
        match self.chain_id.filter(|given| self.dev && *given != chain_id) {
            Some(given) => bail!("--dev.chain-id {given}: the chain has the id {chain_id} already"),
            None => Ok(()),
        }
    }

    /// Says how to use the chain, of which `chain` is the id, unless a genesis file says what its
    /// accounts have. Of a chain with another id than these arguments give that is not known either.
    pub(crate) fn print_keys(&self, keys: &DevAccounts, chain: Option<u64>) {
        if keys.signers().is_empty() {
            return;
        }
        let is_ours = chain == Some(self.chain_id.unwrap_or(CHAIN_ID));
        let funds = if is_ours { format!(" ({} ETH each)", self.balance) } else { String::new() };
        sayln!("\nAccounts{funds}, for development only: everybody knows these keys\n");
        for (index, signer) in keys.signers().iter().take(20).enumerate() {
            sayln!("({index}) {}  {}", signer.address(), signer.to_bytes());
        }
        sayln!("\nMnemonic: {}", self.mnemonic);
    }

    /// Says what to do with it next.
    pub(crate) fn print_next(keys: &DevAccounts, url: &str, chain_id: u64) {
        let Some(first) = keys.signers().first() else { return };
        let address = first.address();
        sayln!(
            "\nNext: in MetaMask add a custom network with RPC URL {url}, chain id {chain_id} and"
        );
        sayln!("symbol ETH, and import one of the keys above; or, with Foundry:\n");
        sayln!("  cast balance {address} --rpc-url {url}");
        sayln!("  forge create src/Contract.sol:Contract --rpc-url {url} --broadcast \\");
        sayln!("    --private-key {}\n", first.to_bytes());
    }
}
