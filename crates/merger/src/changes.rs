//! What one transaction changed, without the maps.
//!
//! revm leaves a transaction's result as a map of accounts with a map of slots each, most of
//! which were only read. Whoever ran the transaction boils that down to the changes; whoever
//! commits it then walks two short lists.

use crate::Accesses;
use alloy_primitives::{Address, U256};
use core::ops::Range;
use revm::state::{Account, AccountInfo, EvmState};

/// What became of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not exist any more.
    Ended,
    /// A contract was created there: what was stored before is gone.
    Created,
    /// Its fields changed, its slots did, or both.
    Changed,
}

impl Fate {
    /// The fate of a touched account. One that ends empty is removed (EIP-161); before Spurious
    /// Dragon revm's journal marks the ones to keep as created.
    pub fn of(account: &Account) -> Self {
        if account.is_selfdestructed() || (!account.is_created() && account.is_empty()) {
            Self::Ended
        } else if account.is_created() {
            Self::Created
        } else {
            Self::Changed
        }
    }
}

/// One changed account.
#[derive(Clone, Debug)]
pub struct AccountChange {
    /// The account.
    pub address: Address,
    /// What became of it.
    pub fate: Fate,
    /// Its fields after the transaction; meaningless where it ended.
    pub info: AccountInfo,
    /// Its fields as the transaction found them; `None` where it did not exist.
    pub found: Option<AccountInfo>,
    slots: Range<u32>,
}

impl AccountChange {
    /// Whether the fields, not only slots, differ from what the transaction found.
    pub fn changes_info(&self) -> bool {
        self.fate != Fate::Changed || self.found.as_ref() != Some(&self.info)
    }

    /// Whether only balance and nonce differ, of an account without code that existed and was not
    /// empty before.
    pub fn is_plain(&self) -> bool {
        self.fate == Fate::Changed && changes_plainly(self.found.as_ref(), &self.info)
    }
}

/// Whether only balance and nonce differ, of an account without code that existed and was not
/// empty before, and is not now.
pub(crate) fn changes_plainly(found: Option<&AccountInfo>, info: &AccountInfo) -> bool {
    let plain = |info: &AccountInfo| info.is_empty_code_hash() && !info.is_empty();
    found.is_some_and(plain) && plain(info)
}

/// One changed slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotChange {
    /// The slot's key.
    pub key: U256,
    /// Value before the transaction.
    pub before: U256,
    /// Value after it.
    pub after: U256,
}

/// What one transaction changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    accounts: Vec<AccountChange>,
    slots: Vec<SlotChange>,
    /// All that the transaction accessed, where somebody wants to know.
    accesses: Option<Accesses>,
}

impl Changes {
    /// The changes in a transaction's resulting state. `found` tells how the transaction found an
    /// account.
    pub fn collect(state: &EvmState, found: impl Fn(&Address) -> Option<AccountInfo>) -> Self {
        let mut changes = Self::default();
        for (address, account) in state.iter().filter(|(_, account)| account.is_touched()) {
            let fate = Fate::of(account);
            let start = changes.slots.len() as u32;
            if fate != Fate::Ended {
                changes.slots.extend(account.changed_storage_slots().map(|(key, slot)| {
                    SlotChange { key: *key, before: slot.original_value, after: slot.present_value }
                }));
            }
            let slots = start..changes.slots.len() as u32;
            let found = found(address);
            let change =
                AccountChange { address: *address, fate, info: account.info.clone(), found, slots };
            if change.changes_info() || !change.slots.is_empty() {
                changes.accounts.push(change);
            }
        }
        changes
    }

    /// Adds what the transaction accessed besides, for a state that records accesses.
    #[must_use]
    pub fn with_accesses(self, accesses: Accesses) -> Self {
        Self { accesses: Some(accesses), ..self }
    }

    /// The changed accounts.
    pub fn accounts(&self) -> &[AccountChange] {
        &self.accounts
    }

    /// The changed slots of one of them.
    pub fn slots(&self, account: &AccountChange) -> &[SlotChange] {
        let range = account.slots.start as usize..account.slots.end as usize;
        self.slots.get(range).unwrap_or_default()
    }

    /// Whether the slot is among the changes, or its account's storage was reset.
    pub fn touches_slot(&self, address: &Address, key: &U256) -> bool {
        self.accounts.iter().any(|account| {
            account.address == *address
                && (account.fate != Fate::Changed
                    || self.slots(account).iter().any(|slot| slot.key == *key))
        })
    }

    /// Takes the lists apart, for committing.
    pub(crate) fn into_parts(self) -> (Vec<AccountChange>, Vec<SlotChange>, Option<Accesses>) {
        (self.accounts, self.slots, self.accesses)
    }
}

impl AccountChange {
    pub(crate) fn slot_range(&self) -> Range<usize> {
        self.slots.start as usize..self.slots.end as usize
    }
}
