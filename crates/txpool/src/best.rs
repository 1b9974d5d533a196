//! Choosing transactions for a block: the best paying first, in nonce order for each sender.

use crate::{
    Head, Pool,
    order::{FeeOrder, Place},
    state::State,
    transaction::PoolTransaction,
};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, map::AddressSet};
use core::cmp::Reverse;
use std::{
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

/// Senders looked up under one lock.
const CHUNK: usize = 64;

/// Senders whose next transaction does not fit that [`Best::next_fitting`] passes over before it
/// takes the block for full.
const MISFITS: usize = 512;

/// The cheapest transaction there is, in gas.
const MIN_GAS: u64 = 21_000;

impl Pool {
    /// Transactions for the next block, by effective tip at its base fee, the highest first; of
    /// equal ones the one that came first. Those of one sender come in nonce order. Left out is
    /// what the base fee or the blob base fee excludes, what leaves less than `min_tip`, and what
    /// comes after such a transaction of the same sender.
    ///
    /// The pool is not locked between two transactions. What arrives while the iterator is used
    /// may come or not; a transaction of a sender never comes before its predecessors.
    pub fn best(&self, min_tip: u128) -> Best<'_> {
        Best {
            pool: self,
            head: self.head(),
            min_tip,
            lists: [List::default(), List::default()],
            followers: BinaryHeap::new(),
            started: AddressSet::default(),
            last: None,
        }
    }

    /// The best transactions that fit into `gas` and `blobs`, by their gas limits.
    pub fn select(&self, min_tip: u128, mut gas: u64, mut blobs: u64) -> Vec<Arc<PoolTransaction>> {
        let mut best = self.best(min_tip);
        let mut chosen = Vec::new();
        while let Some(tx) = best.next_fitting(gas, blobs) {
            gas -= tx.transaction().gas_limit();
            blobs -= tx.blob_count();
            chosen.push(tx);
        }
        chosen
    }
}

/// An iterator over the best transactions; see [`Pool::best`].
#[derive(Debug)]
pub struct Best<'a> {
    pool: &'a Pool,
    head: Head,
    min_tip: u128,
    /// Senders that pay their whole tip, and senders that pay what their cap leaves.
    lists: [List; 2],
    /// The next transactions of senders that have been chosen from.
    followers: BinaryHeap<Candidate>,
    /// Senders that have been chosen from, or are passed over.
    started: AddressSet,
    /// The sender and nonce of what was returned last.
    last: Option<(Address, u64)>,
}

/// The rest of one of the pool's two lists, of which some is looked up already.
#[derive(Debug, Default)]
struct List {
    ready: VecDeque<Candidate>,
    after: Option<Place>,
    exhausted: bool,
}

/// A transaction that could come next. The greatest is the best.
#[derive(Debug)]
struct Candidate {
    tip: u128,
    arrival: Reverse<u64>,
    tx: Arc<PoolTransaction>,
}

impl Best<'_> {
    /// Passes over the remaining transactions of a sender: to be called if one of them turns out
    /// not to be valid, or does not fit into the block.
    pub fn skip_sender(&mut self, sender: Address) {
        self.started.insert(sender);
        if self.last.is_some_and(|(last, _)| last == sender) {
            self.last = None;
        }
        self.followers.retain(|candidate| candidate.tx.sender() != sender);
    }

    /// The next transaction that asks for no more than `gas` and carries no more than `blobs`.
    /// Senders whose next one does are passed over for good. None if there is nothing left that
    /// fits, or if several hundred in a row did not.
    pub fn next_fitting(&mut self, gas: u64, blobs: u64) -> Option<Arc<PoolTransaction>> {
        if gas < MIN_GAS {
            return None;
        }
        for _ in 0..MISFITS {
            let tx = self.next()?;
            if tx.transaction().gas_limit() <= gas && tx.blob_count() <= blobs {
                return Some(tx);
            }
            self.last = None;
        }
        None
    }

    /// Looks up the transaction behind the one that was returned last.
    fn follow(&mut self) {
        let Some((sender, nonce)) = self.last.take() else { return };
        let state = self.pool.state.read();
        let entry = state.sender(&sender).and_then(|queue| queue.get_pending(nonce + 1));
        let candidate = entry.and_then(|entry| self.candidate(&entry.tx, entry.arrival));
        self.followers.extend(candidate);
    }

    /// Looks up some senders of a list whose candidates are used up.
    fn refill(&mut self, which: usize) {
        while self.lists[which].ready.is_empty() && !self.lists[which].exhausted {
            let state = self.pool.state.read();
            let after = self.lists[which].after;
            let chunk = match which {
                0 => chunk(&state, FeeOrder::by_tip, after),
                _ => chunk(&state, FeeOrder::by_cap, after),
            };
            drop(state);
            let exhausted = chunk.len() < CHUNK;
            let after = chunk.last().map(|(place, ..)| *place).or(after);
            let ready: VecDeque<_> = chunk
                .into_iter()
                .filter_map(|(_, tx, arrival)| self.candidate(&tx, arrival))
                .collect();
            // Whoever comes later in a list pays less.
            let worthless = ready.is_empty();
            self.lists[which] = List { ready, after, exhausted: exhausted || worthless };
        }
    }

    /// `tx`, if the block may include it for the tip it pays.
    fn candidate(&self, tx: &Arc<PoolTransaction>, arrival: u64) -> Option<Candidate> {
        let tip = tx.effective_tip(self.head.base_fee)?;
        let paid = tip >= self.min_tip;
        paid.then(|| Candidate { tip, arrival: Reverse(arrival), tx: tx.clone() })
    }

    /// The best of what could come next, once for each sender from the lists.
    fn pop(&mut self) -> Option<Arc<PoolTransaction>> {
        loop {
            self.refill(0);
            self.refill(1);
            let [tips, caps] = [0, 1].map(|which| self.lists[which].ready.front());
            if self.followers.peek() > tips.max(caps) {
                return self.followers.pop().map(|candidate| candidate.tx);
            }
            let which = usize::from(tips < caps);
            let Candidate { tx, .. } = self.lists[which].ready.pop_front()?;
            if self.started.insert(tx.sender()) {
                return Some(tx);
            }
        }
    }
}

impl Iterator for Best<'_> {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        self.follow();
        loop {
            let tx = self.pop()?;
            if !tx.is_blob() || tx.max_blob_fee() >= self.head.blob_fee() {
                self.last = Some((tx.sender(), tx.nonce()));
                return Some(tx);
            }
        }
    }
}

/// The next senders of a list with their next transactions and when these arrived.
fn chunk<'a, I: Iterator<Item = (Place, Address)> + 'a>(
    state: &'a State,
    list: impl FnOnce(&'a FeeOrder, Option<Place>) -> I,
    after: Option<Place>,
) -> Vec<(Place, Arc<PoolTransaction>, u64)> {
    let next = |(place, sender): (Place, Address)| {
        let entry = state.sender(&sender)?.pending().front()?;
        Some((place, entry.tx.clone(), entry.arrival))
    };
    list(&state.order, after).take(CHUNK).filter_map(next).collect()
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.tip, self.arrival).cmp(&(other.tip, other.arrival))
    }
}
