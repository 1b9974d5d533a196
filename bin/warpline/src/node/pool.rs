//! The transaction pool. The names and defaults are geth's; a development chain has room for a
//! million transactions of few senders.

use alloy_primitives::{Address, U256};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use warpline_txpool::PoolConfig;

/// The transaction pool.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transaction pool")]
pub(crate) struct PoolArgs {
    /// Transactions of one sender that are safe from eviction.
    #[arg(long = "txpool.accountslots", value_name = "N")]
    account_slots: Option<usize>,

    /// Transactions of all senders that could be in the next block.
    #[arg(long = "txpool.globalslots", value_name = "N")]
    global_slots: Option<usize>,

    /// Transactions of one sender behind a missing nonce.
    #[arg(long = "txpool.accountqueue", value_name = "N")]
    account_queue: Option<usize>,

    /// Transactions of all senders behind a missing nonce.
    #[arg(long = "txpool.globalqueue", value_name = "N")]
    global_queue: Option<usize>,

    /// Smallest tip of other people's transactions, in wei per gas.
    #[arg(long = "txpool.pricelimit", value_name = "WEI")]
    price_limit: Option<u128>,

    /// By how many percent a replacement must raise the fees.
    #[arg(long = "txpool.pricebump", value_name = "PERCENT")]
    price_bump: Option<u64>,

    /// Seconds that a transaction may wait behind a missing nonce.
    #[arg(long = "txpool.lifetime", value_name = "SECONDS")]
    lifetime: Option<u64>,

    /// Treat no transaction as the operator's own.
    #[arg(long = "txpool.nolocals")]
    no_locals: bool,

    /// Senders whose transactions are the operator's own.
    #[arg(long = "txpool.locals", value_name = "LIST", value_delimiter = ',')]
    locals: Vec<Address>,

    /// File that keeps the operator's own transactions over a restart; empty for none [default:
    /// transactions.rlp in the data folder].
    #[arg(long = "txpool.journal", value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Seconds after which that file is written anew.
    #[arg(long = "txpool.rejournal", value_name = "SECONDS")]
    rejournal: Option<u64>,

    /// Most ether that a transaction sent to this node may pay for gas; 0 for no limit.
    #[arg(long = "rpc.txfeecap", value_name = "ETHER")]
    fee_cap: Option<f64>,

    /// Take transactions without replay protection (EIP-155).
    #[arg(long = "rpc.allow-unprotected-txs")]
    allow_unprotected: bool,
}

const WEI_PER_ETHER: f64 = 1e18;

impl PoolArgs {
    /// How the pool works. `folder` is the data folder, where it stays.
    pub(crate) fn config(&self, dev: bool, folder: Option<&Path>) -> PoolConfig {
        let mut config = if dev { PoolConfig::dev() } else { PoolConfig::default() };
        let set = |to: &mut usize, given: Option<usize>| *to = given.unwrap_or(*to);
        set(&mut config.account_slots, self.account_slots);
        set(&mut config.global_slots, self.global_slots);
        set(&mut config.account_queue, self.account_queue);
        set(&mut config.global_queue, self.global_queue);
        config.price_limit = self.price_limit.unwrap_or(config.price_limit);
        config.price_bump = self.price_bump.unwrap_or(config.price_bump);
        config.lifetime = self.lifetime.map_or(config.lifetime, Duration::from_secs);
        config.rejournal = self.rejournal.map_or(config.rejournal, Duration::from_secs);
        config.no_locals = self.no_locals;
        config.locals.clone_from(&self.locals);
        config.allow_unprotected |= self.allow_unprotected;
        match self.fee_cap {
            Some(cap) if cap > 0.0 => config.tx_fee_cap = Some(U256::from(cap * WEI_PER_ETHER)),
            Some(_) => config.tx_fee_cap = None,
            None => {}
        }
        let default = || folder.map(|folder| folder.join("transactions.rlp"));
        let journal = self.journal.clone().or_else(default);
        config.journal = journal.filter(|path| !path.as_os_str().is_empty());
        config
    }
}
