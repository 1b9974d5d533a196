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
    /// Transactions of one sender that are safe from eviction [default: 16, with --dev
    /// 1048576].
    #[arg(long = "txpool.accountslots", value_name = "N")]
    account_slots: Option<usize>,

    /// Transactions of all senders that could be in the next block [default: 5120, with --dev
    /// 1048576].
    #[arg(long = "txpool.globalslots", value_name = "N")]
    global_slots: Option<usize>,

    /// Transactions of one sender behind a missing nonce [default: 64, with --dev 262144].
    #[arg(long = "txpool.accountqueue", value_name = "N")]
    account_queue: Option<usize>,

    /// Transactions of all senders behind a missing nonce [default: 1024, with --dev 262144].
    #[arg(long = "txpool.globalqueue", value_name = "N")]
    global_queue: Option<usize>,

    /// Smallest tip of other people's transactions, in wei per gas [default: 1, with --dev 0].
    #[arg(long = "txpool.pricelimit", value_name = "WEI")]
    price_limit: Option<u128>,

    /// By how many percent a replacement must raise the fees [default: 10].
    #[arg(long = "txpool.pricebump", value_name = "PERCENT")]
    price_bump: Option<u64>,

    /// Seconds that a transaction may wait behind a missing nonce [default: 10800].
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

    /// Seconds after which that file is written anew [default: 3600].
    #[arg(long = "txpool.rejournal", value_name = "SECONDS")]
    rejournal: Option<u64>,

    /// Most ether that a transaction sent to this node may pay for gas; 0 for no limit [default: 1,
    /// with --dev none].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_the_defaults() {
        let command = PoolArgs::augment_args(clap::Command::new("node"));
        let (usual, dev) = (PoolConfig::default(), PoolConfig::dev());
        let slots = |of: fn(&PoolConfig) -> usize| [of(&usual) as u64, of(&dev) as u64];
        let ether = |config: &PoolConfig| {
            let cap = config.tx_fee_cap.unwrap_or_default();
            (cap / U256::from(WEI_PER_ETHER)).to::<u64>()
        };
        assert_eq!([ether(&usual), ether(&dev)], [1, 0]);
        for (flag, defaults) in [
            ("txpool.accountslots", slots(|config| config.account_slots)),
            ("txpool.globalslots", slots(|config| config.global_slots)),
            ("txpool.accountqueue", slots(|config| config.account_queue)),
            ("txpool.globalqueue", slots(|config| config.global_queue)),
            ("txpool.pricelimit", [&usual, &dev].map(|config| config.price_limit as u64)),
            ("txpool.pricebump", [&usual, &dev].map(|config| config.price_bump)),
            ("txpool.lifetime", [&usual, &dev].map(|config| config.lifetime.as_secs())),
            ("txpool.rejournal", [&usual, &dev].map(|config| config.rejournal.as_secs())),
        ] {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag)).unwrap();
            let help = arg.get_help().unwrap().to_string();
            let expected = match defaults {
                [usual, dev] if usual == dev => format!("[default: {usual}]"),
                [usual, dev] => format!("[default: {usual}, with --dev {dev}]"),
            };
            assert!(help.contains(&expected), "--{flag}: {help}");
        }
    }
}
