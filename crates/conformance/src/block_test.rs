//! Blockchain tests: a genesis and blocks, valid and not, as RLP.

use crate::json::{Accounts, ConfigJson, Dropped};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use serde::Deserialize;

/// One fixture.
#[derive(Debug)]
pub(crate) struct BlockTest {
    pub(crate) network: String,
    pub(crate) config: ConfigJson,
    pub(crate) pre: Accounts,
    pub(crate) genesis: Header,
    pub(crate) blocks: Vec<BlockJson>,
    pub(crate) end: End,
}

impl BlockTest {
    /// Whether headers have slot numbers, after a transition if not from the start.
    pub(crate) fn has_slot_numbers(&self) -> bool {
        self.genesis.slot_number.is_some()
            || self.network.contains("To")
                && self.blocks.iter().filter_map(BlockJson::decode_header).any(has_slot_number)
    }
}

fn has_slot_number(header: Header) -> bool {
    header.slot_number.is_some()
}

/// What is expected at the end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) last_block_hash: B256,
    pub(crate) post_state: Option<Accounts>,
    pub(crate) post_state_hash: Option<B256>,
}

/// What must become of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected<'a> {
    Accepted,
    /// With the reason, where the fixture names one.
    Rejected(Option<&'a str>),
}

/// One block.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockJson {
    pub(crate) rlp: Bytes,
    #[serde(rename = "expectException")]
    expect: Option<String>,
    #[serde(rename = "expectExceptionALL")]
    expect_all: Option<String>,
    #[serde(rename = "expectExceptionFrontier")]
    expect_frontier: Option<String>,
    #[serde(rename = "expectExceptionHomestead")]
    expect_homestead: Option<String>,
    #[serde(rename = "expectExceptionEIP150")]
    expect_eip150: Option<String>,
    #[serde(rename = "expectExceptionEIP158")]
    expect_eip158: Option<String>,
    #[serde(rename = "expectExceptionByzantium")]
    expect_byzantium: Option<String>,
    #[serde(rename = "expectExceptionConstantinople")]
    expect_constantinople: Option<String>,
    #[serde(rename = "expectExceptionConstantinopleFix")]
    expect_constantinople_fix: Option<String>,
    #[serde(rename = "expectExceptionIstanbul")]
    expect_istanbul: Option<String>,
    /// The block decoded, which only a valid block always is.
    #[serde(rename = "blockHeader")]
    header: Option<Dropped>,
    #[serde(default, rename = "blockAccessList")]
    _access_list: Dropped,
    #[serde(default, rename = "blocknumber")]
    _number: Dropped,
    #[serde(default, rename = "chainname")]
    _chain: Dropped,
    #[serde(default, rename = "hasBigInt")]
    _big: Dropped,
    #[serde(default, rename = "receipts")]
    _receipts: Dropped,
    #[serde(default, rename = "rlp_decoded")]
    _decoded: Dropped,
    #[serde(default, rename = "transactionSequence")]
    _sequence: Dropped,
    #[serde(default, rename = "transactions")]
    _transactions: Dropped,
    #[serde(default, rename = "uncleHeaders")]
    _ommers: Dropped,
    #[serde(default, rename = "withdrawals")]
    _withdrawals: Dropped,
}

impl BlockJson {
    /// The header, where the bytes begin with one.
    fn decode_header(&self) -> Option<Header> {
        let mut block = &self.rlp[..];
        let mut fields = alloy_rlp::Header::decode_bytes(&mut block, true).ok()?;
        Header::decode(&mut fields).ok()
    }

    /// What must become of the block on a network.
    pub(crate) fn expected(&self, network: &str) -> Expected<'_> {
        match self.exception(network) {
            Some(exception) => Expected::Rejected(Some(exception)),
            None if self.header.is_none() => Expected::Rejected(None),
            None => Expected::Accepted,
        }
    }

    fn exception(&self, network: &str) -> Option<&str> {
        let of_network = match network {
            "Frontier" => &self.expect_frontier,
            "Homestead" => &self.expect_homestead,
            "EIP150" => &self.expect_eip150,
            "EIP158" => &self.expect_eip158,
            "Byzantium" => &self.expect_byzantium,
            "Constantinople" => &self.expect_constantinople,
            "ConstantinopleFix" => &self.expect_constantinople_fix,
            "Istanbul" => &self.expect_istanbul,
            _ => &None,
        };
        self.expect.as_deref().or(self.expect_all.as_deref()).or(of_network.as_deref())
    }
}
