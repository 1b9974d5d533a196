//! When blocks are made, and what their headers say.

use alloy_primitives::{Address, Bytes};
use clap::{ArgAction, Args};
use eyre::{Result, ensure};
use std::time::Duration;
use warpline_node::Mining;

/// Production of blocks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Block production")]
pub(crate) struct ProduceArgs {
    /// Make a block every so many seconds, also fractions of one.
    #[arg(long, visible_alias = "dev.period", value_name = "SECONDS", value_parser = period,
          conflicts_with = "no_mining")]
    block_time: Option<Duration>,

    /// Make no blocks but when asked to, even on a development chain.
    #[arg(long)]
    no_mining: bool,

    /// Execute transactions that wait for a block before it is made.
    #[arg(long = "miner.early", value_name = "BOOL", default_value_t = true,
          default_missing_value = "true", num_args = 0..=1, require_equals = true,
          action = ArgAction::Set)]
    pub(crate) early: bool,

    /// Gas limit that new blocks approach [default: 60,000,000 as in geth; on a development chain
    /// that of the parent].
    #[arg(long = "miner.gaslimit", value_name = "GAS",
          value_parser = clap::value_parser!(u64).range(5_000..1 << 62))]
    target_gas_limit: Option<u64>,

    /// Who gets the fees of new blocks.
    #[arg(long = "miner.etherbase", value_name = "ADDRESS", default_value_t = Address::ZERO)]
    pub(crate) etherbase: Address,

    /// What the headers of new blocks carry, at most 32 bytes.
    #[arg(long = "miner.extradata", value_name = "TEXT", default_value = "warpline")]
    extra_data: String,

    /// Smallest tip of a transaction in a new block, in wei per gas.
    #[arg(long = "miner.gasprice", value_name = "WEI", default_value_t = 0)]
    pub(crate) min_tip: u128,
}

/// What geth's blocks approach.
const GAS_LIMIT: u64 = 60_000_000;

fn period(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(period) if period >= Duration::from_millis(1) => Ok(period),
        Ok(_) => Err("at least a millisecond".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How far the pending block may be behind the pool: as far as geth's, but for development chains,
/// where test suites read what they have just sent.
pub(crate) const fn pending_lag(dev: bool) -> Duration {
    if dev { Duration::ZERO } else { Duration::from_secs(2) }
}

impl ProduceArgs {
    /// When blocks are made.
    pub(crate) const fn mining(&self, dev: bool) -> Mining {
        match self.block_time {
            Some(period) => Mining::Interval(period),
            None if dev && !self.no_mining => Mining::Instant,
            None => Mining::Manual,
        }
    }

    /// The gas limit that new blocks approach; none to keep the parent's.
    pub(crate) fn gas_limit(&self, dev: bool) -> Option<u64> {
        self.target_gas_limit.or_else(|| (!dev).then_some(GAS_LIMIT))
    }

    /// What the headers of new blocks carry.
    pub(crate) fn extra_data(&self) -> Result<Bytes> {
        let length = self.extra_data.len();
        ensure!(length <= 32, "--miner.extradata: {length} bytes, at most 32");
        Ok(Bytes::copy_from_slice(self.extra_data.as_bytes()))
    }
}
