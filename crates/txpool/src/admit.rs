//! Admission: what the sender's account and the pool's limits say of a valid transaction.

use crate::{
    AccountCode, FeeShortfall, PoolAccount, PoolConfig, PoolError,
    sender::{SenderQueue, Worth},
    state::{Changes, State},
    transaction::{Origin, PoolTransaction},
};
use alloy_primitives::{Address, TxHash};
use std::{collections::BTreeSet, sync::Arc, time::Instant};

/// A transaction that entered the pool.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) pending: bool,
    pub(crate) replaced: Option<TxHash>,
    pub(crate) changes: Changes,
}

impl State {
    /// Admits `tx`, whose sender has `account` at the head, and makes room for it if need be. If
    /// it is refused, nothing has changed.
    pub(crate) fn admit(
        &mut self,
        config: &PoolConfig,
        tx: Arc<PoolTransaction>,
        account: PoolAccount,
        now: Instant,
    ) -> Result<Admitted, PoolError> {
        if self.get(&tx.hash()).is_some() {
            return Err(PoolError::AlreadyKnown { hash: tx.hash() });
        }
        let none = SenderQueue::new(account);
        let queue = self.sender(&tx.sender()).unwrap_or(&none);
        check_account(&tx, queue)?;
        let old = queue.get(tx.nonce()).map(|entry| &entry.tx);
        if let Some(old) = old {
            check_replacement(config, &tx, old)?;
        } else {
            check_account_limits(config, &tx, queue)?;
        }
        self.check_delegation(config, &tx, queue)?;
        // Who replaces a local transaction is the user who sent it.
        let heir = old.filter(|old| old.origin().is_local() && !tx.origin().is_local());
        let tx = heir.map_or(tx.clone(), |old| Arc::new(tx.with_origin(old.origin())));
        let victims = self.room(config, &tx, queue, old.map(|old| old.as_ref()))?;

        let mut changes = Changes::default();
        for victim in victims {
            changes.removed.extend(self.remove(&victim));
        }
        let inserted = self.insert(tx.clone(), account, now);
        let replaced = inserted.replaced.as_ref().map(|old| old.hash());
        changes.removed.extend(inserted.replaced);
        if inserted.pending {
            changes.promoted.push(tx.clone());
        }
        changes.promoted.extend(inserted.promoted);
        self.disperse(config, Some(&tx), &mut changes);
        self.trim_queues(config, &mut changes);
        Ok(Admitted { pending: inserted.pending, replaced, changes })
    }

    /// Drops the last transactions of the senders that have the most while there are more pending
    /// ones than there may be; `but` stays.
    pub(crate) fn disperse(
        &mut self,
        config: &PoolConfig,
        but: Option<&PoolTransaction>,
        changes: &mut Changes,
    ) {
        while self.counts().0 > config.global_slots {
            let Some((_, sender)) = self.largest_crowd() else { return };
            let last = self.sender(&sender).and_then(|queue| queue.pending().back());
            let Some(last) = last.map(|entry| entry.tx.clone()) else { return };
            if but.is_some_and(|but| but.hash() == last.hash()) {
                return;
            }
            self.remove(&last.hash());
            changes.promoted.retain(|tx| tx.hash() != last.hash());
            changes.removed.push(last);
        }
    }

    /// Drops queued transactions of the senders that have been silent for longest while there are
    /// more than there may be.
    pub(crate) fn trim_queues(&mut self, config: &PoolConfig, changes: &mut Changes) {
        while self.counts().1 > config.global_queue {
            let Some(last) = self.idle_transactions(None).next() else { return };
            let hash = last.hash();
            changes.removed.extend(self.remove(&hash));
        }
    }

    /// What EIP-7702 means for a pool: who can move the balance of an account besides its owner
    /// could make any number of its transactions invalid at once.
    fn check_delegation(
        &self,
        config: &PoolConfig,
        tx: &PoolTransaction,
        queue: &SenderQueue,
    ) -> Result<(), PoolError> {
        if !config.restrict_delegated {
            return Ok(());
        }
        let delegated = queue.account().code == AccountCode::Delegation;
        if (delegated || self.is_authority(&tx.sender())) && queue.get_pending(tx.nonce()).is_none()
        {
            if tx.nonce() != queue.next_nonce() {
                return Err(PoolError::DelegatedGap);
            }
            if !queue.pending().is_empty() {
                return Err(PoolError::DelegatedInFlight);
            }
        }
        let busy = |authority: &&Address| self.sender(authority).is_some_and(|q| q.len() > 1);
        match tx.authorities().iter().find(busy) {
            Some(authority) => Err(PoolError::AuthorityReserved { authority: *authority }),
            None => Ok(()),
        }
    }

    /// The transactions that have to go so that `tx` fits, with `old` in its place.
    fn room(
        &self,
        config: &PoolConfig,
        tx: &PoolTransaction,
        queue: &SenderQueue,
        old: Option<&PoolTransaction>,
    ) -> Result<BTreeSet<TxHash>, PoolError> {
        let mut victims = BTreeSet::new();
        let protected = self.is_protected(queue) || tx.origin().is_local() && !config.no_locals;
        let pending = tx.nonce() <= queue.next_nonce();
        let (slots, bytes) = old.map_or((0, 0), |old| (old.slots(), old.memory()));
        let mut need = Need {
            slots: (self.size().0 + tx.slots()).saturating_sub(slots + config.total_slots()),
            bytes: (self.size().1 + tx.memory()).saturating_sub(bytes + config.global_bytes),
        };
        if old.is_none() && pending && self.counts().0 >= config.global_slots {
            let share = if protected { 0 } else { queue.pending().len() };
            match self.largest_crowd() {
                Some((crowd, sender)) if crowd > share && sender != tx.sender() => {
                    let last = self.sender(&sender).and_then(|queue| queue.pending().back());
                    victims.extend(last.map(|entry| need.without(&entry.tx)));
                }
                _ if protected || share < config.account_slots => {}
                _ => return Err(PoolError::Full),
            }
        }
        if old.is_none() && !pending {
            if !protected && queue.queued().len() >= config.account_queue {
                let last = queue.queued().last_key_value();
                match last.filter(|(nonce, _)| **nonce > tx.nonce()) {
                    Some((_, last)) => victims.insert(need.without(&last.tx)),
                    None => return Err(PoolError::AccountLimit { pooled: queue.len() }),
                };
            } else if self.counts().1 >= config.global_queue {
                match self.idle_transactions(Some(tx.sender())).next() {
                    Some(last) => victims.extend([need.without(last)]),
                    None if protected => {}
                    None => return Err(PoolError::Full),
                }
            }
        }
        if need.any() {
            let worth = match protected {
                true => Some(Worth::MAX),
                // What waits behind a gap pushes nobody out who does not.
                false if !pending => None,
                false => Some(Worth::of(tx).min(queue.floor_before(tx.nonce()))),
            };
            self.evict(tx.sender(), worth, &mut need, &mut victims)?;
        }
        Ok(victims)
    }

    /// Queued transactions make room first; then those that are worth less than `worth`, which is
    /// that of the newcomer and all that has to be included before it.
    fn evict(
        &self,
        newcomer: Address,
        worth: Option<Worth>,
        need: &mut Need,
        victims: &mut BTreeSet<TxHash>,
    ) -> Result<(), PoolError> {
        for idle in self.idle_transactions(Some(newcomer)) {
            if !need.any() {
                return Ok(());
            }
            if !victims.contains(&idle.hash()) {
                victims.insert(need.without(idle));
            }
        }
        let Some(worth) = worth else { return need.result(PoolError::Full) };
        let cheaper = self.cheapest().take_while(|(floor, _)| *floor < worth);
        for sender in cheaper.map(|(_, sender)| sender).filter(|sender| **sender != newcomer) {
            let pending = self.sender(sender).into_iter().flat_map(|queue| queue.pending());
            for entry in pending.rev().take_while(|entry| entry.floor < worth) {
                if !need.any() {
                    return Ok(());
                }
                if !victims.contains(&entry.tx.hash()) {
                    victims.insert(need.without(&entry.tx));
                }
            }
        }
        let all_protected = self.cheapest().next().is_none();
        need.result(if all_protected { PoolError::Full } else { PoolError::Underpriced })
    }

    /// Queued transactions that may go, but for those of one sender: from the sender that has
    /// been silent for longest, the highest nonce first.
    fn idle_transactions(
        &self,
        but: Option<Address>,
    ) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        let senders =
            self.idle().map(|(_, sender)| sender).filter(move |sender| Some(**sender) != but);
        let queues = senders.filter_map(|sender| self.sender(sender));
        queues.flat_map(|queue| queue.queued().values().rev().map(|entry| &entry.tx))
    }
}

/// What has to become free.
struct Need {
    slots: usize,
    bytes: usize,
}

impl Need {
    fn any(&self) -> bool {
        self.slots > 0 || self.bytes > 0
    }

    /// Counts what a victim frees.
    fn without(&mut self, victim: &PoolTransaction) -> TxHash {
        self.slots = self.slots.saturating_sub(victim.slots());
        self.bytes = self.bytes.saturating_sub(victim.memory());
        victim.hash()
    }

    fn result(&self, error: PoolError) -> Result<(), PoolError> {
        if self.any() { Err(error) } else { Ok(()) }
    }
}

fn check_account(tx: &PoolTransaction, queue: &SenderQueue) -> Result<(), PoolError> {
    let (account, nonce) = (queue.account(), tx.nonce());
    if account.code == AccountCode::Contract && tx.origin() != Origin::Impersonated {
        return Err(PoolError::SenderNotEoa { sender: tx.sender() });
    }
    if nonce < account.nonce {
        return Err(PoolError::NonceTooLow { next: account.nonce, nonce });
    }
    if tx.is_blob() && nonce > queue.next_nonce() {
        return Err(PoolError::NonceTooHigh { nonce, gap: queue.next_nonce() });
    }
    let (balance, cost, queued) = (account.balance, tx.cost(), queue.cost());
    if balance < cost {
        return Err(PoolError::InsufficientFunds { balance, cost });
    }
    if let Some(old) = queue.get(nonce) {
        let bump = cost.saturating_sub(old.tx.cost());
        let affordable = queued.checked_add(bump).is_some_and(|need| need <= balance);
        return match affordable || bump.is_zero() {
            true => Ok(()),
            false => Err(PoolError::InsufficientFundsForBump { balance, queued, bump }),
        };
    }
    if queued.checked_add(cost).is_none_or(|need| need > balance) {
        return Err(PoolError::InsufficientFundsForAll { balance, queued, cost });
    }
    Ok(())
}

fn check_account_limits(
    config: &PoolConfig,
    tx: &PoolTransaction,
    queue: &SenderQueue,
) -> Result<(), PoolError> {
    match tx.is_blob() && queue.blobs() >= config.account_blobs {
        true => Err(PoolError::AccountLimit { pooled: queue.blobs() }),
        false => Ok(()),
    }
}

/// Whether `tx` pays enough more than `old` to take its place.
fn check_replacement(
    config: &PoolConfig,
    tx: &PoolTransaction,
    old: &PoolTransaction,
) -> Result<(), PoolError> {
    let blob = tx.is_blob() || old.is_blob();
    let bump = if blob { config.blob_price_bump } else { config.price_bump };
    let fees = [
        ("gas fee cap", tx.max_fee(), old.max_fee()),
        ("gas tip cap", tx.max_tip(), old.max_tip()),
        ("blob gas fee cap", tx.max_blob_fee(), old.max_blob_fee()),
    ];
    // Only blob transactions have the third fee, and only they can both have it.
    let counted = if tx.is_blob() && old.is_blob() { 3 } else { 2 };
    let short = |(_, new, queued): &&(&str, u128, u128)| {
        let percent = u128::from(bump);
        let raise = (queued / 100).saturating_mul(percent);
        let raise = raise.saturating_add((queued % 100).saturating_mul(percent) / 100);
        new <= queued || *new < queued.saturating_add(raise)
    };
    match fees[..counted].iter().find(short) {
        None => Ok(()),
        Some((fee, new, queued)) => Err(PoolError::ReplacementUnderpriced {
            existing: old.hash(),
            blob: blob.then_some(FeeShortfall { fee, new: *new, queued: *queued, bump }),
        }),
    }
}
