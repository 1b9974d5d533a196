//! Sidecars of included blob transactions. Blocks do not hold them, so a blob transaction whose
//! block leaves the chain could not be sent again without.

use crate::transaction::{PoolTransaction, PooledEnvelope, join};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{TxHash, map::B256Map};
use std::{collections::VecDeque, sync::Arc};
use warpline_executor::EthTransaction;

/// The most blobs kept, about 34 MiB.
const MAX_BLOBS: u64 = 256;

#[derive(Debug)]
pub(crate) struct Limbo {
    blocks: u64,
    blobs: u64,
    kept: B256Map<Arc<PoolTransaction>>,
    /// Block numbers and hashes, oldest first; a hash may be gone from `kept` already.
    order: VecDeque<(u64, TxHash)>,
}

impl Limbo {
    /// Keeps sidecars for this many blocks.
    pub(crate) fn new(blocks: u64) -> Self {
        Self { blocks, blobs: 0, kept: B256Map::default(), order: VecDeque::new() }
    }

    /// Keeps the sidecar of a transaction that was included in block `number`.
    pub(crate) fn keep(&mut self, number: u64, tx: Arc<PoolTransaction>) {
        if tx.sidecar().is_none() || self.blocks == 0 {
            return;
        }
        let (hash, blobs) = (tx.hash(), tx.blob_count());
        if self.kept.insert(hash, tx).is_none() {
            self.blobs += blobs;
            self.order.push_back((number, hash));
        }
    }

    /// Drops what is too old at head `number`, or too much.
    pub(crate) fn expire(&mut self, number: u64) {
        while let Some((block, hash)) = self.order.front().copied()
            && (self.blobs > MAX_BLOBS || block + self.blocks < number)
        {
            self.order.pop_front();
            self.forget(&hash);
        }
    }

    /// A transaction of a block that left the chain, with its sidecar if that is still there.
    pub(crate) fn restore(&mut self, tx: Recovered<EthTransaction>) -> Recovered<PooledEnvelope> {
        let kept = self.forget(tx.inner().tx_hash());
        let sidecar = kept.and_then(|kept| kept.sidecar().cloned());
        tx.map(|tx| join(tx, sidecar))
    }

    fn forget(&mut self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        let kept = self.kept.remove(hash)?;
        self.blobs -= kept.blob_count();
        Some(kept)
    }
}
