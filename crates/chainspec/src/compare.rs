//! Genesis files of built-in networks: whether their forks are those of the network.

use crate::{ChainSpec, ChainSpecError};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumHardfork as Fork, EthereumHardforks, ForkCondition};
use alloy_primitives::U256;

impl ChainSpec {
    /// Holds the forks of a genesis file against those of this network, whose genesis block it
    /// makes. Tells the fields of those that it lacks, as a file does that is older than the forks.
    ///
    /// # Errors
    /// A fork comes at another time, or the network does not have it.
    pub fn missing_forks(&self, config: &ChainConfig) -> Result<Vec<&'static str>, ChainSpecError> {
        let mut missing = Vec::new();
        for (fork, field, given) in scheduled(config) {
            let actual = at(self.ethereum_fork_activation(fork));
            match given {
                None if !is_from_genesis(actual) => missing.push(field),
                Some(at) if given != actual && !(at.is_zero() && is_from_genesis(actual)) => {
                    let actual = actual.map_or_else(|| "none".to_owned(), |at| at.to_string());
                    let network = self.name().to_owned();
                    return Err(ChainSpecError::OtherForks { network, field, given: at, actual });
                }
                _ => {}
            }
        }
        Ok(missing)
    }
}

/// Forks that are in force from the first block on are often left out, on both sides: the
/// difficulty bombs of networks that never had one, say.
fn is_from_genesis(at: Option<U256>) -> bool {
    at.is_none_or(|at| at.is_zero())
}

/// The block, time or total difficulty at which a fork comes.
fn at(condition: ForkCondition) -> Option<U256> {
    match condition {
        ForkCondition::Block(at) | ForkCondition::Timestamp(at) => Some(U256::from(at)),
        ForkCondition::TTD { total_difficulty, .. } => Some(total_difficulty),
        ForkCondition::Never => None,
    }
}

/// What a genesis file says of each fork, by the name of its field.
fn scheduled(config: &ChainConfig) -> Vec<(Fork, &'static str, Option<U256>)> {
    let petersburg = config.petersburg_block.or(config.constantinople_block);
    let forks = [
        (Fork::Homestead, "homesteadBlock", config.homestead_block),
        (Fork::Dao, "daoForkBlock", config.dao_fork_block.filter(|_| config.dao_fork_support)),
        (Fork::Tangerine, "eip150Block", config.eip150_block),
        (Fork::SpuriousDragon, "eip158Block", config.eip158_block.or(config.eip155_block)),
        (Fork::Byzantium, "byzantiumBlock", config.byzantium_block),
        (Fork::Constantinople, "constantinopleBlock", config.constantinople_block),
        (Fork::Petersburg, "petersburgBlock", petersburg),
        (Fork::Istanbul, "istanbulBlock", config.istanbul_block),
        (Fork::MuirGlacier, "muirGlacierBlock", config.muir_glacier_block),
        (Fork::Berlin, "berlinBlock", config.berlin_block),
        (Fork::London, "londonBlock", config.london_block),
        (Fork::ArrowGlacier, "arrowGlacierBlock", config.arrow_glacier_block),
        (Fork::GrayGlacier, "grayGlacierBlock", config.gray_glacier_block),
        (Fork::Shanghai, "shanghaiTime", config.shanghai_time),
        (Fork::Cancun, "cancunTime", config.cancun_time),
        (Fork::Prague, "pragueTime", config.prague_time),
        (Fork::Osaka, "osakaTime", config.osaka_time),
        (Fork::Bpo1, "bpo1Time", config.bpo1_time),
        (Fork::Bpo2, "bpo2Time", config.bpo2_time),
        (Fork::Bpo3, "bpo3Time", config.bpo3_time),
        (Fork::Bpo4, "bpo4Time", config.bpo4_time),
        (Fork::Bpo5, "bpo5Time", config.bpo5_time),
        (Fork::Amsterdam, "amsterdamTime", config.amsterdam_time),
    ];
    let merge = (Fork::Paris, "terminalTotalDifficulty", config.terminal_total_difficulty);
    let forks = forks.map(|(fork, field, at)| (fork, field, at.map(U256::from)));
    forks.into_iter().chain([merge]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_genesis::Genesis;

    fn every_network() -> Vec<(ChainSpec, Genesis)> {
        ["mainnet", "sepolia", "holesky", "hoodi"]
            .map(|name| ChainSpec::by_name(name).unwrap())
            .map(|chain| (chain.clone(), chain.genesis().unwrap()))
            .into()
    }

    #[test]
    fn the_files_of_the_networks_have_their_forks() {
        for (chain, genesis) in every_network() {
            let missing = chain.missing_forks(&genesis.config).unwrap();
            // Those of `alloy-genesis` end with Shanghai.
            assert_eq!(missing.first().copied().unwrap_or("cancunTime"), "cancunTime");
        }
    }

    #[test]
    fn a_fork_at_another_time_is_named_and_one_that_is_not_there_is_told() {
        let (sepolia, genesis) = every_network().swap_remove(1);
        let error = |change: fn(&mut ChainConfig)| {
            let mut config = genesis.config.clone();
            change(&mut config);
            sepolia.missing_forks(&config).unwrap_err().to_string()
        };
        let said = error(|config| config.cancun_time = Some(1_706_655_073));
        let expected = "genesis block of sepolia, but config.cancunTime is 1706655073 where the network \
             has 1706655072";
        assert!(said.contains(expected), "{said}");
        let said = error(|config| config.london_block = Some(7));
        assert!(said.contains("londonBlock is 7 where the network has 0"), "{said}");
        let said = error(|config| config.bpo5_time = Some(9));
        assert!(said.contains("bpo5Time is 9 where the network has none"), "{said}");
        let said = error(|config| config.terminal_total_difficulty = Some(U256::ZERO));
        assert!(said.contains("terminalTotalDifficulty is 0 where"), "{said}");

        let older = ChainConfig { cancun_time: None, prague_time: None, ..genesis.config.clone() };
        let missing = sepolia.missing_forks(&older).unwrap();
        assert!(missing.starts_with(&["cancunTime", "pragueTime"]), "{missing:?}");
    }
}
