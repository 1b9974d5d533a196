//! Which block is meant: a tag, a number, a hash, or an object as in EIP-1898.

use super::hex::{Fixed, Hex, Quantity};
use alloy_primitives::B256;
use core::fmt;
use serde::{Deserialize, Deserializer, de};

/// A block of the chain by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Earliest,
    Finalized,
    Safe,
    Latest,
    Pending,
}

impl Tag {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "earliest" => Some(Self::Earliest),
            "finalized" => Some(Self::Finalized),
            "safe" => Some(Self::Safe),
            "latest" => Some(Self::Latest),
            "pending" => Some(Self::Pending),
            _ => None,
        }
    }
}

/// Which block is meant. Deserializes from `"latest"`, `"0x1f"`, a hash of 32 bytes,
/// `{"blockNumber": …}` and `{"blockHash": …, "requireCanonical": …}` (EIP-1898).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockId {
    Tag(Tag),
    Number(u64),
    /// In the chain or beside it.
    Hash(B256),
    /// In the chain, or else an error.
    Canonical(B256),
}

impl Default for BlockId {
    fn default() -> Self {
        Self::Tag(Tag::Latest)
    }
}

impl BlockId {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(tag) = Tag::parse(text) {
            return Ok(Self::Tag(tag));
        }
        if text.len() == 66 {
            return B256::parse(text).map(Self::Hash);
        }
        let Quantity(number) = Quantity::parse(text)?;
        if i64::try_from(number).is_err() {
            return Err("block number larger than int64".to_owned());
        }
        Ok(Self::Number(number))
    }
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = BlockId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block tag, a block number or a block hash in hex, or an object")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BlockId, E> {
                BlockId::parse(text).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<BlockId, A::Error> {
                let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match (object.block_number, object.block_hash) {
                    (Some(_), Some(_)) => Err(de::Error::custom(
                        "cannot specify both BlockHash and BlockNumber, choose one or the other",
                    )),
                    (Some(number), None) => match number {
                        BlockId::Hash(_) | BlockId::Canonical(_) => {
                            Err(de::Error::custom("hex number > 64 bits"))
                        }
                        number => Ok(number),
                    },
                    (None, Some(hash)) if object.require_canonical => {
                        Ok(BlockId::Canonical(hash.0))
                    }
                    (None, Some(hash)) => Ok(BlockId::Hash(hash.0)),
                    (None, None) => Err(de::Error::custom("blockHash or blockNumber is needed")),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The object of EIP-1898.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    block_number: Option<BlockId>,
    block_hash: Option<Hex<B256>>,
    #[serde(default)]
    require_canonical: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BlockId, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_name_a_block() {
        let hash = B256::repeat_byte(0x11);
        assert_eq!(read("\"safe\""), Ok(BlockId::Tag(Tag::Safe)));
        assert_eq!(read("\"0x1f\""), Ok(BlockId::Number(31)));
        assert_eq!(read(&format!("\"{hash}\"")), Ok(BlockId::Hash(hash)));
        assert_eq!(read("{\"blockNumber\":\"0x1\"}"), Ok(BlockId::Number(1)));
        for (canonical, id) in [(true, BlockId::Canonical(hash)), (false, BlockId::Hash(hash))] {
            let object = format!("{{\"blockHash\":\"{hash}\",\"requireCanonical\":{canonical}}}");
            assert_eq!(read(&object), Ok(id));
        }
        assert_eq!(read(&format!("{{\"blockHash\":\"{hash}\"}}")), Ok(BlockId::Hash(hash)));
    }

    #[test]
    fn everything_else_is_refused() {
        let both = format!("{{\"blockHash\":\"{}\",\"blockNumber\":\"0x1\"}}", B256::ZERO);
        for (text, problem) in [
            ("\"2\"", "without 0x prefix"),
            ("\"0x02\"", "leading zero"),
            ("\"Latest\"", "without 0x prefix"),
            ("\"0xffffffffffffffff\"", "int64"),
            ("2", "expected a block tag"),
            ("{}", "is needed"),
            (&both, "choose one"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
