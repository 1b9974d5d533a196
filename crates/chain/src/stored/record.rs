//! What a database says about the chain that it holds, beside its genesis block: what it takes to
//! open it without the genesis file.

use crate::ChainError;
use alloy_consensus::Header;
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, U256, map::AddressMap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use warpline_storage::Storage;

/// The configuration of a chain, as kept with its database: JSON in the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainRecord {
    /// The `config` of the genesis file.
    pub config: ChainConfig,
    /// See [`GenesisBlock::storage_only`](crate::GenesisBlock::storage_only).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    storage_only: BTreeMap<Address, U256>,
}

impl ChainRecord {
    pub(super) fn new(config: ChainConfig, storage_only: &AddressMap<U256>) -> Self {
        let storage_only = storage_only.iter().map(|(address, slot)| (*address, *slot)).collect();
        Self { config, storage_only }
    }

    /// The record of a database; none where it was made without.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(storage: &Storage) -> Result<Option<Self>, ChainError> {
        let Some(record) = storage.description()? else { return Ok(None) };
        serde_json::from_slice(&record).map(Some).map_err(ChainError::Record)
    }

    /// The accounts of the genesis block that have storage and nothing else.
    pub fn storage_only(&self) -> AddressMap<U256> {
        self.storage_only.iter().map(|(address, slot)| (*address, *slot)).collect()
    }

    /// What `given` says otherwise than the kept configuration, by name, for a chain that has come
    /// to `head`. As for geth, what neither of them has blocks up to there follow may change.
    ///
    /// # Errors
    /// A configuration that is no JSON, which none is.
    pub fn differences(
        &self,
        given: &ChainConfig,
        head: &Header,
    ) -> Result<Vec<Difference>, ChainError> {
        let (kept, given) = (Fields::new(&self.config)?, Fields::new(given)?);
        let names: BTreeSet<_> = kept.0.keys().chain(given.0.keys()).collect();
        let different = names.into_iter().filter(|name| kept.0.get(*name) != given.0.get(*name));
        let difference = |name: &String| Difference {
            field: name.clone(),
            kept: kept.0.get(name).cloned(),
            given: given.0.get(name).cloned(),
            followed: [&kept, &given].iter().any(|fields| fields.follow(name, &kept, &given, head)),
        };
        Ok(different.map(difference).collect())
    }

    /// Keeps another configuration in the database from now on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn amend(&mut self, storage: &Storage, config: ChainConfig) -> Result<(), ChainError> {
        self.config = config;
        Ok(storage.describe(&self.to_bytes()?)?)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ChainError> {
        serde_json::to_vec(self).map_err(ChainError::Record)
    }
}

/// A field of the configuration, as JSON: none where it is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub field: String,
    /// What is kept with the chain.
    pub kept: Option<Value>,
    /// What was given.
    pub given: Option<Value>,
    /// Whether blocks up to the head follow the one, or would have followed the other.
    pub followed: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| match value {
            Some(value) => value.to_string(),
            None => "not set".into(),
        };
        let (kept, given) = (shown(&self.kept), shown(&self.given));
        write!(f, "`{}` is {kept} there and {given} in what is given", self.field)
    }
}

/// The fields of a configuration.
struct Fields(Map<String, Value>);

impl Fields {
    fn new(config: &ChainConfig) -> Result<Self, ChainError> {
        match serde_json::to_value(config).map_err(ChainError::Record)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Ok(Self(Map::new())),
        }
    }

    /// Whether a fork by time is scheduled at or before a block.
    fn has_passed(&self, time: &str, head: &Header) -> bool {
        self.0.get(time).and_then(Value::as_u64).is_some_and(|at| at <= head.timestamp)
    }

    /// Whether a block up to `head` follows what these fields, one of two configurations that
    /// differ, say under a name.
    fn follow(&self, name: &str, kept: &Self, given: &Self, head: &Header) -> bool {
        let value = self.0.get(name);
        match name {
            // Where no total difficulty ends the blocks before the merge, this fork does.
            "shanghaiTime" if !self.0.contains_key("terminalTotalDifficulty") => true,
            "depositContractAddress" => self.has_passed("pragueTime", head),
            "blobSchedule" => {
                let of = |fields: &Self, fork: &str| {
                    fields.0.get(name).and_then(|schedule| schedule.get(fork)).cloned()
                };
                let forks = value.and_then(Value::as_object);
                let mut forks = forks.into_iter().flat_map(Map::keys);
                forks.any(|fork| {
                    let changed = of(kept, fork) != of(given, fork);
                    changed && self.has_passed(&format!("{fork}Time"), head)
                })
            }
            _ if name.ends_with("Time") => self.has_passed(name, head),
            _ if name.ends_with("Block") => match value {
                Some(at) => at.as_u64().is_none_or(|at| at <= head.number),
                None => false,
            },
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        let config: ChainConfig = serde_json::from_value(serde_json::json!({
            "chainId": 1, "homesteadBlock": 5, "daoForkSupport": true,
            "terminalTotalDifficulty": "58750000000000000000000",
            "terminalTotalDifficultyPassed": true, "shanghaiTime": 9, "bpo1Time": 10,
            "blobSchedule": { "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 7 } },
            "depositContractAddress": "0x00000000000000000000000000000000000000dd",
            "somethingElse": { "kept": [1, "two"] },
        }))
        .unwrap();
        let storage_only = AddressMap::from_iter([(Address::repeat_byte(7), U256::MAX)]);
        for storage_only in [AddressMap::default(), storage_only] {
            let record = ChainRecord::new(config.clone(), &storage_only);
            let read: ChainRecord = serde_json::from_slice(&record.to_bytes().unwrap()).unwrap();
            assert_eq!(read, record);
            assert_eq!(read.storage_only(), storage_only);
        }
    }

    /// The fields that a chain at block 100 and time 1,000 may not take over and those that it
    /// may, when `kept` is its configuration.
    fn sorted(kept: Value, given: Value) -> (Vec<String>, Vec<String>) {
        let config = |fields: Value| {
            let mut all = serde_json::json!({ "chainId": 7, "terminalTotalDifficulty": 0 });
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value::<ChainConfig>(all).unwrap()
        };
        let record = ChainRecord::new(config(kept), &AddressMap::default());
        let head = Header { number: 100, timestamp: 1_000, ..Header::default() };
        let all = record.differences(&config(given), &head).unwrap();
        let (followed, to_come): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.followed);
        let names = |of: Vec<Difference>| of.into_iter().map(|one| one.field).collect();
        (names(followed), names(to_come))
    }

    #[test]
    fn only_what_no_block_follows_may_change() {
        let none = Vec::<String>::new;
        let one = |name: &str| vec![name.to_owned()];
        let json = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        let cases = [
            (r#"{"londonBlock": 101}"#, "{}", false, "londonBlock"),
            (r#"{"londonBlock": 100}"#, "{}", true, "londonBlock"),
            (r#"{"londonBlock": 102}"#, r#"{"londonBlock": 100}"#, true, "londonBlock"),
            (r#"{"osakaTime": 1001}"#, r#"{"osakaTime": 5000}"#, false, "osakaTime"),
            (r#"{"osakaTime": 1000}"#, r#"{"osakaTime": 5000}"#, true, "osakaTime"),
            (r#"{"osakaTime": 5000}"#, r#"{"osakaTime": 1000}"#, true, "osakaTime"),
            ("{}", r#"{"terminalTotalDifficulty": 9}"#, true, "terminalTotalDifficulty"),
            ("{}", r#"{"chainId": 8}"#, true, "chainId"),
            ("{}", r#"{"somethingElse": 1}"#, true, "somethingElse"),
        ];
        for (kept, given, followed, name) in cases {
            let expected = if followed { (one(name), none()) } else { (none(), one(name)) };
            assert_eq!(sorted(json(kept), json(given)), expected, "{kept} and {given}");
            assert_eq!(sorted(json(given), json(kept)), expected, "{given} and {kept}");
            assert_eq!(sorted(json(kept), json(kept)), (none(), none()));
        }
    }

    #[test]
    fn blobs_and_deposits_may_change_as_long_as_their_fork_may() {
        let config = |prague: u64, max: u64, contract: u8| {
            let blobs = |max: u64| serde_json::json!({ "target": 3, "max": max, "baseFeeUpdateFraction": 5 });
            serde_json::json!({
                "cancunTime": 0, "pragueTime": prague,
                "depositContractAddress": Address::repeat_byte(contract),
                "blobSchedule": { "cancun": blobs(6), "prague": blobs(max) },
            })
        };
        let both = vec!["blobSchedule".to_owned(), "depositContractAddress".to_owned()];
        assert_eq!(sorted(config(2000, 9, 1), config(2000, 8, 2)), (vec![], both.clone()));
        assert_eq!(sorted(config(1000, 9, 1), config(1000, 8, 2)), (both, vec![]));
    }

    #[test]
    fn without_a_total_difficulty_the_merge_comes_with_shanghai() {
        let head = Header::default();
        let config = |json| serde_json::from_value::<ChainConfig>(json).unwrap();
        let kept = config(serde_json::json!({ "chainId": 7 }));
        let record = ChainRecord::new(kept, &AddressMap::default());
        let given = config(serde_json::json!({ "chainId": 7, "shanghaiTime": 5000 }));
        assert!(record.differences(&given, &head).unwrap().iter().all(|one| one.followed));
    }
}
