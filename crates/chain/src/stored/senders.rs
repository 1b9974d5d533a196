//! The stage of senders.

use super::{pipeline::Incoming, prefetch::Prefetched};
use crate::{
    InvalidBlock, Rules,
    body::{self, Tx},
};
use alloy_consensus::{Block, transaction::Recovered};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256};
use rayon::prelude::*;
use std::{
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};
use warpline_chainspec::ChainSpec;
use warpline_executor::EthTransaction;

/// A block with its senders.
pub(super) struct Ahead {
    pub(super) hash: B256,
    pub(super) block: Block<EthTransaction>,
    pub(super) txs: Result<Vec<Tx>, InvalidBlock>,
    /// The root of the transactions, where a stage before the execution had the time.
    pub(super) transactions_root: Option<B256>,
    /// The access list that the block had before.
    pub(super) remembered: Option<BlockAccessList>,
    pub(super) prefetched: Option<Arc<Prefetched>>,
}

impl Ahead {
    pub(super) const fn new(
        hash: B256,
        block: Block<EthTransaction>,
        txs: Result<Vec<Tx>, InvalidBlock>,
    ) -> Self {
        let (transactions_root, remembered, prefetched) = (None, None, None);
        Self { hash, block, txs, transactions_root, remembered, prefetched }
    }
}

/// The stage of senders: until there are no more blocks, or nobody takes them.
pub(super) fn recover_all<E>(
    rules: &Rules,
    blocks: impl Iterator<Item = Result<Incoming, E>>,
    ahead: &SyncSender<Ahead>,
) -> (Duration, Option<E>) {
    let mut busy = Duration::ZERO;
    let mut start = Instant::now();
    for incoming in blocks {
        let Incoming { block, senders } = match incoming {
            Ok(incoming) => incoming,
            Err(error) => return (busy, Some(error)),
        };
        let hash = block.header.hash_slow();
        let chain = rules.of_side(block.header.difficulty.is_zero());
        let txs = recover(chain, &block, senders, Recovery::Parallel);
        busy += start.elapsed();
        let block = Ahead::new(hash, block, txs);
        if ahead.send(block).is_err() {
            break;
        }
        start = Instant::now();
    }
    (busy, None)
}

/// Who recovers senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The calling thread.
    InOrder,
    /// All that there are.
    Parallel,
}

/// Recovers the senders of a block whose parent may not be known yet: which side of the merge it
/// is on, it says itself, and that is checked before this is used.
pub(super) fn recover(
    chain: &ChainSpec,
    block: &Block<EthTransaction>,
    senders: Option<Vec<Address>>,
    recovery: Recovery,
) -> Result<Vec<Tx>, InvalidBlock> {
    let header = &block.header;
    let transactions = &block.body.transactions;
    if let Some(senders) = senders.filter(|senders| senders.len() == transactions.len()) {
        let known = |(tx, sender): (&EthTransaction, Address)| {
            Tx::new(Recovered::new_unchecked(tx.clone(), sender))
        };
        return Ok(transactions.iter().zip(senders).map(known).collect());
    }
    let recover = |(index, tx): (usize, &EthTransaction)| {
        body::recover_one(chain, header, tx)
            .map_err(|error| InvalidBlock { transaction: Some(index), ..error })
    };
    if recovery == Recovery::InOrder {
        return transactions.iter().enumerate().map(recover).collect();
    }
    let results: Vec<_> =
        transactions.par_iter().enumerate().with_min_len(8).map(recover).collect();
    // In order, so that it is always the first one that is reported.
    results.into_iter().collect()
}
