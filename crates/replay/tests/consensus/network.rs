//! The networks of the consensus tests as genesis configs.

use alloy_eips::eip7840::BlobParams;
use alloy_genesis::ChainConfig;
use alloy_primitives::{U64, U256, address};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigJson {
    chainid: Option<U64>,
    #[serde(default)]
    blob_schedule: BTreeMap<String, BlobJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobJson {
    target: U64,
    max: U64,
    base_fee_update_fraction: U64,
}

/// Every fork in order under the name the tests use.
const FORKS: [&str; 18] = [
    "Frontier",
    "Homestead",
    "EIP150",
    "EIP158",
    "Byzantium",
    "ConstantinopleFix",
    "Istanbul",
    "Berlin",
    "London",
    "Paris",
    "Shanghai",
    "Cancun",
    "Prague",
    "Osaka",
    "BPO1",
    "BPO2",
    "BPO3",
    "BPO4",
];

/// The config of a network such as `London` or `ShanghaiToCancunAtTime15k`. `None` for networks
/// that cannot be expressed: Constantinople, and the merge by difficulty; and for the DAO fork,
/// whose transfers alloy-evm makes at the end of the block instead of its beginning (on mainnet
/// nothing in the block can tell the difference).
pub(crate) fn chain_config(network: &str, json: &ConfigJson) -> Option<ChainConfig> {
    let mut config = ChainConfig {
        chain_id: json.chainid.map_or(1, |id| id.to()),
        deposit_contract_address: Some(address!("0x00000000219ab540356cbb839cbe05303d7705fa")),
        ..ChainConfig::default()
    };
    for (fork, params) in &json.blob_schedule {
        let params = BlobParams {
            target_blob_count: params.target.to(),
            max_blob_count: params.max.to(),
            max_blobs_per_tx: params.max.to(),
            update_fraction: params.base_fee_update_fraction.to(),
            ..BlobParams::cancun()
        };
        config.blob_schedule.insert(fork.to_lowercase(), params);
    }
    let (start, later) = match network.split_once("To") {
        Some((start, later)) => {
            let (later, at) = later.split_once("At")?;
            let at = match at.strip_prefix("Time") {
                Some(time) => time.strip_suffix('k')?.parse::<u64>().ok()? * 1_000,
                None => at.parse().ok()?,
            };
            (start, Some((later, at)))
        }
        None => (network, None),
    };
    for fork in &FORKS[..=position(start)?] {
        activate(&mut config, fork, 0);
    }
    if let Some((later, at)) = later {
        for fork in &FORKS[position(start)? + 1..=position(later)?] {
            activate(&mut config, fork, at);
        }
    }
    Some(config)
}

fn position(fork: &str) -> Option<usize> {
    let fork = match fork {
        "Merge" => "Paris",
        other => other,
    };
    FORKS.iter().position(|known| *known == fork)
}

fn activate(config: &mut ChainConfig, fork: &str, at: u64) {
    let field = match fork {
        "Homestead" => &mut config.homestead_block,
        "EIP150" => &mut config.eip150_block,
        "EIP158" => &mut config.eip158_block,
        "Byzantium" => &mut config.byzantium_block,
        "ConstantinopleFix" => {
            config.constantinople_block = Some(at);
            &mut config.petersburg_block
        }
        "Istanbul" => &mut config.istanbul_block,
        "Berlin" => &mut config.berlin_block,
        "London" => &mut config.london_block,
        "Paris" => {
            config.terminal_total_difficulty = Some(U256::ZERO);
            return;
        }
        "Shanghai" => &mut config.shanghai_time,
        "Cancun" => &mut config.cancun_time,
        "Prague" => &mut config.prague_time,
        "Osaka" => &mut config.osaka_time,
        "BPO1" => &mut config.bpo1_time,
        "BPO2" => &mut config.bpo2_time,
        "BPO3" => &mut config.bpo3_time,
        "BPO4" => &mut config.bpo4_time,
        _ => return,
    };
    *field = Some(at);
}
