//! Everything the pool holds, behind its one lock: transactions by hash and by sender, the
//! orders in which they are chosen and dropped, and what they take together.
//!
//! Every change goes through [`State::change`], which brings the sender's places in all orders
//! up to date: a few logarithmic steps at most, and none for a transaction that joins the end of
//! a long queue.

#[cfg(test)]
mod invariants;

use crate::{
    Accounts, PoolAccount, PoolConfig,
    check::Rules,
    limbo::Limbo,
    order::{FeeOrder, Fees},
    sender::{Inserted, SenderQueue, Worth},
    transaction::PoolTransaction,
};
use alloy_primitives::{
    Address, TxHash,
    map::{AddressMap, B256Map},
};
use std::{
    collections::{BTreeSet, hash_map::Entry},
    sync::Arc,
    time::Instant,
};

/// A sender with its places in the orders.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) queue: SenderQueue,
    /// When it last sent something.
    beat: Instant,
    places: Places,
}

/// Where a sender stands in each order, if it does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Places {
    next: Option<Fees>,
    cheapest: Option<Worth>,
    crowd: Option<usize>,
    idle: Option<Instant>,
}

/// What an admission or a new head did to the pool.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Transactions that are pending now and were not before.
    pub(crate) promoted: Vec<Arc<PoolTransaction>>,
    /// Transactions that are gone; to be freed outside the lock.
    pub(crate) removed: Vec<Arc<PoolTransaction>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rules: Arc<Rules>,
    pub(crate) accounts: Arc<dyn Accounts>,
    /// Counts the heads, so that an account read at one is not taken for that of another.
    pub(crate) generation: u64,
    pub(crate) order: FeeOrder,
    pub(crate) limbo: Limbo,
    account_slots: usize,
    no_locals: bool,
    by_hash: B256Map<Arc<PoolTransaction>>,
    senders: AddressMap<Sender>,
    /// Senders by the worth of their last pending transaction.
    cheapest: BTreeSet<(Worth, Address)>,
    /// Senders with more than their share of pending transactions, by their number.
    crowds: BTreeSet<(usize, Address)>,
    /// Senders with queued transactions by the time since when they are silent.
    idle: BTreeSet<(Instant, Address)>,
    /// Who authorizes something in a pooled transaction, and in how many.
    authorities: AddressMap<usize>,
    pending: usize,
    queued: usize,
    slots: usize,
    bytes: usize,
    arrivals: u64,
    /// Counts the changes of queues.
    version: u64,
}

impl State {
    pub(crate) fn new(config: &PoolConfig, rules: Rules, accounts: Arc<dyn Accounts>) -> Self {
        let mut order = FeeOrder::default();
        order.set_base_fee(rules.head.base_fee.into());
        Self {
            rules: Arc::new(rules),
            accounts,
            generation: 0,
            order,
            limbo: Limbo::new(config.limbo_blocks),
            account_slots: config.account_slots,
            no_locals: config.no_locals,
            by_hash: B256Map::default(),
            senders: AddressMap::default(),
            cheapest: BTreeSet::new(),
            crowds: BTreeSet::new(),
            idle: BTreeSet::new(),
            authorities: AddressMap::default(),
            pending: 0,
            queued: 0,
            slots: 0,
            bytes: 0,
            arrivals: 0,
            version: 0,
        }
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Arc<PoolTransaction>> {
        self.by_hash.get(hash)
    }

    pub(crate) fn sender(&self, address: &Address) -> Option<&SenderQueue> {
        self.senders.get(address).map(|sender| &sender.queue)
    }

    pub(crate) fn senders(&self) -> impl Iterator<Item = (&Address, &SenderQueue)> {
        self.senders.iter().map(|(address, sender)| (address, &sender.queue))
    }

    pub(crate) fn sender_count(&self) -> usize {
        self.senders.len()
    }

    pub(crate) fn transactions(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_hash.values()
    }

    /// Pending and queued transactions.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.pending, self.queued)
    }

    /// Slots and bytes of all transactions.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.slots, self.bytes)
    }

    /// Whether nothing may push out what this sender sends: it is a user of this node.
    pub(crate) fn is_protected(&self, queue: &SenderQueue) -> bool {
        queue.locals() > 0 && !self.no_locals
    }

    /// Whether a pooled transaction would delegate this account.
    pub(crate) fn is_authority(&self, address: &Address) -> bool {
        self.authorities.contains_key(address)
    }

    /// Senders with their last pending transaction, the cheapest first.
    pub(crate) fn cheapest(&self) -> impl Iterator<Item = &(Worth, Address)> {
        self.cheapest.iter()
    }

    /// The sender with the most pending transactions beyond its share, and their number.
    pub(crate) fn largest_crowd(&self) -> Option<(usize, Address)> {
        self.crowds.last().copied()
    }

    /// Senders with queued transactions, the one that has been silent for longest first.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &(Instant, Address)> {
        self.idle.iter()
    }

    /// Puts a transaction in, whose sender has `account` at the head.
    pub(crate) fn insert(
        &mut self,
        tx: Arc<PoolTransaction>,
        account: PoolAccount,
        now: Instant,
    ) -> Inserted {
        let (sender, arrival) = (tx.sender(), self.arrivals);
        self.arrivals += 1;
        if let Entry::Vacant(vacant) = self.senders.entry(sender) {
            let queue = SenderQueue::new(account);
            vacant.insert(Sender { queue, beat: now, places: Places::default() });
        }
        self.count(&tx);
        let inserted = self.change(sender, |sender| {
            sender.beat = now;
            sender.queue.insert(tx, arrival)
        });
        // The sender was put in just now.
        let inserted =
            inserted.unwrap_or(Inserted { pending: false, replaced: None, promoted: Vec::new() });
        if let Some(replaced) = &inserted.replaced {
            self.uncount(replaced);
        }
        inserted
    }

    /// Takes a transaction out; those of its sender behind it are queued then.
    pub(crate) fn remove(&mut self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        let tx = self.by_hash.get(hash)?.clone();
        self.take(tx.sender(), |queue| queue.remove(tx.nonce()).into_iter().collect());
        Some(tx)
    }

    /// Takes transactions of one sender out.
    pub(crate) fn take(
        &mut self,
        sender: Address,
        take: impl FnOnce(&mut SenderQueue) -> Vec<Arc<PoolTransaction>>,
    ) -> Vec<Arc<PoolTransaction>> {
        let taken = self.change(sender, |sender| take(&mut sender.queue)).unwrap_or_default();
        for tx in &taken {
            self.uncount(tx);
        }
        taken
    }

    /// Takes over an account at a new head, and what follows for its sender's transactions.
    pub(crate) fn set_account(
        &mut self,
        address: Address,
        account: PoolAccount,
        changes: &mut Changes,
    ) {
        let gas_limit = self.rules.head.gas_limit;
        let changed = self.change(address, |sender| {
            let (used, promoted) = sender.queue.set_account(account);
            (used, sender.queue.remove_impossible(gas_limit), promoted)
        });
        let Some((used, impossible, promoted)) = changed else { return };
        for tx in used.iter().chain(&impossible) {
            self.uncount(tx);
        }
        changes.removed.extend(used);
        changes.removed.extend(impossible);
        let sender = self.sender(&address);
        let pending = |tx: &Arc<PoolTransaction>| {
            sender.is_some_and(|queue| queue.get_pending(tx.nonce()).is_some())
        };
        changes.promoted.extend(promoted.into_iter().filter(pending));
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) -> Vec<Arc<PoolTransaction>> {
        let senders: Vec<_> = self.senders.keys().copied().collect();
        let take_all = |sender| self.take(sender, |queue| queue.remove_if(|_| true));
        senders.into_iter().flat_map(take_all).collect()
    }

    /// Gives back the memory of tables that have become much smaller, so that a burst is not paid
    /// for ever after.
    pub(crate) fn shrink(&mut self) {
        const SMALL: usize = 4096;
        let wanted = self.by_hash.len() * 2;
        if self.by_hash.capacity() > SMALL.max(wanted * 4) {
            self.by_hash.shrink_to(wanted);
        }
        let wanted = self.senders.len() * 2;
        if self.senders.capacity() > SMALL.max(wanted * 4) {
            self.senders.shrink_to(wanted);
        }
    }

    /// Changes a sender's queue and brings its places in the orders up to date. A sender without
    /// transactions is forgotten.
    fn change<R>(&mut self, address: Address, change: impl FnOnce(&mut Sender) -> R) -> Option<R> {
        let sender = self.senders.get_mut(&address)?;
        self.version += 1;
        let queue = &sender.queue;
        self.pending -= queue.pending().len();
        self.queued -= queue.queued().len();
        let result = change(sender);
        let queue = &sender.queue;
        self.pending += queue.pending().len();
        self.queued += queue.queued().len();

        let (old, empty) = (sender.places, queue.is_empty());
        let open = queue.locals() == 0 || self.no_locals;
        let last = queue.pending().back().filter(|_| open);
        let (pending, waiting) = (queue.pending().len(), !queue.queued().is_empty());
        let new = Places {
            next: queue.pending().front().map(|next| Fees::new(&next.tx, next.arrival)),
            cheapest: last.map(|last| last.floor),
            crowd: (open && pending > self.account_slots).then_some(pending),
            idle: (open && waiting).then_some(sender.beat),
        };
        sender.places = new;
        if old.next != new.next {
            if let Some(fees) = old.next {
                self.order.remove(fees);
            }
            if let Some(fees) = new.next {
                self.order.insert(fees, address);
            }
        }
        relocate(&mut self.cheapest, address, old.cheapest, new.cheapest);
        relocate(&mut self.crowds, address, old.crowd, new.crowd);
        relocate(&mut self.idle, address, old.idle, new.idle);
        if empty {
            self.senders.remove(&address);
        }
        Some(result)
    }

    fn count(&mut self, tx: &Arc<PoolTransaction>) {
        self.by_hash.insert(tx.hash(), tx.clone());
        self.slots += tx.slots();
        self.bytes += tx.memory();
        for authority in tx.authorities() {
            *self.authorities.entry(*authority).or_default() += 1;
        }
    }

    fn uncount(&mut self, tx: &PoolTransaction) {
        self.by_hash.remove(&tx.hash());
        self.slots -= tx.slots();
        self.bytes -= tx.memory();
        for authority in tx.authorities() {
            if let Entry::Occupied(mut entry) = self.authorities.entry(*authority) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }
}

fn relocate<T: Ord + Copy>(
    order: &mut BTreeSet<(T, Address)>,
    address: Address,
    old: Option<T>,
    new: Option<T>,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        order.remove(&(old, address));
    }
    if let Some(new) = new {
        order.insert((new, address));
    }
}
