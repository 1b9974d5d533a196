//! Looking into the pool.

use crate::{Pool, PoolStats, sender::SenderQueue, transaction::PoolTransaction};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, TxHash};
use core::fmt;
use std::{collections::BTreeMap, sync::Arc};

/// The transactions of one sender, in nonce order.
#[derive(Debug, Clone, Default)]
pub struct SenderContent {
    /// Without a gap from the account's nonce on.
    pub pending: Vec<Arc<PoolTransaction>>,
    /// Behind a gap.
    pub queued: Vec<Arc<PoolTransaction>>,
}

impl SenderContent {
    fn of(queue: &SenderQueue) -> Self {
        Self {
            pending: queue.pending().iter().map(|entry| entry.tx.clone()).collect(),
            queued: queue.queued().values().map(|entry| entry.tx.clone()).collect(),
        }
    }
}

impl Pool {
    /// The transaction with this hash.
    pub fn get(&self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        self.state.read().get(hash).cloned()
    }

    /// Whether a transaction with this hash is in the pool.
    pub fn contains(&self, hash: &TxHash) -> bool {
        self.state.read().get(hash).is_some()
    }

    /// The transaction of `sender` with this nonce.
    pub fn get_by_nonce(&self, sender: &Address, nonce: u64) -> Option<Arc<PoolTransaction>> {
        let state = self.state.read();
        state.sender(sender)?.get(nonce).map(|entry| entry.tx.clone())
    }

    /// The nonce that follows the sender's pending transactions; none if the pool has nothing of
    /// it, and then the account's nonce is the answer.
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.state.read().sender(sender).map(SenderQueue::next_nonce)
    }

    /// Numbers of pending and queued transactions.
    pub fn status(&self) -> (usize, usize) {
        self.state.read().counts()
    }

    /// A number that is another one after every change of what is in the pool.
    pub fn version(&self) -> u64 {
        self.state.read().version()
    }

    /// All transactions by sender. Takes time and memory for every transaction in the pool.
    pub fn content(&self) -> BTreeMap<Address, SenderContent> {
        let state = self.state.read();
        state.senders().map(|(sender, queue)| (*sender, SenderContent::of(queue))).collect()
    }

    /// The transactions of one sender.
    pub fn content_from(&self, sender: &Address) -> SenderContent {
        self.state.read().sender(sender).map(SenderContent::of).unwrap_or_default()
    }

    /// Hashes of all pending transactions, by sender in no order, in nonce order for each.
    pub fn pending_hashes(&self) -> Vec<TxHash> {
        let state = self.state.read();
        let pending = state.senders().flat_map(|(_, queue)| queue.pending());
        pending.map(|entry| entry.tx.hash()).collect()
    }

    /// What the pool holds and what has happened in it.
    pub fn stats(&self) -> PoolStats {
        let state = self.state.read();
        let ((pending, queued), (slots, bytes)) = (state.counts(), state.size());
        let senders = state.sender_count();
        drop(state);
        PoolStats { pending, queued, slots, bytes, senders, ..self.counters.read() }
    }
}

/// In the words of `txpool_inspect`: recipient, value, gas and price.
impl fmt::Display for PoolTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tx = self.transaction();
        match tx.to() {
            Some(to) => write!(f, "{to}")?,
            None => f.write_str("contract creation")?,
        }
        let (value, gas, price) = (tx.value(), tx.gas_limit(), tx.max_fee_per_gas());
        write!(f, ": {value} wei + {gas} gas × {price} wei")
    }
}
