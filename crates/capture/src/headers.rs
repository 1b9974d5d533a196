//! Headers by their hash, which is checked.

use crate::{Client, Fault};
use alloy_primitives::{B256, map::B256Map};
use alloy_rpc_types_eth::Block;
use parking_lot::Mutex;
use serde_json::json;

const METHOD: &str = "eth_getBlockByHash";

/// How many are kept: what `BLOCKHASH` reaches, for some blocks at a time.
const MOST: usize = 4096;

/// What is known of a block by its header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ancestor {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    pub(crate) state_root: B256,
}

/// Headers that an endpoint has been asked for.
#[derive(Debug, Default)]
pub(crate) struct Headers(Mutex<B256Map<Ancestor>>);

impl Headers {
    /// The header with this hash.
    pub(crate) fn get(&self, client: &Client, hash: B256) -> Result<Ancestor, Fault> {
        if let Some(known) = self.0.lock().get(&hash) {
            return Ok(*known);
        }
        let block: Option<Block> = client.call(METHOD, json!([hash, false]))?;
        let missing =
            || Fault::wrong(METHOD, format!("an ancestor of the block is missing: {hash}"));
        let header = block.ok_or_else(missing)?.header.inner;
        let found = header.hash_slow();
        if found != hash {
            return Err(Fault::wrong_hash(METHOD, hash, found));
        }
        let ancestor = Ancestor {
            number: header.number,
            hash,
            parent_hash: header.parent_hash,
            state_root: header.state_root,
        };
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(hash, ancestor);
        Ok(ancestor)
    }

    /// The hash of the block with this number that `from` descends from, which is older.
    pub(crate) fn hash_of(
        &self,
        client: &Client,
        from: Ancestor,
        number: u64,
    ) -> Result<B256, Fault> {
        let mut at = from;
        while at.number > number.saturating_add(1) {
            at = self.get(client, at.parent_hash)?;
        }
        Ok(if at.number == number { at.hash } else { at.parent_hash })
    }
}
