//! Is what a speculative execution read still true?
//!
//! Every read is compared, by value, with the canonical state at the transaction's turn. If all
//! hold, executing the transaction there would read the same and so do the same. Balances that
//! were not observed need not be equal: see [`BalanceWatch`].

use crate::parallel::{
    view::{AccountRead, ReadLog},
    watch::BalanceWatch,
};
use alloy_primitives::{Address, U256};
use warpline_merger::{AccountEntry, CanonicalState};

/// What the transaction itself demands of its sender's balance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upfront {
    pub(crate) sender: Address,
    /// Value plus the most the gas can cost; `None` where that overflows.
    pub(crate) cost: Option<U256>,
}

/// By how much the balances in an outcome have to be corrected, modulo 2²⁵⁶.
pub(crate) type Adjustments = Vec<(Address, U256)>;

/// Reusable memory of [`validate`].
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) adjustments: Adjustments,
    dirty: Vec<bool>,
}

/// Whether every read still holds. If so `scratch.adjustments` says how to correct the outcome's
/// balances.
pub(crate) fn validate<DB, S>(
    state: &CanonicalState<DB, S>,
    log: &ReadLog,
    watch: &BalanceWatch,
    upfront: impl Fn() -> Upfront,
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
        match account_holds(entry, read, watch, &upfront) {
            Some(U256::ZERO) => {}
            Some(adjustment) => scratch.adjustments.push((read.address, adjustment)),
            None => return false,
        }
    }
    log.slots.iter().all(|read| {
        let untouched = match read.account {
            Some(account) => !scratch.dirty[account as usize],
            None => state.entry(&read.address).is_none_or(|entry| !entry.is_dirty()),
        };
        if untouched {
            return read.from_parent;
        }
        match state.entry(&read.address).and_then(|entry| entry.slot(&read.key)) {
            Some(value) => value == read.seen,
            None => read.from_parent,
        }
    })
}

/// The balance adjustment if the read still holds.
fn account_holds(
    entry: &AccountEntry,
    read: &AccountRead,
    watch: &BalanceWatch,
    upfront: &impl Fn() -> Upfront,
) -> Option<U256> {
    let (seen, now) = match (&read.seen, entry.info()) {
        (None, None) => return Some(U256::ZERO),
        (Some(seen), Some(now)) => (seen, now),
        _ => return None,
    };
    if seen.nonce != now.nonce || seen.code_hash != now.code_hash {
        return None;
    }
    if seen.balance == now.balance {
        return Some(U256::ZERO);
    }
    if watch.observed(&read.address) || seen.is_empty() != now.is_empty() {
        return None;
    }
    let mut needed = watch.debit(&read.address)?;
    let upfront = upfront();
    if upfront.sender == read.address {
        needed = needed.checked_add(upfront.cost?)?;
    }
    // With enough on both sides every transfer out succeeds on both sides.
    if !needed.is_zero() && (seen.balance < needed || now.balance < needed) {
        return None;
    }
    Some(now.balance.wrapping_sub(seen.balance))
}
