//! What a database says about the chain that it holds, beside its genesis block: what it takes to
//! open it without the genesis file.

use crate::ChainError;
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, U256, map::AddressMap};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ChainError> {
        serde_json::to_vec(self).map_err(ChainError::Record)
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
}
