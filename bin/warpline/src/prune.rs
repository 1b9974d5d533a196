//! `--prune`: what is kept of the past.

use clap::Args;
use warpline_storage::PrunePolicy;

/// What is kept of the past.
#[derive(Debug, Clone, Args)]
pub(crate) struct PruneArgs {
    /// What is kept of the past: `archive` for everything, `full` for the state, receipts, senders
    /// and access lists of the last 10064 blocks, or a number of blocks. It takes effect as blocks
    /// come; the state may be kept for some blocks more. What was pruned before stays away, and the
    /// chain cannot go back there.
    #[arg(long, visible_alias = "gcmode", value_name = "POLICY", default_value = "archive",
          value_parser = parse)]
    pub(crate) prune: PrunePolicy,
}

/// How many blocks `full` keeps: what reth keeps at least.
const FULL: u64 = 10_064;

/// The policy of that name, or for a number of blocks.
pub(crate) fn parse(policy: &str) -> Result<PrunePolicy, String> {
    match policy {
        "archive" => Ok(PrunePolicy::ARCHIVE),
        "full" => Ok(PrunePolicy::full(FULL)),
        number => match number.parse() {
            Ok(blocks) if blocks > 0 => Ok(PrunePolicy::full(blocks)),
            _ => Err("expected `archive`, `full`, or a number of blocks from 1 on".to_owned()),
        },
    }
}
