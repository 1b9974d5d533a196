//! The shapes of answers, and the block in them.

use crate::{Client, Fault, Rules};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Block, BlockTransactions};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use warpline_fixture::{BlockFixture, BlockTransaction, Manifest, PreState};

/// What one transaction reads, by the `prestateTracer`. The values are not needed: of an account
/// that the block changes they may be those in its middle.
#[derive(Debug, Deserialize)]
pub(crate) struct Traced {
    pub(crate) result: BTreeMap<Address, TracedAccount>,
}

/// The slots that it reads of an account.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TracedAccount {
    #[serde(default)]
    pub(crate) storage: BTreeMap<B256, B256>,
}

/// The answer of `debug_executionWitness`. The keys are not needed: the state asks for what it
/// wants.
#[derive(Debug, Deserialize)]
pub(crate) struct WitnessAnswer {
    #[serde(deserialize_with = "list_or_map")]
    pub(crate) state: Vec<Bytes>,
    #[serde(default, deserialize_with = "list_or_map")]
    pub(crate) codes: Vec<Bytes>,
}

/// A list, or (as reth used to write it) a map by hash.
fn list_or_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Bytes>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrMap {
        List(Vec<Bytes>),
        Map(BTreeMap<B256, Bytes>),
        Null(()),
    }
    Ok(match ListOrMap::deserialize(deserializer)? {
        ListOrMap::List(list) => list,
        ListOrMap::Map(map) => map.into_values().collect(),
        ListOrMap::Null(()) => Vec::new(),
    })
}

/// How a block is named in requests.
pub(crate) fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

/// Asks for a block with its transactions and the headers of its ommers. The pre-state is empty.
pub(crate) fn fetch_block(
    client: &Client,
    number: u64,
    rules: &Rules,
) -> Result<BlockFixture, Fault> {
    const METHOD: &str = "eth_getBlockByNumber";
    let block: Option<Block> = client.call(METHOD, json!([quantity(number), true]))?;
    let block = block.ok_or(Fault::NoSuchBlock)?;
    let (claimed, header) = (block.header.hash, block.header.inner);
    if header.number != number {
        let cause = format!("block {number} was asked for, block {} is the answer", header.number);
        return Err(Fault::wrong(METHOD, cause));
    }
    let actual = header.hash_slow();
    if actual != claimed {
        let cause = format!("the hash is said to be {claimed}, but the header hashes to {actual}");
        return Err(Fault::wrong(METHOD, cause));
    }
    let BlockTransactions::Full(answered) = block.transactions else {
        return Err(Fault::wrong(METHOD, "hashes of transactions instead of transactions"));
    };
    let mut transactions: Vec<BlockTransaction> = Vec::with_capacity(answered.len());
    let mut senders = Vec::with_capacity(answered.len());
    for transaction in answered {
        let (transaction, sender) = transaction.inner.into_parts();
        transactions.push(transaction.map_eip4844(Into::into));
        senders.push(sender);
    }
    let mut ommers = Vec::with_capacity(block.uncles.len());
    for (index, hash) in block.uncles.iter().enumerate() {
        const METHOD: &str = "eth_getUncleByBlockHashAndIndex";
        let index = quantity(index as u64);
        let ommer: Option<Block> = client.call(METHOD, json!([claimed, index]))?;
        let ommer =
            ommer.ok_or_else(|| Fault::wrong(METHOD, "an ommer of the block is missing"))?;
        let found = ommer.header.inner.hash_slow();
        if found != *hash {
            return Err(Fault::wrong_hash(METHOD, *hash, found));
        }
        ommers.push(ommer.header.inner);
    }
    Ok(BlockFixture {
        manifest: Manifest { source: client.endpoint(), ..Manifest::default() },
        chain: rules.of_block(&header).chain.clone(),
        hash: Some(claimed),
        header,
        transactions,
        senders,
        ommer_hashes: block.uncles,
        ommers,
        withdrawals: block.withdrawals.map(|list| list.into_inner()),
        pre_state: PreState::default(),
    })
}
