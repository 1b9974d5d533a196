//! Transactions from callers, signed by themselves.

use super::receipts;
use crate::{Context, RpcError, registry::Registry};
use alloy_primitives::{Bytes, TxHash};
use core::time::Duration;
use serde_json::{json, value::RawValue};
use warpline_node::{Mining, NodeError};
use warpline_txpool::{Added, Origin, PoolError};

/// How long an answer may wait for the block while blocks are made at once, so that whoever looks
/// for the receipt next finds it.
const FOR_THE_BLOCK: Duration = Duration::from_millis(500);

/// How many transactions may wait for that to be worth while.
const FEW: usize = 64;

/// How long `eth_sendRawTransactionSync` waits where the caller does not say (EIP-7966).
const SYNC_DEFAULT: Duration = Duration::from_secs(2);
const SYNC_MOST: Duration = Duration::from_secs(60);

pub(super) fn register(registry: &mut Registry) {
    registry.waiting("eth_sendRawTransaction", |context, args| {
        let raw: Bytes = args.required("input")?;
        let added = added(context.node.submit(&raw, Origin::Local))?;
        Ok(settled(context, added))
    });
    registry.waiting("eth_sendRawTransactionSync", |context, args| {
        let raw: Bytes = args.required("input")?;
        let timeout: Option<u64> = args.optional("timeout")?;
        let wait = timeout.map_or(SYNC_DEFAULT, Duration::from_millis).min(SYNC_MOST);
        let added = added(context.node.submit(&raw, Origin::Local))?;
        mined(context, added, wait)
    });
}

/// What became of a transaction that was handed to the pool.
pub(crate) fn added(result: Result<Added, NodeError>) -> Result<Added, RpcError> {
    result.map_err(RpcError::from)
}

/// Gives the next block a moment, where it is made at once, and says the hash.
pub(crate) fn settled(context: &Context, added: Added) -> TxHash {
    let node = &context.node;
    if added.pending && node.mining() == Mining::Instant && node.pool().status().0 <= FEW {
        node.wait_mined(&added.hash, FOR_THE_BLOCK);
    }
    added.hash
}

/// The receipt, once the transaction is in a block.
fn mined(context: &Context, added: Added, wait: Duration) -> Result<Box<RawValue>, RpcError> {
    let hash = added.hash;
    if context.node.wait_mined(&hash, wait)
        && let Some(receipt) = receipts::of_transaction(context, hash)?
    {
        return Ok(receipt);
    }
    let message = "The transaction was added to the mempool but wasn't processed in time.";
    Err(RpcError { data: Some(json!(hash)), ..RpcError::new(4, message) })
}

impl From<PoolError> for RpcError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Accounts(error) => Self::internal(error),
            error => Self::refused(error),
        }
    }
}

impl From<NodeError> for RpcError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Pool(error) => (*error).into(),
            NodeError::Chain(error) => (*error).into(),
            NodeError::Storage(error) => error.into(),
            error => Self::refused(error),
        }
    }
}
