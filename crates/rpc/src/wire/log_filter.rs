//! Which logs are meant, as in `eth_getLogs`, `eth_newFilter` and `eth_subscribe`.

use super::{block_id::BlockId, hex::Hex};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};
use serde::{Deserialize, Deserializer, de::Error};

/// Most addresses of a filter, and most alternatives for one topic, as in geth.
const MAX_ALTERNATIVES: usize = 1000;
/// A log has no more topics.
const MAX_TOPICS: usize = 4;

/// Logs by emitter and topics.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogFilter {
    /// Any of them; all where there is none.
    addresses: Vec<Address>,
    /// By position: any of them; all where there is none.
    topics: Vec<Vec<B256>>,
    /// For each of the above that asks for something, what the bloom filter of a block has to
    /// contain, by alternative.
    blooms: Vec<Vec<Bloom>>,
}

impl LogFilter {
    fn new(addresses: Vec<Address>, topics: Vec<Vec<B256>>) -> Result<Self, &'static str> {
        if addresses.len() > MAX_ALTERNATIVES {
            return Err("exceed max addresses");
        }
        if topics.len() > MAX_TOPICS || topics.iter().any(|any| any.len() > MAX_ALTERNATIVES) {
            return Err("exceed max topics");
        }
        let bloom = |bytes: &[u8]| {
            let mut bloom = Bloom::ZERO;
            bloom.accrue(BloomInput::Raw(bytes));
            bloom
        };
        let of_addresses = addresses.iter().map(|address| bloom(address.as_slice())).collect();
        let of_topics = topics.iter().map(|any| any.iter().map(|t| bloom(t.as_slice())).collect());
        let blooms: Vec<Vec<Bloom>> = core::iter::once(of_addresses).chain(of_topics).collect();
        let blooms = blooms.into_iter().filter(|any| !any.is_empty()).collect();
        Ok(Self { addresses, topics, blooms })
    }

    /// Whether a block with this bloom filter may have such logs.
    pub(crate) fn may_be_in(&self, block: &Bloom) -> bool {
        self.blooms.iter().all(|any| any.iter().any(|bloom| block.contains(bloom)))
    }

    /// Whether a log is such a log.
    pub(crate) fn matches(&self, log: &Log) -> bool {
        let topics = log.data.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(any, topic)| any.is_empty() || any.contains(topic))
    }
}

/// In which blocks logs are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    Block(B256),
    Blocks { from: Option<BlockId>, to: Option<BlockId> },
}

/// Logs and the blocks to look for them.
#[derive(Debug, Clone)]
pub(crate) struct LogQuery {
    pub(crate) filter: LogFilter,
    pub(crate) range: Range,
}

impl Default for LogQuery {
    fn default() -> Self {
        let range = Range::Blocks { from: None, to: None };
        Self { filter: LogFilter::default(), range }
    }
}

impl<'de> Deserialize<'de> for LogQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object { from_block: from, to_block: to, block_hash, address, topics } =
            Object::deserialize(deserializer)?;
        let range = match block_hash {
            None => Range::Blocks { from, to },
            Some(_) if from.is_some() || to.is_some() => {
                let words =
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
                return Err(D::Error::custom(words));
            }
            Some(hash) => Range::Block(hash.0),
        };
        let addresses = match address {
            None => Vec::new(),
            Some(Addresses::One(address)) => vec![address.0],
            Some(Addresses::Any(addresses)) => addresses.iter().map(|hex| hex.0).collect(),
        };
        let topics = topics.unwrap_or_default().into_iter().map(|topic| match topic {
            None => Vec::new(),
            Some(Topic::One(topic)) => vec![topic.0],
            // With `null` among them everything will do.
            Some(Topic::Any(any)) if any.contains(&None) => Vec::new(),
            Some(Topic::Any(any)) => any.into_iter().flatten().map(|hex| hex.0).collect(),
        });
        let filter = LogFilter::new(addresses, topics.collect()).map_err(D::Error::custom)?;
        Ok(Self { filter, range })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    from_block: Option<BlockId>,
    to_block: Option<BlockId>,
    block_hash: Option<Hex<B256>>,
    address: Option<Addresses>,
    topics: Option<Vec<Option<Topic>>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "invalid address: neither an address nor a list of addresses")]
enum Addresses {
    One(Hex<Address>),
    Any(Vec<Hex<Address>>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "invalid topic(s)")]
enum Topic {
    One(Hex<B256>),
    Any(Vec<Option<Hex<B256>>>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, address};
    use serde_json::json;

    const A: Address = address!("0x00000000000000000000000000000000000000aa");
    const B: Address = address!("0x00000000000000000000000000000000000000bb");

    fn topic(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn read(object: serde_json::Value) -> Result<LogQuery, String> {
        serde_json::from_value(object).map_err(|error| error.to_string())
    }

    fn log(address: Address, topics: &[u8]) -> Log {
        let topics = topics.iter().map(|byte| topic(*byte)).collect();
        Log::new_unchecked(address, topics, Bytes::new())
    }

    #[test]
    fn topics_are_told_by_position() {
        let filter = read(json!({
            "address": [A, B], "topics": [topic(1), null, [topic(3), topic(4)]],
        }));
        let filter = filter.unwrap().filter;
        assert!(filter.matches(&log(A, &[1, 9, 3])) && filter.matches(&log(B, &[1, 9, 4, 7])));
        assert!(!filter.matches(&log(A, &[1, 9])), "too few topics");
        assert!(!filter.matches(&log(A, &[2, 9, 3])) && !filter.matches(&log(A, &[1, 9, 5])));
        assert!(!filter.matches(&log(Address::ZERO, &[1, 9, 3])));
        assert!(LogFilter::default().matches(&log(A, &[])));
    }

    #[test]
    fn a_bloom_filter_never_hides_a_log() {
        let filter =
            read(json!({ "address": A, "topics": [[topic(1), topic(2)]] })).unwrap().filter;
        let bloom = |logs: &[Log]| logs.iter().collect::<Bloom>();
        assert!(filter.may_be_in(&bloom(&[log(B, &[9]), log(A, &[2])])));
        assert!(!filter.may_be_in(&bloom(&[log(B, &[1])])) && !filter.may_be_in(&Bloom::ZERO));
        assert!(LogFilter::default().may_be_in(&Bloom::ZERO));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let hash = topic(7);
        let many = vec![A; 1001];
        for (object, problem) in [
            (json!({ "blockHash": hash, "fromBlock": "0x1" }), "choose one"),
            (json!({ "address": "0x12" }), "invalid address"),
            (json!({ "topics": ["0x12"] }), "invalid topic"),
            (json!({ "topics": [null, null, null, null, null] }), "exceed max topics"),
            (json!({ "address": many }), "exceed max addresses"),
            (json!({ "fromBlock": "1" }), "without 0x prefix"),
        ] {
            let error = read(object).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        let wildcard = read(json!({ "topics": [[topic(1), null]] })).unwrap().filter;
        assert!(wildcard.matches(&log(A, &[5])));
    }
}
