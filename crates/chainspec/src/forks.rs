//! When each fork starts, and what it is called.

use alloy_hardforks::{EthereumHardfork, ForkCondition};

const FORKS: usize = EthereumHardfork::VARIANTS.len();

/// Activation of every fork, indexed by fork: the block executor asks once per transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForkTable([ForkCondition; FORKS]);

impl ForkTable {
    pub(crate) fn new(forks: impl IntoIterator<Item = (EthereumHardfork, ForkCondition)>) -> Self {
        let mut table = [ForkCondition::Never; FORKS];
        for (fork, condition) in forks {
            table[fork as usize] = condition;
        }
        Self(table)
    }

    pub(crate) fn activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.0[fork as usize]
    }

    /// The fork that started last. Forks by timestamp come after all forks by block number, and
    /// of several that start together the later one in the order of forks counts.
    pub(crate) fn youngest(&self, number: u64, timestamp: u64) -> EthereumHardfork {
        let started = |fork: &EthereumHardfork| match self.activation(*fork) {
            ForkCondition::Timestamp(start) if start <= timestamp => Some((true, start)),
            ForkCondition::Block(start)
            | ForkCondition::TTD { activation_block_number: start, .. }
                if start <= number =>
            {
                Some((false, start))
            }
            _ => None,
        };
        EthereumHardfork::VARIANTS
            .iter()
            .filter_map(|fork| Some((started(fork)?, *fork)))
            .max()
            .map_or(EthereumHardfork::Frontier, |(_, fork)| fork)
    }
}

/// The name of a fork as people write it.
pub(crate) fn human_name(fork: EthereumHardfork) -> &'static str {
    match fork {
        EthereumHardfork::Dao => "DAO",
        EthereumHardfork::Tangerine => "Tangerine Whistle",
        EthereumHardfork::SpuriousDragon => "Spurious Dragon",
        EthereumHardfork::MuirGlacier => "Muir Glacier",
        EthereumHardfork::ArrowGlacier => "Arrow Glacier",
        EthereumHardfork::GrayGlacier => "Gray Glacier",
        EthereumHardfork::Bpo1 => "BPO1",
        EthereumHardfork::Bpo2 => "BPO2",
        EthereumHardfork::Bpo3 => "BPO3",
        EthereumHardfork::Bpo4 => "BPO4",
        EthereumHardfork::Bpo5 => "BPO5",
        other => other.name(),
    }
}
