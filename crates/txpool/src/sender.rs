//! The transactions of one sender: *pending* ones, whose nonces follow the account's without a
//! gap, and *queued* ones behind a gap.

use crate::{PoolAccount, transaction::PoolTransaction};
use alloy_consensus::Transaction;
use alloy_primitives::U256;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What a transaction is worth to the pool whatever base fees will be: the fee cap first, the
/// tip second. A producer cannot be paid more than the cap, and a cap under the base fee is
/// worth nothing for the time being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Worth {
    max_fee: u128,
    tip: u128,
}

impl Worth {
    /// More than any transaction.
    pub(crate) const MAX: Self = Self { max_fee: u128::MAX, tip: u128::MAX };

    pub(crate) fn of(tx: &PoolTransaction) -> Self {
        Self { max_fee: tx.max_fee(), tip: tx.max_tip() }
    }
}

/// A transaction in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tx: Arc<PoolTransaction>,
    /// Its place in the order in which transactions entered the pool.
    pub(crate) arrival: u64,
    /// The least worth among this and the pending transactions before it, which have to be
    /// included first.
    pub(crate) floor: Worth,
}

/// What an insertion did.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub(crate) pending: bool,
    pub(crate) replaced: Option<Arc<PoolTransaction>>,
    /// Transactions that were queued behind the new one and are pending now.
    pub(crate) promoted: Vec<Arc<PoolTransaction>>,
}

/// All transactions of a sender.
#[derive(Debug)]
pub(crate) struct SenderQueue {
    account: PoolAccount,
    /// Nonces from `account.nonce` on, one after the other.
    pending: VecDeque<Entry>,
    /// Nonces beyond the first that `pending` lacks.
    queued: BTreeMap<u64, Entry>,
    /// What all of them may cost together. Admission keeps it within a balance, so it does not
    /// overflow.
    cost: U256,
    blobs: usize,
    locals: usize,
    /// Bounds for what any of them costs and asks for, so that most changes of the account or
    /// the block's gas limit need no look at each.
    max_cost: U256,
    max_gas: u64,
}

impl SenderQueue {
    pub(crate) fn new(account: PoolAccount) -> Self {
        Self {
            account,
            pending: VecDeque::new(),
            queued: BTreeMap::new(),
            cost: U256::ZERO,
            blobs: 0,
            locals: 0,
            max_cost: U256::ZERO,
            max_gas: 0,
        }
    }

    pub(crate) fn account(&self) -> &PoolAccount {
        &self.account
    }

    /// The first nonce that no pending transaction has.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.account.nonce.saturating_add(self.pending.len() as u64)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.queued.is_empty()
    }

    pub(crate) fn pending(&self) -> &VecDeque<Entry> {
        &self.pending
    }

    pub(crate) fn queued(&self) -> &BTreeMap<u64, Entry> {
        &self.queued
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len() + self.queued.len()
    }

    /// What all of them may cost together, in wei.
    pub(crate) fn cost(&self) -> U256 {
        self.cost
    }

    /// No transaction asks for more gas.
    pub(crate) fn max_gas(&self) -> u64 {
        self.max_gas
    }

    /// How many of them are local.
    pub(crate) fn locals(&self) -> usize {
        self.locals
    }

    /// How many of them carry blobs.
    pub(crate) fn blobs(&self) -> usize {
        self.blobs
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.pending.iter().chain(self.queued.values())
    }

    pub(crate) fn get(&self, nonce: u64) -> Option<&Entry> {
        match self.pending_index(nonce) {
            Some(index) => self.pending.get(index),
            None => self.queued.get(&nonce),
        }
    }

    /// The pending transaction with this nonce.
    pub(crate) fn get_pending(&self, nonce: u64) -> Option<&Entry> {
        self.pending.get(self.pending_index(nonce)?)
    }

    /// The worth of the last pending transaction that comes before `nonce`.
    pub(crate) fn floor_before(&self, nonce: u64) -> Worth {
        let before = nonce.checked_sub(1).and_then(|nonce| self.get_pending(nonce));
        before
            .or(self.pending.back().filter(|_| nonce > self.account.nonce))
            .map_or(Worth::MAX, |entry| entry.floor)
    }

    fn pending_index(&self, nonce: u64) -> Option<usize> {
        let index = usize::try_from(nonce.checked_sub(self.account.nonce)?).ok()?;
        (index < self.pending.len()).then_some(index)
    }

    /// Puts a transaction where its nonce belongs, which is not below the account's, in place of
    /// the one that has it.
    pub(crate) fn insert(&mut self, tx: Arc<PoolTransaction>, arrival: u64) -> Inserted {
        self.count(&tx);
        let nonce = tx.nonce();
        let mut entry = Entry { floor: Worth::of(&tx), tx, arrival };
        if let Some(index) = self.pending_index(nonce) {
            std::mem::swap(&mut self.pending[index], &mut entry);
            self.refloor(index);
            self.uncount(&entry.tx);
            return Inserted { pending: true, replaced: Some(entry.tx), promoted: Vec::new() };
        }
        if nonce == self.next_nonce() {
            self.push(entry);
            return Inserted { pending: true, replaced: None, promoted: self.promote() };
        }
        let replaced = self.queued.insert(nonce, entry).map(|old| old.tx);
        if let Some(old) = &replaced {
            self.uncount(old);
        }
        Inserted { pending: false, replaced, promoted: Vec::new() }
    }

    /// Takes a transaction out; those behind it are queued then.
    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Arc<PoolTransaction>> {
        let removed = match self.pending_index(nonce) {
            Some(index) => {
                let mut behind = self.pending.split_off(index);
                let removed = behind.pop_front()?;
                self.queued.extend(behind.into_iter().map(|entry| (entry.tx.nonce(), entry)));
                removed
            }
            None => self.queued.remove(&nonce)?,
        };
        self.uncount(&removed.tx);
        Some(removed.tx)
    }

    /// Takes over what has become of the account. Returns the transactions whose nonces are
    /// used, and those that are pending now and were not before.
    pub(crate) fn set_account(
        &mut self,
        account: PoolAccount,
    ) -> (Vec<Arc<PoolTransaction>>, Vec<Arc<PoolTransaction>>) {
        let old = std::mem::replace(&mut self.account, account);
        let mut used = Vec::new();
        if account.nonce < old.nonce {
            // The account went back: there is a gap before what was pending.
            let pending = std::mem::take(&mut self.pending);
            self.queued.extend(pending.into_iter().map(|entry| (entry.tx.nonce(), entry)));
        }
        while self.pending.front().is_some_and(|entry| entry.tx.nonce() < account.nonce) {
            used.extend(self.pending.pop_front().map(|entry| entry.tx));
        }
        while let Some(entry) = self.queued.first_entry()
            && *entry.key() < account.nonce
        {
            used.push(entry.remove().tx);
        }
        for tx in &used {
            self.uncount(tx);
        }
        if !used.is_empty() {
            self.refloor(0);
        }
        (used, self.promote())
    }

    /// Takes out what the account cannot pay or a block cannot hold.
    pub(crate) fn remove_impossible(&mut self, gas_limit: u64) -> Vec<Arc<PoolTransaction>> {
        let balance = self.account.balance;
        if self.max_cost <= balance && self.max_gas <= gas_limit {
            return Vec::new();
        }
        let removed =
            self.remove_if(|tx| tx.cost() > balance || tx.transaction().gas_limit() > gas_limit);
        (self.max_cost, self.max_gas) = (balance, gas_limit);
        removed
    }

    /// Takes out all transactions of which something is true.
    pub(crate) fn remove_if(
        &mut self,
        condition: impl Fn(&PoolTransaction) -> bool,
    ) -> Vec<Arc<PoolTransaction>> {
        let nonces: Vec<_> = (self.entries().filter(|entry| condition(&entry.tx)))
            .map(|entry| entry.tx.nonce())
            .collect();
        // From the back, so that nothing is moved twice.
        nonces.into_iter().rev().filter_map(|nonce| self.remove(nonce)).collect()
    }

    fn push(&mut self, mut entry: Entry) {
        let before = self.pending.back().map_or(Worth::MAX, |entry| entry.floor);
        entry.floor = Worth::of(&entry.tx).min(before);
        self.pending.push_back(entry);
    }

    /// Moves queued transactions that have no gap before them any more.
    fn promote(&mut self) -> Vec<Arc<PoolTransaction>> {
        let mut promoted = Vec::new();
        loop {
            let next = self.next_nonce();
            let Some(entry) = self.queued.first_entry().filter(|entry| *entry.key() == next) else {
                return promoted;
            };
            let entry = entry.remove();
            promoted.push(entry.tx.clone());
            self.push(entry);
        }
    }

    /// Corrects the floors from `index` on, as far as they change.
    fn refloor(&mut self, index: usize) {
        let mut before = match index.checked_sub(1) {
            Some(previous) => self.pending[previous].floor,
            None => Worth::MAX,
        };
        for (offset, entry) in self.pending.iter_mut().skip(index).enumerate() {
            let floor = Worth::of(&entry.tx).min(before);
            if offset > 0 && floor == entry.floor {
                break;
            }
            entry.floor = floor;
            before = floor;
        }
    }

    fn count(&mut self, tx: &PoolTransaction) {
        self.cost = self.cost.saturating_add(tx.cost());
        self.blobs += usize::from(tx.is_blob());
        self.locals += usize::from(tx.origin().is_local());
        self.max_cost = self.max_cost.max(tx.cost());
        let gas = tx.transaction().gas_limit();
        self.max_gas = self.max_gas.max(gas);
    }

    fn uncount(&mut self, tx: &PoolTransaction) {
        self.cost = self.cost.saturating_sub(tx.cost());
        self.blobs -= usize::from(tx.is_blob());
        self.locals -= usize::from(tx.origin().is_local());
    }
}
