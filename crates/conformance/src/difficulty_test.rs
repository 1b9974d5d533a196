//! Difficulty tests: a parent, a number and a time, and the difficulty that follows.

use crate::network;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{B256, U256};
use serde::Deserialize;
use warpline_chain::next_difficulty;
use warpline_chainspec::ChainSpec;

/// The network that is not called after a fork.
pub(crate) const MAINNET: &str = "mainnet";

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DifficultyTest {
    parent_timestamp: U256,
    parent_difficulty: U256,
    /// The hash of the parent's ommers, or whether it has any: `0x00` or `0x01`.
    parent_uncles: Option<U256>,
    current_timestamp: U256,
    current_block_number: U256,
    current_difficulty: U256,
}

/// The rules that a file of cases without forks is about, by its name; `None` for networks that
/// we do not know.
pub(crate) fn network_of(file: &str) -> Option<&'static str> {
    match file.rsplit('/').next().unwrap_or(file) {
        "difficulty.json" | "difficultyMainNetwork.json" | "difficultyCustomMainNetwork.json" => {
            Some(MAINNET)
        }
        "difficultyCustomHomestead.json" => Some("Homestead"),
        _ => None,
    }
}

impl DifficultyTest {
    /// Runs the case on a network, of which `mainnet` is the only one that is not a fork.
    pub(crate) fn run(&self, network: &str) -> Result<(), String> {
        let chain = match network {
            MAINNET => ChainSpec::mainnet(),
            fork => {
                let rules = network::rules(fork, &Default::default());
                rules.map_err(|error| error.to_string())?.before_merge
            }
        };
        let fits = |what: &str, value: U256| {
            u64::try_from(value).map_err(|_| format!("{what} {value} is too large"))
        };
        let number = fits("number", self.current_block_number)?;
        let timestamp = fits("timestamp", self.current_timestamp)?;
        let none = |ommers: U256| ommers.is_zero() || B256::from(ommers) == EMPTY_OMMER_ROOT_HASH;
        let ommers_hash = match self.parent_uncles.is_none_or(none) {
            true => EMPTY_OMMER_ROOT_HASH,
            false => B256::ZERO,
        };
        let parent = Header {
            number: number.checked_sub(1).ok_or("the genesis has no parent")?,
            timestamp: fits("timestamp", self.parent_timestamp)?,
            difficulty: self.parent_difficulty,
            ommers_hash,
            ..Header::default()
        };
        let found = next_difficulty(&chain, number, timestamp, &parent);
        match found == self.current_difficulty {
            true => Ok(()),
            false => Err(format!("expected {}, got {found}", self.current_difficulty)),
        }
    }
}
