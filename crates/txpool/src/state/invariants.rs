//! What must be true of the pool at any moment, recomputed from scratch.

use super::{Places, State};
use crate::{
    PoolConfig,
    order::Fees,
    sender::{SenderQueue, Worth},
};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, U256};
use std::collections::{BTreeSet, HashMap};

impl State {
    /// Panics if anything does not fit.
    pub(crate) fn verify(&self, config: &PoolConfig) {
        let (mut pending, mut queued, mut slots, mut bytes) = (0, 0, 0, 0);
        let mut authorities: HashMap<Address, usize> = HashMap::new();
        let mut next = HashMap::new();
        let (mut cheapest, mut crowds, mut idle) = Default::default();
        for (address, sender) in &self.senders {
            verify_queue(&sender.queue);
            pending += sender.queue.pending().len();
            queued += sender.queue.queued().len();
            for entry in sender.queue.entries() {
                let tx = &entry.tx;
                assert_eq!(tx.sender(), *address);
                assert!(std::sync::Arc::ptr_eq(tx, &self.by_hash[&tx.hash()]));
                assert!(entry.arrival < self.arrivals);
                slots += tx.slots();
                bytes += tx.memory();
                for authority in tx.authorities() {
                    *authorities.entry(*authority).or_default() += 1;
                }
            }
            let Places { next: place, cheapest: worth, crowd, idle: beat } = sender.places;
            let first = sender.queue.pending().front();
            assert_eq!(place, first.map(|entry| Fees::new(&entry.tx, entry.arrival)));
            next.extend(place.map(|fees| (*address, fees)));
            let open = !self.is_protected(&sender.queue);
            let last = sender.queue.pending().back().filter(|_| open);
            assert_eq!(worth, last.map(|last| last.floor));
            let length = sender.queue.pending().len();
            assert_eq!(crowd, last.map(|_| length).filter(|n| *n > config.account_slots));
            let waiting = sender.queue.queued().first_key_value().filter(|_| open);
            assert_eq!(beat, waiting.map(|_| sender.beat));
            extend(&mut cheapest, worth, *address);
            extend(&mut crowds, crowd, *address);
            extend(&mut idle, beat, *address);
        }
        assert_eq!(self.by_hash.len(), pending + queued);
        assert_eq!((self.pending, self.queued), (pending, queued));
        assert_eq!((self.slots, self.bytes), (slots, bytes));
        assert_eq!(
            self.authorities.iter().map(|(a, n)| (*a, *n)).collect::<HashMap<_, _>>(),
            authorities
        );
        assert!(self.order.holds(&next));
        assert_eq!((&self.cheapest, &self.crowds, &self.idle), (&cheapest, &crowds, &idle));
        self.verify_limits(config);
    }

    fn verify_limits(&self, config: &PoolConfig) {
        assert!(self.slots <= config.total_slots(), "{} slots", self.slots);
        assert!(self.bytes <= config.global_bytes, "{} bytes", self.bytes);
        assert!(self.pending <= config.global_slots || self.crowds.is_empty());
        assert!(self.queued <= config.global_queue || self.idle.is_empty());
    }
}

fn extend<T: Ord>(order: &mut BTreeSet<(T, Address)>, place: Option<T>, address: Address) {
    order.extend(place.map(|place| (place, address)));
}

fn verify_queue(queue: &SenderQueue) {
    assert!(!queue.is_empty());
    let nonces = queue.pending().iter().map(|entry| entry.tx.nonce());
    assert!(nonces.eq(queue.account().nonce..queue.next_nonce()), "a gap in pending");
    assert!(queue.queued().keys().all(|nonce| *nonce > queue.next_nonce()), "not queued");
    assert!(queue.queued().iter().all(|(nonce, entry)| *nonce == entry.tx.nonce()));
    let mut floor = Worth::MAX;
    for entry in queue.pending() {
        floor = floor.min(Worth::of(&entry.tx));
        assert_eq!(entry.floor, floor);
    }
    let txs = || queue.entries().map(|entry| &entry.tx);
    assert_eq!(queue.cost(), txs().map(|tx| tx.cost()).sum::<U256>());
    assert_eq!(queue.locals(), txs().filter(|tx| tx.origin().is_local()).count());
    assert_eq!(queue.blobs(), txs().filter(|tx| tx.is_blob()).count());
    assert!(txs().all(|tx| tx.transaction().gas_limit() <= queue.max_gas()));
    assert!(txs().all(|tx| tx.cost() <= queue.account().balance));
}
