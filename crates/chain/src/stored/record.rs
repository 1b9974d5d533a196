//! What a database says about the chain that it holds, beside its genesis block: what it takes to
//! open it without the genesis file.

use crate::ChainError;
use alloy_consensus::Header;
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, U256, map::AddressMap};
use serde::{Deserialize, Serialize, Serializer};
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
    #[serde(serialize_with = "serialize_config")]
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

    /// The rules that `given` has otherwise, by name, for a chain that has come to a head with a
    /// total difficulty. What is no rule of Warpline's does not count.
    ///
    /// # Errors
    /// A configuration cannot be written as JSON.
    pub fn differences(
        &self,
        given: &ChainConfig,
        head: (&Header, U256),
    ) -> Result<Vec<Difference>, ChainError> {
        let fields = |config| RuleFields::new(config).map_err(ChainError::Config);
        let configs = [fields(&self.config)?, fields(given)?];
        let names: BTreeSet<_> = configs.iter().flat_map(|config| config.0.keys()).collect();
        let [kept, given] = &configs;
        let different = names.into_iter().filter(|name| kept.0.get(*name) != given.0.get(*name));
        let difference = |name: &String| Difference {
            field: name.clone(),
            kept: kept.0.get(name).cloned(),
            given: given.0.get(name).cloned(),
            followed: is_followed(name, &configs, head),
        };
        Ok(different.map(difference).collect())
    }

    /// Keeps another configuration in the database from now on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn amend(self, storage: &Storage, config: ChainConfig) -> Result<(), ChainError> {
        let amended = Self { config, ..self };
        Ok(storage.describe(&amended.to_bytes()?)?)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ChainError> {
        serde_json::to_vec(self).map_err(ChainError::Config)
    }
}

/// A rule that two configurations have otherwise, as JSON: none where it is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Name of the field.
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
        write!(f, "`{}` is {kept} in the database and {given} in what is given", self.field)
    }
}

const TOTAL_DIFFICULTY: &str = "terminalTotalDifficulty";

/// A configuration with its total difficulty as text: as a number it would not come back from JSON
/// beyond 64 bits.
#[derive(Serialize)]
struct ConfigWithText {
    #[serde(flatten)]
    config: ChainConfig,
    #[serde(rename = "terminalTotalDifficulty", skip_serializing_if = "Option::is_none")]
    difficulty: Option<String>,
}

impl ConfigWithText {
    fn new(config: &ChainConfig) -> Self {
        let difficulty = config.terminal_total_difficulty.map(|difficulty| difficulty.to_string());
        let config = ChainConfig { terminal_total_difficulty: None, ..config.clone() };
        Self { config, difficulty }
    }
}

fn serialize_config<S: Serializer>(config: &ChainConfig, serializer: S) -> Result<S::Ok, S::Error> {
    ConfigWithText::new(config).serialize(serializer)
}

/// The fields that Warpline's rules follow from, with those written out that follow from others.
struct RuleFields(Map<String, Value>);

impl RuleFields {
    fn new(config: &ChainConfig) -> Result<Self, serde_json::Error> {
        let rules = ChainConfig {
            petersburg_block: config.petersburg_block.or(config.constantinople_block),
            eip155_block: None,
            eip158_block: config.eip158_block.or(config.eip155_block),
            dao_fork_block: config.dao_fork_block.filter(|_| config.dao_fork_support),
            dao_fork_support: false,
            merge_netsplit_block: None,
            bogota_time: None,
            terminal_total_difficulty_passed: false,
            ethash: None,
            clique: None,
            parlia: None,
            extra_fields: Default::default(),
            ..config.clone()
        };
        let fields = serde_json::to_value(ConfigWithText::new(&rules))?;
        Ok(Self(fields.as_object().cloned().unwrap_or_default()))
    }

    fn has_passed(&self, time: &str, head: &Header) -> bool {
        self.0.get(time).and_then(Value::as_u64).is_some_and(|at| at <= head.timestamp)
    }

    fn has_reached(&self, block: &str, head: &Header) -> bool {
        self.0.get(block).and_then(Value::as_u64).is_some_and(|at| at <= head.number)
    }

    /// The total difficulty at which the merge comes. Where none is given, forks by time say that
    /// the chain never was anything but merged.
    fn merge_at(&self) -> Option<U256> {
        match self.0.get(TOTAL_DIFFICULTY) {
            Some(difficulty) => difficulty.as_str().and_then(|text| text.parse().ok()),
            None => self.0.get("shanghaiTime").map(|_| U256::ZERO),
        }
    }
}

/// Whether blocks up to the head follow what two configurations say otherwise under a name. No
/// block follows anything as long as there is only the genesis block, whose hash is compared.
fn is_followed(name: &str, configs: &[RuleFields; 2], (head, total): (&Header, U256)) -> bool {
    let either = |follows: &dyn Fn(&RuleFields) -> bool| configs.iter().any(follows);
    let [merge, other] = configs.each_ref().map(RuleFields::merge_at);
    let merged = [merge, other].into_iter().flatten().any(|at| at <= total);
    match name {
        "chainId" => true,
        _ if head.number == 0 => false,
        TOTAL_DIFFICULTY => merge != other && merged,
        "shanghaiTime" if merge != other && merged => true,
        "depositContractAddress" => either(&|config| config.has_passed("pragueTime", head)),
        "blobSchedule" => {
            let of = |config: &RuleFields, fork: &str| {
                config.0.get(name).and_then(|schedule| schedule.get(fork)).cloned()
            };
            let schedules = configs.iter().filter_map(|config| config.0.get(name)?.as_object());
            schedules.flat_map(Map::keys).any(|fork| {
                let [kept, given] = configs.each_ref().map(|config| of(config, fork));
                kept != given && either(&|config| config.has_passed(&format!("{fork}Time"), head))
            })
        }
        _ if name.ends_with("Time") => either(&|config| config.has_passed(name, head)),
        _ => either(&|config| config.has_reached(name, head)),
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

    fn config(fields: Value) -> ChainConfig {
        let mut all = serde_json::json!({ "chainId": 7 });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    /// The fields that a chain at block 100, time 1,000 and a total difficulty of 500 may not take
    /// over and those that it may, when `kept` is its configuration.
    fn sorted(kept: Value, given: Value) -> (Vec<String>, Vec<String>) {
        let record = ChainRecord::new(config(kept), &AddressMap::default());
        let head = Header { number: 100, timestamp: 1_000, ..Header::default() };
        let all = record.differences(&config(given), (&head, U256::from(500))).unwrap();
        let (followed, to_come): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.followed);
        let names = |of: Vec<Difference>| of.into_iter().map(|one| one.field).collect();
        (names(followed), names(to_come))
    }

    #[test]
    fn only_what_no_block_follows_may_change() {
        let none = Vec::<String>::new;
        let json = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        let cases = [
            (r#"{"londonBlock": 101}"#, "{}", false, "londonBlock"),
            (r#"{"londonBlock": 100}"#, "{}", true, "londonBlock"),
            (r#"{"londonBlock": 102}"#, r#"{"londonBlock": 100}"#, true, "londonBlock"),
            (r#"{"bpo1Time": 1001}"#, r#"{"bpo1Time": 5000}"#, false, "bpo1Time"),
            (r#"{"bpo1Time": 1000}"#, r#"{"bpo1Time": 5000}"#, true, "bpo1Time"),
            (r#"{"bpo1Time": 5000}"#, "{}", false, "bpo1Time"),
            // Where nothing is said, Petersburg comes with Constantinople, EIP-158 with EIP-155.
            (
                r#"{"constantinopleBlock": 0}"#,
                r#"{"constantinopleBlock": 0, "petersburgBlock": 200}"#,
                true,
                "petersburgBlock",
            ),
            (
                r#"{"eip155Block": 0}"#,
                r#"{"eip155Block": 0, "eip158Block": 200}"#,
                true,
                "eip158Block",
            ),
            ("{}", r#"{"daoForkBlock": 200, "daoForkSupport": true}"#, false, "daoForkBlock"),
            (
                r#"{"daoForkBlock": 50}"#,
                r#"{"daoForkBlock": 50, "daoForkSupport": true}"#,
                true,
                "daoForkBlock",
            ),
            ("{}", r#"{"terminalTotalDifficulty": 501}"#, false, "terminalTotalDifficulty"),
            ("{}", r#"{"terminalTotalDifficulty": 500}"#, true, "terminalTotalDifficulty"),
            // Forks by time alone are those of a chain that was merged from the beginning.
            ("{}", r#"{"shanghaiTime": 5000}"#, true, "shanghaiTime"),
            (r#"{"shanghaiTime": 5000}"#, r#"{"shanghaiTime": 6000}"#, false, "shanghaiTime"),
            ("{}", r#"{"chainId": 8}"#, true, "chainId"),
        ];
        for (kept, given, followed, name) in cases {
            let one = vec![name.to_owned()];
            let expected = if followed { (one, none()) } else { (none(), one) };
            assert_eq!(sorted(json(kept), json(given)), expected, "{kept} and {given}");
            assert_eq!(sorted(json(given), json(kept)), expected, "{given} and {kept}");
            assert_eq!(sorted(json(kept), json(kept)), (none(), none()));
        }
    }

    #[test]
    fn what_is_said_without_being_a_rule_does_not_count() {
        let same = [
            r#"{"constantinopleBlock": 5}"#,
            r#"{"constantinopleBlock": 5, "petersburgBlock": 5}"#,
            r#"{"constantinopleBlock": 5, "terminalTotalDifficultyPassed": true}"#,
            r#"{"constantinopleBlock": 5, "ethash": {}, "verkleBlock": null, "fooTime": "0x1"}"#,
            r#"{"constantinopleBlock": 5, "mergeNetsplitBlock": 20, "daoForkBlock": 3}"#,
        ];
        for (kept, given) in same.iter().flat_map(|kept| same.map(|given| (*kept, given))) {
            let json = |json: &str| serde_json::from_str(json).unwrap();
            assert_eq!(sorted(json(kept), json(given)), (vec![], vec![]), "{kept} and {given}");
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
    fn a_chain_of_nothing_but_its_genesis_block_follows_nothing_yet() {
        let kept = config(serde_json::json!({ "londonBlock": 0, "terminalTotalDifficulty": 0 }));
        let record = ChainRecord::new(kept, &AddressMap::default());
        let given = config(serde_json::json!({ "londonBlock": 9, "shanghaiTime": 0 }));
        let all = record.differences(&given, (&Header::default(), U256::ZERO)).unwrap();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|one| !one.followed));
    }

    #[test]
    fn a_total_difficulty_of_any_size_comes_back() {
        for difficulty in [0, 1 << 63, (1 << 64) + 1, 100_000_000_000_000_000_000, u128::MAX] {
            let given = serde_json::json!({ "terminalTotalDifficulty": difficulty.to_string() });
            let record = ChainRecord::new(config(given), &AddressMap::default());
            assert_eq!(record.config.terminal_total_difficulty, Some(U256::from(difficulty)));
            let read: ChainRecord = serde_json::from_slice(&record.to_bytes().unwrap()).unwrap();
            assert_eq!(read, record);
            assert_eq!(
                record.differences(&read.config, (&Header::default(), U256::ZERO)).unwrap(),
                []
            );
        }
    }
}
