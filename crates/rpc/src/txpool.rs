//! `txpool_*`: what waits for a block.

use crate::{
    RpcError,
    registry::Registry,
    wire::{Hex, Quantity, RpcTransaction},
};
use alloy_primitives::Address;
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};
use warpline_txpool::{PoolTransaction, SenderContent};

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("txpool_status", 0, |context, _| {
        let (pending, queued) = context.node.pool().status();
        Ok(Lists { pending: Quantity(pending as u64), queued: Quantity(queued as u64) })
    });
    registry.slow("txpool_content", 0, |context, _| {
        let content = context.node.pool().content();
        written(&by_sender(&content, waiting))
    });
    registry.slow("txpool_contentFrom", 1, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let content = context.node.pool().content_from(&address);
        let (pending, queued) = (&content.pending, &content.queued);
        written(&Lists { pending: by_nonce(pending, waiting), queued: by_nonce(queued, waiting) })
    });
    registry.slow("txpool_inspect", 0, |context, _| {
        let content = context.node.pool().content();
        written(&by_sender(&content, |tx| tx.to_string()))
    });
}

/// The two halves of a pool.
#[derive(Debug, Serialize)]
struct Lists<T> {
    pending: T,
    queued: T,
}

type ByNonce<T> = BTreeMap<u64, T>;
type BySender<T> = BTreeMap<String, ByNonce<T>>;

fn by_sender<'a, T>(
    content: &'a BTreeMap<Address, SenderContent>,
    show: impl Fn(&'a PoolTransaction) -> T,
) -> Lists<BySender<T>> {
    let mut lists = Lists { pending: BySender::new(), queued: BySender::new() };
    for (sender, of) in content {
        for (list, txs) in [(&mut lists.pending, &of.pending), (&mut lists.queued, &of.queued)] {
            if !txs.is_empty() {
                list.insert(sender.to_checksum(None), by_nonce(txs, &show));
            }
        }
    }
    lists
}

fn by_nonce<'a, T>(
    txs: &'a [Arc<PoolTransaction>],
    show: impl Fn(&'a PoolTransaction) -> T,
) -> ByNonce<T> {
    txs.iter().map(|tx| (tx.nonce(), show(tx))).collect()
}

/// A transaction that waits.
pub(crate) fn waiting(tx: &PoolTransaction) -> RpcTransaction<'_> {
    RpcTransaction {
        hash: tx.hash(),
        from: tx.sender(),
        transaction: Cow::Borrowed(tx.transaction()),
        mined: None,
    }
}

fn written(value: &impl Serialize) -> Result<Box<serde_json::value::RawValue>, RpcError> {
    serde_json::value::to_raw_value(value).map_err(RpcError::internal)
}
