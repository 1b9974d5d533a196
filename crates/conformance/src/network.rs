//! From the name of a network in a fixture to the rules of a chain.

use crate::json::ConfigJson;
use alloy_eips::eip7840::BlobParams;
use alloy_genesis::ChainConfig;
use alloy_primitives::U256;
use core::ops::Range;
use warpline_chain::Rules;
use warpline_chainspec::{ChainSpec, ChainSpecError};

/// Why a fixture's network cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("unknown network `{0}`")]
    Unknown(String),
    #[error("network `{name}`: {source}")]
    Rules { name: String, source: ChainSpecError },
}

/// Where a fork starts.
#[derive(Clone, Copy)]
enum Start {
    Genesis,
    Block(u64),
    Time(u64),
    Difficulty(U256),
}

/// The forks in order, each as fixtures call it.
const FORKS: [&str; 23] = [
    "Frontier",
    "Homestead",
    "EIP150",
    "EIP158",
    "Byzantium",
    "Constantinople",
    "ConstantinopleFix",
    "Istanbul",
    "MuirGlacier",
    "Berlin",
    "London",
    "ArrowGlacier",
    "GrayGlacier",
    "Paris",
    "Shanghai",
    "Cancun",
    "Prague",
    "Osaka",
    "BPO1",
    "BPO2",
    "BPO3",
    "BPO4",
    "Amsterdam",
];

/// The rules of a network such as `London`, `CancunToPragueAtTime15k` or
/// `ArrowGlacierToParisAtDiffC0000`.
pub(crate) fn rules(name: &str, config: &ConfigJson) -> Result<Rules, NetworkError> {
    let unknown = || NetworkError::Unknown(name.to_owned());
    let (first, then) = match name.split_once("To") {
        None => (name, None),
        Some((first, rest)) => {
            let (second, at) = rest.split_once("At").ok_or_else(unknown)?;
            (first, Some((second, start(at).ok_or_else(unknown)?)))
        }
    };
    let mut chain = Chain::new(config);
    let base = position(first).ok_or_else(unknown)?;
    chain.schedule_all(base, Start::Genesis);
    if let Some((second, at)) = then {
        if second == "Dao" {
            let Start::Block(block) = at else { return Err(unknown()) };
            (chain.config.dao_fork_block, chain.config.dao_fork_support) = (Some(block), true);
        } else {
            let end = position(second).ok_or_else(unknown)?;
            // A difficulty ends mining and says nothing of the forks that come by number.
            let next = if matches!(at, Start::Difficulty(_)) { end } else { base + 1 };
            (next..=end).for_each(|fork| chain.schedule(fork, at));
        }
    }
    chain.rules().map_err(|source| NetworkError::Rules { name: name.to_owned(), source })
}

fn position(fork: &str) -> Option<usize> {
    let fork = if fork == "Merge" { "Paris" } else { fork };
    FORKS.iter().position(|name| *name == fork)
}

/// Whether a name is that of a network, if perhaps of one that needs a `config`.
pub(crate) fn is_network(name: &str) -> bool {
    !matches!(rules(name, &ConfigJson::default()), Err(NetworkError::Unknown(_)))
}

/// Whether fixtures call a fork so.
pub(crate) fn is_fork(name: &str) -> bool {
    position(name).is_some()
}

fn start(at: &str) -> Option<Start> {
    if let Some(time) = at.strip_prefix("Time") {
        let (digits, unit) = time.strip_suffix('k').map_or((time, 1), |digits| (digits, 1000));
        return digits.parse::<u64>().ok()?.checked_mul(unit).map(Start::Time);
    }
    if let Some(difficulty) = at.strip_prefix("Diff") {
        return U256::from_str_radix(difficulty, 16).ok().map(Start::Difficulty);
    }
    at.parse().ok().map(Start::Block)
}

struct Chain {
    config: ChainConfig,
    merge_at: Option<U256>,
    access_lists: Option<u64>,
    net_gas_metering: Range<u64>,
}

impl Chain {
    fn new(json: &ConfigJson) -> Self {
        let mut config = ChainConfig {
            chain_id: json.chainid.map_or(1, |id| id.to()),
            ..ChainConfig::default()
        };
        for (fork, blob) in &json.blob_schedule {
            let params = BlobParams {
                target_blob_count: blob.target.to(),
                max_blob_count: blob.max.to(),
                update_fraction: blob.base_fee_update_fraction.to(),
                max_blobs_per_tx: blob.max.to(),
                ..BlobParams::cancun()
            };
            config.blob_schedule.insert(fork.to_lowercase(), params);
        }
        Self { config, merge_at: None, access_lists: None, net_gas_metering: 0..0 }
    }

    fn schedule_all(&mut self, last: usize, at: Start) {
        // Networks are named after their rules: blob-parameter forks of their own come only where
        // a name says so, but Amsterdam follows BPO2.
        let amsterdam = FORKS[last] == "Amsterdam";
        for (fork, name) in FORKS.iter().enumerate().take(last + 1) {
            if !(amsterdam && matches!(*name, "BPO3" | "BPO4")) {
                self.schedule(fork, at);
            }
        }
    }

    fn schedule(&mut self, fork: usize, at: Start) {
        let block = match at {
            Start::Block(block) => Some(block),
            _ => Some(0),
        };
        let time = match at {
            Start::Time(time) => Some(time),
            _ => Some(0),
        };
        let config = &mut self.config;
        match FORKS[fork] {
            "Homestead" => config.homestead_block = block,
            "EIP150" => config.eip150_block = block,
            "EIP158" => (config.eip155_block, config.eip158_block) = (block, block),
            "Byzantium" => config.byzantium_block = block,
            "Constantinople" => {
                // Its fix changes nothing but the gas that it takes back.
                (config.constantinople_block, config.petersburg_block) = (block, block);
                self.net_gas_metering = block.unwrap_or_default()..u64::MAX;
            }
            "ConstantinopleFix" => {
                self.net_gas_metering.end = block.unwrap_or_default();
            }
            "Istanbul" => config.istanbul_block = block,
            "MuirGlacier" => config.muir_glacier_block = block,
            "Berlin" => config.berlin_block = block,
            "London" => config.london_block = block,
            "ArrowGlacier" => config.arrow_glacier_block = block,
            "GrayGlacier" => config.gray_glacier_block = block,
            "Paris" => {
                self.merge_at = Some(match at {
                    Start::Difficulty(difficulty) => difficulty,
                    _ => U256::ZERO,
                });
            }
            "Shanghai" => config.shanghai_time = time,
            "Cancun" => config.cancun_time = time,
            "Prague" => config.prague_time = time,
            "Osaka" => config.osaka_time = time,
            "BPO1" => config.bpo1_time = time,
            "BPO2" => config.bpo2_time = time,
            "BPO3" => config.bpo3_time = time,
            "BPO4" => config.bpo4_time = time,
            // Osaka's rules with block access lists; the EVM does not know of it.
            "Amsterdam" => self.access_lists = time,
            _ => {}
        }
    }

    fn rules(self) -> Result<Rules, ChainSpecError> {
        let with_work = ChainConfig { terminal_total_difficulty: None, ..self.config.clone() };
        let with_stake = ChainConfig {
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            ..self.config
        };
        let after_merge = ChainSpec::from_config(&with_stake)?;
        // Forks by time need the merge before them.
        let before_merge = match self.merge_at {
            Some(difficulty) if difficulty.is_zero() => after_merge.clone(),
            _ => ChainSpec::from_config(&with_work)?,
        };
        Ok(Rules {
            before_merge,
            after_merge,
            merge_at: self.merge_at,
            access_lists_from: self.access_lists,
            net_gas_metering: self.net_gas_metering,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Result<Rules, NetworkError> {
        rules(name, &ConfigJson::default())
    }

    #[test]
    fn every_fork_alone() {
        for fork in FORKS {
            assert!(is_network(fork), "{fork}");
            match named(fork) {
                Ok(rules) => {
                    assert_eq!(rules.merge_at.is_some(), position(fork) >= position("Paris"))
                }
                Err(error) => {
                    assert!(matches!(fork, "BPO3" | "BPO4"), "{fork}: {error}");
                }
            }
        }
    }

    #[test]
    fn constantinople_is_itself_until_it_is_fixed() {
        let blocks = |name: &str| named(name).unwrap().net_gas_metering;
        assert_eq!(blocks("Constantinople"), 0..u64::MAX);
        assert_eq!(blocks("ByzantiumToConstantinopleAt5"), 5..u64::MAX);
        assert_eq!(blocks("ConstantinopleToConstantinopleFixAt5"), 0..5);
        for name in ["Byzantium", "ConstantinopleFix", "ByzantiumToConstantinopleFixAt5", "Osaka"] {
            assert!(blocks(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn transitions_by_block_time_and_difficulty() {
        let homestead = named("FrontierToHomesteadAt5").unwrap().before_merge;
        assert_eq!(
            (homestead.fork_name(4, 0), homestead.fork_name(5, 0)),
            ("Frontier", "Homestead")
        );
        let prague = named("CancunToPragueAtTime15k").unwrap().after_merge;
        assert_eq!(
            (prague.fork_name(1, 14_999), prague.fork_name(1, 15_000)),
            ("Cancun", "Prague")
        );
        let merge = named("ArrowGlacierToParisAtDiffC0000").unwrap();
        assert_eq!(merge.merge_at, Some(U256::from(0xc0000)));
        assert_eq!(merge.before_merge.fork_name(1, 0), "Arrow Glacier");
        assert_eq!(merge.after_merge.fork_name(1, 0), "Paris");
        let dao = named("HomesteadToDaoAt5").unwrap().before_merge;
        assert_eq!(dao.fork_name(5, 0), "DAO");
    }

    #[test]
    fn names_that_mean_nothing_are_errors() {
        for name in ["", "Gotham", "LondonToGothamAt5", "LondonToParis", "CancunToPragueAtTimeX"] {
            assert!(matches!(named(name), Err(NetworkError::Unknown(_))), "{name}");
            assert!(!is_network(name), "{name}");
        }
    }
}
