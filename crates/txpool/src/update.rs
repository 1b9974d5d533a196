//! A new head: what is mined leaves, what left the chain comes back, and every transaction is
//! pending or queued as the new state says.

use crate::{
    Accounts, AccountsError, Head, Pool, PoolAccount, PoolConfig,
    check::Rules,
    state::{Changes, State},
    stats::count,
    transaction::{Origin, PooledEnvelope, Prepared},
};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{
    Address, TxHash,
    map::{AddressMap, AddressSet},
};
use rayon::prelude::*;
use std::sync::Arc;
use warpline_executor::EthTransaction;

/// A transaction that a block has included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mined {
    /// Its hash.
    pub hash: TxHash,
    /// Who sent it.
    pub sender: Address,
}

/// A new head.
#[derive(Debug)]
pub struct HeadChange<'a> {
    /// The head, and the rules and fees of the block after it.
    pub head: Head,
    /// The state at the head.
    pub accounts: Arc<dyn Accounts>,
    /// The transactions of all blocks that have joined the chain.
    pub mined: &'a [Mined],
    /// The transactions of all blocks that have left the chain, in their order there: they come
    /// back into the pool unless the new blocks have them too.
    pub dropped: Vec<Recovered<EthTransaction>>,
    /// The accounts that differ from those at the head before, or more; none if that is not
    /// known, and then the accounts of all senders in the pool are read again. Senders of mined
    /// and dropped transactions need not be listed.
    pub changed: Option<&'a [Address]>,
}

impl Pool {
    /// Moves the pool to a new head.
    ///
    /// # Errors
    /// If an account cannot be read. The pool stays at the head it was at.
    pub fn on_head(&self, change: HeadChange<'_>) -> Result<(), AccountsError> {
        let HeadChange { head, accounts, mined, dropped, changed } = change;
        let _one_at_a_time = self.head_change.lock();
        let touched = changed.map(|changed| {
            let senders = mined.iter().map(|mined| mined.sender);
            let returning = dropped.iter().map(|tx| tx.signer());
            changed.iter().copied().chain(senders).chain(returning).collect::<AddressSet>()
        });
        let mut read = AddressMap::default();
        // New senders may arrive while accounts are read; they are read in the next round.
        let mut state = loop {
            let unread = unread(&self.state.read(), touched.as_ref(), &read);
            for address in unread {
                read.insert(address, accounts.account(&address)?);
            }
            let state = self.state.write();
            if self::unread(&state, touched.as_ref(), &read).is_empty() {
                break state;
            }
        };
        let mut changes = Changes::default();
        let left = keep_sidecars(&mut state, mined, head.number);
        let old = move_to(&mut state, head, accounts);
        apply(&mut state, &self.config, &old, read, mined, &mut changes);
        let returning: Vec<_> = dropped.into_iter().map(|tx| state.limbo.restore(tx)).collect();
        state.limbo.expire(head.number);
        state.shrink();
        drop(state);

        count(&self.counters.mined, left);
        count(&self.counters.dropped, changes.removed.len().saturating_sub(left));
        self.publish(&changes.promoted);
        if returning.is_empty() {
            return Ok(());
        }
        // They were valid once: neither the minimum tip nor what the next block charges matters.
        let rules = Arc::new(Rules::new(head, 0));
        let config = PoolConfig { refuse_unpayable: false, ..self.config.clone() };
        let prepare = |tx: Recovered<PooledEnvelope>| {
            let (tx, sender) = tx.into_parts();
            let tx = rules.prepare(&config, tx, Some(sender), Origin::External).ok()?;
            Some(Prepared { tx, rules: rules.clone() })
        };
        let returning: Vec<_> = returning.into_par_iter().filter_map(prepare).collect();
        let returned = self.admit(returning).iter().filter(|result| result.is_ok()).count();
        count(&self.counters.returned, returned);
        Ok(())
    }
}

/// The senders in the pool whose accounts may have changed and are not read.
fn unread(
    state: &State,
    touched: Option<&AddressSet>,
    read: &AddressMap<PoolAccount>,
) -> Vec<Address> {
    let unread = |address: &&Address| !read.contains_key(*address);
    let senders = state.senders().map(|(address, _)| address).filter(unread);
    match touched {
        None => senders.copied().collect(),
        Some(touched) if touched.len() > state.sender_count() => {
            senders.filter(|address| touched.contains(*address)).copied().collect()
        }
        Some(touched) => {
            let pooled = |address: &&Address| state.sender(address).is_some();
            touched.iter().filter(pooled).filter(unread).copied().collect()
        }
    }
}

/// Keeps the sidecars of mined blob transactions. Returns how many mined transactions are in the
/// pool.
fn keep_sidecars(state: &mut State, mined: &[Mined], number: u64) -> usize {
    let known: Vec<_> = mined.iter().filter_map(|mined| state.get(&mined.hash).cloned()).collect();
    let count = known.len();
    for tx in known {
        state.limbo.keep(number, tx);
    }
    count
}

/// Takes over the rules and the state. Returns the head before.
fn move_to(state: &mut State, head: Head, accounts: Arc<dyn Accounts>) -> Head {
    let old = state.rules.head;
    state.rules = Arc::new(Rules::new(head, state.rules.min_tip));
    state.accounts = accounts;
    state.generation += 1;
    state.order.set_base_fee(head.base_fee.into());
    old
}

/// What the new accounts and rules do to the transactions.
fn apply(
    state: &mut State,
    config: &PoolConfig,
    old: &Head,
    accounts: AddressMap<PoolAccount>,
    mined: &[Mined],
    changes: &mut Changes,
) {
    for (address, account) in accounts {
        state.set_account(address, account, changes);
    }
    // The nonces have removed them already, unless somebody set a nonce by hand.
    for Mined { hash, .. } in mined {
        changes.removed.extend(state.remove(hash));
    }
    let rules = state.rules.clone();
    let (new, old) = (&rules.head, old);
    if new.gas_limit < old.gas_limit {
        let limit = new.gas_limit;
        let affected: Vec<_> = (state.senders())
            .filter(|(_, queue)| queue.max_gas() > limit)
            .map(|(address, _)| *address)
            .collect();
        for sender in affected {
            let removed = state.take(sender, |queue| queue.remove_impossible(limit));
            changes.removed.extend(removed);
        }
    }
    let same = |head: &Head| {
        let blobs = head.blobs.map(|blobs| blobs.params);
        (head.spec, head.chain_id, head.max_tx_gas, head.max_init_code, blobs)
    };
    if same(new) != same(old) {
        let invalid: Vec<_> = (state.transactions())
            .filter(|tx| rules.check_again(tx).is_err())
            .map(|tx| tx.hash())
            .collect();
        for hash in invalid {
            changes.removed.extend(state.remove(&hash));
        }
    }
    state.disperse(config, None, changes);
    state.trim_queues(config, changes);
}
