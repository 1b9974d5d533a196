//! Transactions from callers, signed by themselves.

use super::receipts;
use crate::{Context, RpcError, args::Args, registry::Registry};
use alloy_primitives::{Bytes, TxHash};
use core::time::Duration;
use serde_json::json;
use tokio::sync::oneshot;
use warpline_node::{Mining, NodeError};
use warpline_txpool::{Added, IntakeError, Origin, PoolError};

/// How long an answer may wait for the block while blocks are made at once, so that whoever looks
/// for the receipt next finds it.
const FOR_THE_BLOCK: Duration = Duration::from_millis(500);

/// How many transactions may wait for that to be worth while.
const FEW: usize = 64;

/// How long `eth_sendRawTransactionSync` waits where the caller does not say (EIP-7966).
const SYNC_DEFAULT: Duration = Duration::from_secs(2);
const SYNC_MOST: Duration = Duration::from_secs(60);

pub(super) fn register(registry: &mut Registry) {
    let raw = |args: &mut Args<'_>| args.required::<Bytes>("input");
    registry.waiting("eth_sendRawTransaction", 1, raw, async |context, raw| {
        let added = taken_in(&context, raw).await?;
        if is_soon_mined(&context, &added) {
            context.node.mined(&added.hash, FOR_THE_BLOCK).await;
        }
        Ok(added.hash)
    });
    let raw =
        |args: &mut Args<'_>| Ok((args.required::<Bytes>("input")?, args.optional("timeout")?));
    registry.waiting("eth_sendRawTransactionSync", 2, raw, async |context, (raw, timeout)| {
        let wait = timeout.map_or(SYNC_DEFAULT, Duration::from_millis).min(SYNC_MOST);
        let hash = taken_in(&context, raw).await?.hash;
        if context.node.mined(&hash, wait).await
            && let Some(receipt) = receipts::of_transaction(&context, hash)?
        {
            return Ok(receipt);
        }
        let message = "The transaction was added to the mempool but wasn't processed in time.";
        Err(RpcError { data: Some(json!(hash)), ..RpcError::new(4, message) })
    });
}

/// Hands a transaction to the pool, together with what arrives at the same time.
async fn taken_in(context: &Context, raw: Bytes) -> Result<Added, RpcError> {
    let (answer, answered) = oneshot::channel();
    // Nobody listens any more where the request took too long.
    let reply = Box::new(move |result| drop(answer.send(result)));
    context.node.take_in(raw, Origin::Local, reply)?;
    let result = answered.await.map_err(|_| RpcError::from(NodeError::Stopped))?;
    Ok(result?)
}

/// What became of a transaction that was handed to the pool.
pub(crate) fn added(result: Result<Added, NodeError>) -> Result<Added, RpcError> {
    result.map_err(RpcError::from)
}

/// Gives the next block a moment, where it is made at once, and says the hash.
pub(crate) fn settled(context: &Context, added: Added) -> TxHash {
    if is_soon_mined(context, &added) {
        context.node.wait_mined(&added.hash, FOR_THE_BLOCK);
    }
    added.hash
}

/// Whether a transaction will be in the next block, and that at once.
fn is_soon_mined(context: &Context, added: &Added) -> bool {
    let node = &context.node;
    added.pending && node.mining() == Mining::Instant && node.pool().status().0 <= FEW
}

impl From<PoolError> for RpcError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Accounts(error) => Self::internal(error),
            PoolError::Full => Self::limit_exceeded(error),
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
            NodeError::Intake(IntakeError::Busy) => Self::limit_exceeded(error),
            NodeError::Timestamp { .. }
            | NodeError::TimeTooFar { .. }
            | NodeError::GasLimit { .. } => Self::invalid_params(error),
            error => Self::refused(error),
        }
    }
}
