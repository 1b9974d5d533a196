//! The shapes that all fixture formats share.

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U64, U256};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};
use warpline_chain::MemoryState;

/// Accounts by address: `pre`, `postState`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Accounts(
    #[serde(deserialize_with = "unique")] pub(crate) BTreeMap<Address, AccountJson>,
);

/// An account with its whole storage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountJson {
    pub(crate) balance: U256,
    pub(crate) nonce: U64,
    pub(crate) code: Bytes,
    #[serde(deserialize_with = "unique")]
    pub(crate) storage: BTreeMap<U256, U256>,
}

impl Accounts {
    pub(crate) fn to_state(&self) -> MemoryState {
        let mut state = MemoryState::default();
        for (address, account) in &self.0 {
            let storage = account.storage.iter().map(|(slot, value)| (*slot, *value)).collect();
            let nonce = account.nonce.to();
            state.insert(*address, account.balance, nonce, account.code.clone(), storage);
        }
        state
    }
}

/// A map in which no key is written twice, in whatever way.
pub(crate) fn unique<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    struct Unique<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for Unique<K, V>
    where
        K: Deserialize<'de> + Ord + fmt::Debug,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = entries.next_key::<K>()? {
                if map.contains_key(&key) {
                    return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
                }
                map.insert(key, entries.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Unique(PhantomData))
}

/// A number that may be too large for the protocol: `0x:bigint 0x1…` does not fit into 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Fits(U256),
    TooBig,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let Some(big) = text.strip_prefix("0x:bigint ") else {
            return text.parse().map(Self::Fits).map_err(|_| {
                de::Error::invalid_value(de::Unexpected::Str(&text), &"a hexadecimal number")
            });
        };
        let digits = big.strip_prefix("0x").unwrap_or(big).trim_start_matches('0');
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match U256::from_str_radix(if digits.is_empty() { "0" } else { digits }, 16) {
            Ok(value) => Ok(Self::Fits(value)),
            Err(_) if hexadecimal => Ok(Self::TooBig),
            Err(_) => Err(de::Error::invalid_value(de::Unexpected::Str(&text), &"a bigint")),
        }
    }
}

/// `config`: what differs from the defaults of the network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigJson {
    #[serde(default)]
    pub(crate) chainid: Option<U64>,
    #[serde(default, rename = "blobSchedule", deserialize_with = "unique")]
    pub(crate) blob_schedule: BTreeMap<String, BlobJson>,
    #[serde(default, rename = "network")]
    pub(crate) _network: Dropped,
}

/// Blob parameters of one fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobJson {
    pub(crate) target: U64,
    pub(crate) max: U64,
    #[serde(rename = "baseFeeUpdateFraction")]
    pub(crate) base_fee_update_fraction: U64,
}

/// A decoded header.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeaderJson {
    parent_hash: B256,
    uncle_hash: B256,
    coinbase: Address,
    state_root: B256,
    transactions_trie: B256,
    receipt_trie: B256,
    bloom: Bloom,
    difficulty: U256,
    number: U64,
    gas_limit: U64,
    gas_used: U64,
    timestamp: U64,
    extra_data: Bytes,
    mix_hash: B256,
    nonce: B64,
    base_fee_per_gas: Option<U64>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<U64>,
    excess_blob_gas: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
    block_access_list_hash: Option<B256>,
    slot_number: Option<U64>,
    #[serde(default, rename = "hash")]
    _hash: Dropped,
}

impl HeaderJson {
    pub(crate) fn into_header(self) -> Header {
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: self.uncle_hash,
            beneficiary: self.coinbase,
            state_root: self.state_root,
            transactions_root: self.transactions_trie,
            receipts_root: self.receipt_trie,
            logs_bloom: self.bloom,
            difficulty: self.difficulty,
            number: self.number.to(),
            gas_limit: self.gas_limit.to(),
            gas_used: self.gas_used.to(),
            timestamp: self.timestamp.to(),
            extra_data: self.extra_data,
            mix_hash: self.mix_hash,
            nonce: self.nonce,
            base_fee_per_gas: self.base_fee_per_gas.map(|fee| fee.to()),
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: self.blob_gas_used.map(|gas| gas.to()),
            excess_blob_gas: self.excess_blob_gas.map(|gas| gas.to()),
            parent_beacon_block_root: self.parent_beacon_block_root,
            requests_hash: self.requests_hash,
            block_access_list_hash: self.block_access_list_hash,
            slot_number: self.slot_number.map(|slot| slot.to()),
        }
    }
}

/// Accepts and drops a value that repeats what another field says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dropped(PhantomData<()>);

impl<'de> Deserialize<'de> for Dropped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_256_bits_are_too_big() {
        let parse = |text: &str| serde_json::from_str::<Number>(&format!("\"{text}\"")).ok();
        assert_eq!(parse("0x10"), Some(Number::Fits(U256::from(16))));
        assert_eq!(parse("0x"), Some(Number::Fits(U256::ZERO)));
        assert_eq!(parse("0x:bigint 0x0001"), Some(Number::Fits(U256::from(1))));
        let big = format!("0x:bigint 0x1{}", "0".repeat(64));
        assert_eq!(parse(&big), Some(Number::TooBig));
        assert_eq!(parse("0x:bigint 0xzz"), None);
        assert_eq!(parse("zz"), None);
    }
}
