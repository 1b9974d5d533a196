//! Chains described by geth's `genesis.json`.

use crate::{
    ChainSpec, ChainSpecError, Rules,
    file::read_genesis,
    forks::{ForkTable, human_name},
    networks::default_blob_params,
};
use alloy_eips::{
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::{
    EthereumHardfork, EthereumHardfork as Fork, EthereumHardforks, ForkCondition,
};
use alloy_primitives::U256;
use std::{path::Path, sync::Arc};

impl ChainSpec {
    /// The rules of a chain from its genesis.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, ChainSpecError> {
        Self::from_config(&genesis.config)
    }

    /// The rules of a chain from the `config` of its genesis.
    pub fn from_config(config: &ChainConfig) -> Result<Self, ChainSpecError> {
        let mut forks = forks_by_block(config)?;
        let times = forks_by_time(config)?;
        if let Some((later, _)) = times.first().filter(|_| config.london_block.is_none()) {
            let (earlier, later) = (human_name(Fork::London), human_name(*later));
            return Err(ChainSpecError::MissingFork { earlier, later });
        }
        forks.extend(times.iter().map(|(fork, at)| (*fork, ForkCondition::Timestamp(*at))));
        if let Some(paris) = paris(config, !times.is_empty())? {
            forks.push((Fork::Paris, paris));
        }
        Ok(Self(Arc::new(Rules {
            name: format!("chain-{}", config.chain_id),
            chain_id: config.chain_id,
            forks: ForkTable::new(forks),
            deposit_contract: config.deposit_contract_address,
            blob_schedule: blob_schedule(config, &times)?,
        })))
    }

    /// The rules of a chain from a genesis file.
    pub fn from_genesis_file(path: &Path) -> Result<Self, ChainSpecError> {
        Self::from_genesis(&read_genesis(path)?)
    }

    /// A built-in network by name, or else a genesis file by path.
    pub fn by_name_or_path(name: &str) -> Result<Self, ChainSpecError> {
        match Self::by_name(name) {
            Err(ChainSpecError::UnknownChain { .. }) if Path::new(name).exists() => {
                Self::from_genesis_file(Path::new(name))
            }
            other => other,
        }
    }
}

/// What a genesis schedules and this program does not know: forks, by the names of their fields.
/// Blocks that follow one of them cannot be told right.
pub fn unknown_forks(config: &ChainConfig) -> Vec<String> {
    // An earlier name of `mergeNetsplitBlock`, which changes no rule.
    const WITHOUT_RULES: &str = "mergeForkBlock";
    let schedules =
        |name: &str| (name.ends_with("Time") || name.ends_with("Block")) && name != WITHOUT_RULES;
    let unknown = config.extra_fields.iter().filter(|(name, at)| schedules(name) && !at.is_null());
    let bogota = config.bogota_time.map(|_| "bogotaTime".to_owned());
    bogota.into_iter().chain(unknown.map(|(name, _)| name.clone())).collect()
}

/// The forks before the merge, each needing all before it but the optional ones.
fn forks_by_block(
    config: &ChainConfig,
) -> Result<Vec<(EthereumHardfork, ForkCondition)>, ChainSpecError> {
    let petersburg = config.petersburg_block.or(config.constantinople_block);
    if let (Some(constantinople), Some(petersburg)) = (config.constantinople_block, petersburg)
        && constantinople < petersburg
    {
        return Err(ChainSpecError::ConstantinopleOnly { constantinople, petersburg });
    }
    let dao = config.dao_fork_block.filter(|_| config.dao_fork_support);
    let scheduled = in_order(&[
        (Fork::Homestead, config.homestead_block, Need::All),
        (Fork::Dao, dao, Need::Optional),
        (Fork::Tangerine, config.eip150_block, Need::All),
        (Fork::SpuriousDragon, config.eip158_block.or(config.eip155_block), Need::All),
        (Fork::Byzantium, config.byzantium_block, Need::All),
        (Fork::Constantinople, config.constantinople_block, Need::All),
        (Fork::Petersburg, petersburg, Need::All),
        (Fork::Istanbul, config.istanbul_block, Need::All),
        (Fork::MuirGlacier, config.muir_glacier_block, Need::Optional),
        (Fork::Berlin, config.berlin_block, Need::All),
        (Fork::London, config.london_block, Need::All),
        (Fork::ArrowGlacier, config.arrow_glacier_block, Need::Optional),
        (Fork::GrayGlacier, config.gray_glacier_block, Need::Optional),
    ])?;
    let forks = scheduled.into_iter().map(|(fork, at)| (fork, ForkCondition::Block(at)));
    Ok(std::iter::once((Fork::Frontier, ForkCondition::Block(0))).chain(forks).collect())
}

/// The forks after the merge. Blob-parameter forks may come before or after Amsterdam.
fn forks_by_time(config: &ChainConfig) -> Result<Vec<(EthereumHardfork, u64)>, ChainSpecError> {
    let main = [
        (Fork::Shanghai, config.shanghai_time, Need::All),
        (Fork::Cancun, config.cancun_time, Need::All),
        (Fork::Prague, config.prague_time, Need::All),
        (Fork::Osaka, config.osaka_time, Need::All),
    ];
    let blobs = [
        (Fork::Bpo1, config.bpo1_time, Need::Optional),
        (Fork::Bpo2, config.bpo2_time, Need::Optional),
        (Fork::Bpo3, config.bpo3_time, Need::Optional),
        (Fork::Bpo4, config.bpo4_time, Need::Optional),
        (Fork::Bpo5, config.bpo5_time, Need::Optional),
    ];
    let amsterdam = [(Fork::Amsterdam, config.amsterdam_time, Need::All)];
    let mut forks = in_order(&[&main[..], &blobs].concat())?;
    forks.extend(in_order(&[&main[..], &amsterdam].concat())?.split_off(scheduled(&main)));
    forks.sort_by_key(|(_, at)| *at);
    Ok(forks)
}

fn scheduled(forks: &[(EthereumHardfork, Option<u64>, Need)]) -> usize {
    forks.iter().filter(|(_, at, _)| at.is_some()).count()
}

/// Whether the forks after this one need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    All,
    Optional,
}

/// The scheduled forks, if none is missing and none comes too early.
fn in_order(
    forks: &[(EthereumHardfork, Option<u64>, Need)],
) -> Result<Vec<(EthereumHardfork, u64)>, ChainSpecError> {
    let mut scheduled: Vec<(EthereumHardfork, u64)> = Vec::with_capacity(forks.len());
    let mut missing = None;
    for (fork, at, need) in forks {
        let Some(at) = *at else {
            missing = missing.or((*need == Need::All).then_some(*fork));
            continue;
        };
        if let Some(earlier) = missing {
            let (earlier, later) = (human_name(earlier), human_name(*fork));
            return Err(ChainSpecError::MissingFork { earlier, later });
        }
        if let Some((earlier, earlier_at)) = scheduled.last().copied()
            && at < earlier_at
        {
            let (earlier, later) = (human_name(earlier), human_name(*fork));
            return Err(ChainSpecError::ForkOrder { earlier, earlier_at, later, later_at: at });
        }
        scheduled.push((*fork, at));
    }
    Ok(scheduled)
}

/// When the chain leaves proof of work. The executor needs a block number, the genesis gives a
/// difficulty, so one must follow from the other.
fn paris(config: &ChainConfig, later: bool) -> Result<Option<ForkCondition>, ChainSpecError> {
    let at = |block, total_difficulty| {
        Ok(Some(ForkCondition::TTD {
            activation_block_number: block,
            fork_block: config.merge_netsplit_block,
            total_difficulty,
        }))
    };
    let Some(total_difficulty) = config.terminal_total_difficulty else {
        return if later { at(0, U256::ZERO) } else { Ok(None) };
    };
    if total_difficulty.is_zero() {
        return at(0, total_difficulty);
    }
    if let Some(block) = config.merge_netsplit_block {
        return at(block, total_difficulty);
    }
    let known = ChainSpec::by_chain_id(config.chain_id).ok();
    match known.map(|chain| chain.ethereum_fork_activation(Fork::Paris)) {
        Some(paris) if paris.ttd() == Some(total_difficulty) => Ok(Some(paris)),
        _ if config.terminal_total_difficulty_passed => at(0, total_difficulty),
        _ => Err(ChainSpecError::UnknownMergeBlock { total_difficulty }),
    }
}

/// What `blobSchedule` says, or mainnet's parameters for the forks it does not name.
fn blob_schedule(
    config: &ChainConfig,
    times: &[(EthereumHardfork, u64)],
) -> Result<Vec<(u64, BlobParams)>, ChainSpecError> {
    let mut schedule = Vec::new();
    for (fork, at) in times {
        let key = match fork {
            Fork::Cancun => "cancun",
            Fork::Prague => "prague",
            Fork::Osaka => "osaka",
            Fork::Bpo1 => "bpo1",
            Fork::Bpo2 => "bpo2",
            Fork::Bpo3 => "bpo3",
            Fork::Bpo4 => "bpo4",
            Fork::Bpo5 => "bpo5",
            Fork::Amsterdam => "amsterdam",
            _ => continue,
        };
        let configured = config.blob_schedule.get(key).map(|params| match fork {
            Fork::Cancun | Fork::Prague => *params,
            _ => params
                .with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA)
                .with_blob_base_cost(BLOB_BASE_COST),
        });
        match configured.or_else(|| default_blob_params(*fork)) {
            // The blob fee divides by it.
            Some(params) if params.update_fraction == 0 => {
                return Err(ChainSpecError::ZeroUpdateFraction { key });
            }
            Some(params) => schedule.push((*at, params)),
            // Amsterdam keeps the parameters it finds.
            None if *fork == Fork::Amsterdam => {}
            None => return Err(ChainSpecError::MissingBlobParams { fork: human_name(*fork), key }),
        }
    }
    Ok(schedule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_evm::eth::spec::EthExecutorSpec;
    use alloy_primitives::address;
    use revm::primitives::hardfork::SpecId;
    use serde_json::json;

    fn config(value: serde_json::Value) -> ChainConfig {
        serde_json::from_value(value).unwrap()
    }

    fn at_genesis() -> serde_json::Value {
        json!({
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
            "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0,
            "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0,
        })
    }

    fn with(extra: serde_json::Value) -> ChainConfig {
        let mut value = at_genesis();
        let object = value.as_object_mut().unwrap();
        for (key, field) in extra.as_object().unwrap() {
            if field.is_null() {
                object.remove(key)
            } else {
                object.insert(key.clone(), field.clone())
            };
        }
        config(value)
    }

    fn error(extra: serde_json::Value) -> String {
        ChainSpec::from_config(&with(extra)).unwrap_err().to_string()
    }

    #[test]
    fn everything_at_genesis_is_the_youngest_fork() {
        let chain = ChainSpec::from_config(&with(json!({
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0, "bpo1Time": 100,
            "amsterdamTime": 200, "bpo3Time": 300,
            "blobSchedule": { "bpo3": { "target": 32, "max": 48, "baseFeeUpdateFraction": 9 } },
            "depositContractAddress": "0x00000000000000000000000000000000000000dd",
        })))
        .unwrap();
        assert_eq!(chain.name(), "chain-1337");
        assert_eq!(chain.fork_name(0, 0), "Osaka");
        assert_eq!((chain.fork_name(5, 199), chain.spec_id(5, 199)), ("BPO1", SpecId::OSAKA));
        assert_eq!(
            (chain.fork_name(5, 200), chain.spec_id(5, 200)),
            ("Amsterdam", SpecId::AMSTERDAM)
        );
        assert_eq!((chain.fork_name(5, 300), chain.spec_id(5, 300)), ("BPO3", SpecId::AMSTERDAM));
        assert_eq!(chain.blob_params(0), Some(BlobParams::osaka()));
        assert_eq!(chain.blob_params(250), Some(BlobParams::bpo1()));
        let last = chain.blob_params(300).unwrap();
        assert_eq!((last.max_blob_count, last.max_blobs_per_tx, last.update_fraction), (48, 6, 9));
        let deposits = address!("0x00000000000000000000000000000000000000dd");
        assert_eq!(chain.deposit_contract_address(), Some(deposits));
    }

    #[test]
    fn forks_follow_their_blocks() {
        let chain = ChainSpec::from_config(&config(json!({
            "chainId": 7, "homesteadBlock": 1, "eip150Block": 2, "eip158Block": 3,
            "byzantiumBlock": 4, "constantinopleBlock": 5, "istanbulBlock": 6, "berlinBlock": 7,
            "londonBlock": 8, "terminalTotalDifficulty": 99, "mergeNetsplitBlock": 9,
            "daoForkBlock": 1,
        })))
        .unwrap();
        let names: Vec<_> = (0..=9).map(|number| chain.fork_name(number, 0)).collect();
        let expected = [
            "Frontier",
            "Homestead",
            "Tangerine Whistle",
            "Spurious Dragon",
            "Byzantium",
            "Petersburg",
            "Istanbul",
            "Berlin",
            "London",
            "Paris",
        ];
        assert_eq!(names, expected);
        assert_eq!(chain.ethereum_fork_activation(Fork::Dao), ForkCondition::Never);
    }

    #[test]
    fn mainnet_genesis_config_knows_its_merge_block() {
        let chain = ChainSpec::from_config(&with(json!({
            "chainId": 1, "terminalTotalDifficulty": "58750000000000000000000",
        })));
        let mainnet = ChainSpec::mainnet().ethereum_fork_activation(Fork::Paris);
        assert_eq!(chain.unwrap().ethereum_fork_activation(Fork::Paris), mainnet);
    }

    #[test]
    fn bad_configs_are_named() {
        let merge = error(json!({ "terminalTotalDifficulty": 5 }));
        assert!(merge.contains("mergeNetsplitBlock"), "{merge}");
        let missing = error(json!({ "berlinBlock": null }));
        assert!(missing.contains("London is scheduled but Berlin is not"), "{missing}");
        let order = error(json!({ "londonBlock": 5, "berlinBlock": 6 }));
        assert!(order.contains("London (at 5) is scheduled before Berlin (at 6)"), "{order}");
        let times = error(json!({ "shanghaiTime": 9, "cancunTime": 8 }));
        assert!(times.contains("Cancun (at 8) is scheduled before Shanghai (at 9)"), "{times}");
        let petersburg = error(json!({ "petersburgBlock": 3 }));
        assert!(petersburg.contains("blocks 0..3"), "{petersburg}");
        let osaka = json!({ "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0 });
        let unpriced = error(json!({ "londonBlock": null, "shanghaiTime": 0 }));
        assert!(unpriced.contains("Shanghai is scheduled but London is not"), "{unpriced}");
        let mut blobs = osaka;
        blobs["bpo4Time"] = json!(4);
        assert!(error(blobs).contains("no entry `bpo4`"));
        let zero = error(json!({
            "shanghaiTime": 0, "cancunTime": 0,
            "blobSchedule": { "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 0 } }
        }));
        assert!(zero.contains("blobSchedule.cancun.baseFeeUpdateFraction"), "{zero}");
    }

    #[test]
    fn forks_that_are_not_known_are_named() {
        let extra = json!({
            "bogotaTime": 9, "verkleTime": null, "bpo9Time": 5, "mergeForkBlock": 0, "note": "none",
        });
        assert_eq!(unknown_forks(&with(extra)), ["bogotaTime", "bpo9Time"]);
        assert!(unknown_forks(&with(json!({ "shanghaiTime": 0 }))).is_empty());
    }
}
