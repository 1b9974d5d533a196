//! The workloads by name.

use crate::WorkloadError;
use core::{fmt, str::FromStr};

/// What the transactions of a block do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workload {
    /// Plain payments; hot ones come from one sender.
    Transfers,
    /// Plain payments; hot ones pass the same money on from hand to hand.
    Relay,
    /// Plain payments; hot ones go to one recipient.
    Collect,
    /// Token transfers; hot ones go to one holder.
    Erc20,
    /// Swaps in constant-product pairs through a router.
    Dex,
    /// Swaps in concentrated-liquidity pools, some across ticks.
    DexTicks,
    /// Deposits, loans, repayments and liquidations.
    Lending,
    /// Mints of numbered collectibles.
    Nft,
    /// Batch transfers and crafting of game items.
    Items,
    /// Votes on proposals and delegations of voting weight.
    Votes,
    /// Items handed from company to company.
    Custody,
    /// Meter readings that add up in a region.
    Metering,
    /// Pay-per-use from prepaid credit.
    Subscriptions,
    /// Increments of a counter.
    Counter,
    /// Increments of a counter after 20,000 gas of private work.
    CounterWork,
    /// All of them, mostly payments.
    Mixed,
}

impl Workload {
    /// Every workload, in the order the documentation has them.
    pub const ALL: [Self; 16] = [
        Self::Transfers,
        Self::Relay,
        Self::Collect,
        Self::Erc20,
        Self::Dex,
        Self::DexTicks,
        Self::Lending,
        Self::Nft,
        Self::Items,
        Self::Votes,
        Self::Custody,
        Self::Metering,
        Self::Subscriptions,
        Self::Counter,
        Self::CounterWork,
        Self::Mixed,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// What the transactions do.
    pub const fn summary(self) -> &'static str {
        self.describe().1
    }

    /// Where hot transactions meet.
    pub const fn hot_spot(self) -> &'static str {
        self.describe().2
    }

    /// The names of all workloads.
    pub fn names() -> [&'static str; Self::ALL.len()] {
        Self::ALL.map(Self::name)
    }

    /// Whether the workload's contracts run under the old rules.
    pub const fn runs_under_homestead(self) -> bool {
        matches!(
            self,
            Self::Transfers
                | Self::Relay
                | Self::Collect
                | Self::Erc20
                | Self::Counter
                | Self::CounterWork
        )
    }

    const fn describe(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Transfers => ("transfers", "payments in ether", "one sender"),
            Self::Relay => ("relay", "payments in ether", "money passed from hand to hand"),
            Self::Collect => ("collect", "payments in ether", "one recipient"),
            Self::Erc20 => ("erc20", "token transfers", "one recipient of one token"),
            Self::Dex => ("dex", "swaps in constant-product pairs", "one pair"),
            Self::DexTicks => ("dex-ticks", "swaps in concentrated-liquidity pools", "one pool"),
            Self::Lending => ("lending", "deposit, borrow, repay, liquidate", "one market"),
            Self::Nft => ("nft", "mints with sequential ids", "one collection"),
            Self::Items => ("items", "game items: batches and crafting", "one recipe"),
            Self::Votes => ("votes", "DAO votes and delegations", "one proposal"),
            Self::Custody => ("custody", "supply-chain tracking", "one item"),
            Self::Metering => ("metering", "DePIN meter readings", "one region's aggregate"),
            Self::Subscriptions => ("subscriptions", "pay-per-use and top-ups", "one service"),
            Self::Counter => ("counter", "increments of a counter", "one counter"),
            Self::CounterWork => ("counter-work", "20k gas of work, then a counter", "one counter"),
            Self::Mixed => ("mixed", "all of them, mostly payments", "the hot spot of each"),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = WorkloadError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|workload| workload.name() == name);
        found.ok_or_else(|| WorkloadError::UnknownWorkload { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for workload in Workload::ALL {
            assert_eq!(workload.name().parse::<Workload>().unwrap(), workload);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "nfts".parse::<Workload>().unwrap_err().to_string();
        assert!(error.contains("`nfts`") && error.contains("dex-ticks"), "{error}");
    }
}
