//! Is what a speculative execution read still true?
//!
//! Every read is compared, by value, with the canonical state at the transaction's turn. If all
//! hold, executing the transaction there would read the same and so do the same. Balances that
//! were not observed need not be equal: see [`BalanceWatch`].

use crate::parallel::{
    view::{AccountRead, ReadLog},
    watch::{BalanceWatch, is_vast},
};
use alloy_primitives::{Address, U256};
use warpline_merger::{AccountEntry, Adjustment, CanonicalState};

/// What the transaction itself observes of accounts before its code runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) sender: Address,
    /// Value plus the most the gas can cost; `None` where that overflows.
    pub(crate) cost: Option<U256>,
    /// The sender is charged `cost` at most, so that any balance that covers it will do. If not,
    /// who knows what the balance is held against.
    pub(crate) standard_charges: bool,
    /// It carries EIP-7702 authorizations, which check the nonces of other accounts.
    pub(crate) authorizes: bool,
}

/// Reusable memory of [`validate`].
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// How the outcome's accounts have to be corrected.
    pub(crate) adjustments: Vec<Adjustment>,
    dirty: Vec<bool>,
}

/// Whether every read still holds. If so `scratch.adjustments` says how to correct the outcome.
pub(crate) fn validate<DB, S>(
    state: &CanonicalState<DB, S>,
    log: &ReadLog,
    watch: &BalanceWatch,
    envelope: impl Fn() -> Envelope,
    scratch: &mut Scratch,
) -> bool {
    scratch.adjustments.clear();
    scratch.dirty.clear();
    for read in &log.accounts {
        let entry = state.entry(&read.address);
        scratch.dirty.push(entry.is_some_and(AccountEntry::is_dirty));
        let Some(entry) = entry else {
            if read.from_parent {
                continue;
            }
            return false;
        };
        if !keep(account_holds(entry, read, watch, &envelope), scratch) {
            return false;
        }
    }
    log.slots.iter().all(|read| {
        let untouched = match read.account {
            Some(account) => !scratch.dirty[account as usize],
            None => state.entry(&read.address).is_none_or(|entry| !entry.is_dirty()),
        };
        if untouched {
            return read.version.is_none();
        }
        match state.entry(&read.address).and_then(|entry| entry.slot(&read.key)) {
            Some(value) => value == read.seen,
            None => read.version.is_none(),
        }
    })
}

/// Keeps how an account has to be corrected. `false` where it does not hold.
pub(crate) fn keep(holds: Holds, scratch: &mut Scratch) -> bool {
    match holds {
        Holds::Exactly => true,
        Holds::Adjusted(adjustment) => {
            scratch.adjustments.push(adjustment);
            true
        }
        Holds::No => false,
    }
}

/// Whether an account is as the transaction found it, as far as the transaction looked.
pub(crate) enum Holds {
    Exactly,
    Adjusted(Adjustment),
    No,
}

pub(crate) fn account_holds(
    entry: &AccountEntry,
    read: &AccountRead,
    watch: &BalanceWatch,
    envelope: &impl Fn() -> Envelope,
) -> Holds {
    let (seen, now) = match (&read.seen, entry.info()) {
        (None, None) => return Holds::Exactly,
        (Some(seen), Some(now)) => (seen, now),
        _ => return Holds::No,
    };
    if seen.code_hash != now.code_hash || seen.is_empty() != now.is_empty() {
        return Holds::No;
    }
    let same_nonce = seen.nonce == now.nonce;
    if same_nonce && seen.balance == now.balance {
        return Holds::Exactly;
    }
    let envelope = envelope();
    let sends = envelope.sender == read.address;
    // A nonce is looked at when the account sends, creates, is created at, or authorizes.
    if !same_nonce && (sends || watch.creates() || envelope.authorizes) {
        return Holds::No;
    }
    if seen.balance != now.balance {
        if sends && !envelope.standard_charges {
            return Holds::No;
        }
        let mut needed = watch.debit(&read.address);
        if sends {
            needed = needed.zip(envelope.cost).and_then(|(debit, cost)| debit.checked_add(cost));
        }
        // With enough on both sides every transfer out succeeds on both sides.
        let enough = needed.is_some_and(|needed| {
            needed.is_zero() || (seen.balance >= needed && now.balance >= needed)
        });
        // A credit that overflows fails, so near the limit every credit looks at the balance.
        let vast = is_vast(&seen.balance)
            || is_vast(&now.balance)
            || watch.vast()
            || envelope.cost.is_none_or(|cost| is_vast(&cost));
        if watch.observed(&read.address) || !enough || vast {
            return Holds::No;
        }
    }
    Holds::Adjusted(Adjustment {
        address: read.address,
        balance: now.balance.wrapping_sub(seen.balance),
        nonce: now.nonce.wrapping_sub(seen.nonce),
    })
}
