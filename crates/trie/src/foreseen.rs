//! Changes that are worked on before it is certain that they come to be.
//!
//! While a block executes, most of what its transactions have left so far is what it will leave.
//! [`StateTrie::foresee`](crate::StateTrie::foresee) applies that to the tries, and notes here what
//! was there before. When changes that are certain are applied, whatever was foreseen and is not
//! among them gets its value of before back. So it does not matter what was foreseen: the root,
//! and the state that the tries stand for, follow from the certain changes alone.

use crate::{
    accounts::Accounts,
    changes::{AccountChange, AccountUpdate, SlotChange},
    error::TrieError,
    tree::Slot,
};
use alloy_primitives::{B256, U256, map::B256Map};
use warpline_types::AccountState;

/// What was foreseen, by hashed address.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    accounts: B256Map<Before>,
}

/// What one account was before.
#[derive(Debug, Default)]
struct Before {
    /// Its fields, if other ones were foreseen; `None` within where it did not exist.
    account: Option<Option<AccountState>>,
    /// The slots for which other values were foreseen.
    slots: B256Map<U256>,
}

impl Foreseen {
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
    }

    /// Notes what `change` replaces, and returns what of it is to be applied: what was not
    /// foreseen yet and makes a difference. A key that changes often is thus worked on twice at
    /// most. What takes storage away could not be taken back, and is left out. All that is
    /// concerned has to be in memory.
    pub(crate) fn note(
        &mut self,
        top: &mut Slot<Accounts>,
        mut change: AccountChange,
    ) -> Option<AccountChange> {
        let mut account = top.find(&change.address);
        let now = account.as_ref().map(|account| account.flat().state);
        let known = self.accounts.get(&change.address);
        let untouched = known.is_none_or(|before| before.account.is_none());
        match (change.update, now) {
            _ if change.wipe_storage => return None,
            (AccountUpdate::Delete, _) => return None,
            (AccountUpdate::Set(state), now) if untouched && now != Some(state) => {}
            (_, Some(_)) => change.update = AccountUpdate::Keep,
            (_, None) => return None,
        }
        let mut storage = account.as_mut().and_then(|account| account.storage());
        let mut replaced = Vec::new();
        change.slots.retain(|slot| {
            let found = storage.as_mut().and_then(|storage| storage.find(&slot.slot));
            let value = found.map_or(U256::ZERO, |value| *value);
            let untouched = known.is_none_or(|before| !before.slots.contains_key(&slot.slot));
            let applied = untouched && value != slot.value;
            if applied {
                replaced.push((slot.slot, value));
            }
            applied
        });
        let sets = change.update != AccountUpdate::Keep;
        if !sets && replaced.is_empty() {
            return None;
        }
        let before = self.accounts.entry(change.address).or_default();
        if sets {
            before.account = Some(now);
        }
        before.slots.extend(replaced);
        Some(change)
    }

    /// What gives everything that was foreseen and is not among `changes`, which are in ascending
    /// order, its value of before back; and, in ascending order, the accounts of which nothing is
    /// among them.
    pub(crate) fn beside(
        &self,
        changes: &[AccountChange],
    ) -> Result<(Vec<AccountChange>, Vec<B256>), TrieError> {
        let (mut back, mut untouched) = (Vec::new(), Vec::new());
        for (&address, before) in &self.accounts {
            let change = changes.binary_search_by(|change| change.address.cmp(&address));
            let change = change.ok().map(|at| &changes[at]);
            if change.is_none() {
                untouched.push(address);
            }
            back.extend(before.beside(address, change)?);
        }
        untouched.sort_unstable();
        Ok((back, untouched))
    }
}

impl Before {
    fn beside(
        &self,
        address: B256,
        change: Option<&AccountChange>,
    ) -> Result<Option<AccountChange>, TrieError> {
        let changed = change.map_or(AccountUpdate::Keep, |change| change.update);
        if changed == AccountUpdate::Delete {
            return Ok(None);
        }
        let update = match self.account {
            Some(before) if changed == AccountUpdate::Keep => {
                before.map_or(AccountUpdate::Delete, AccountUpdate::Set)
            }
            _ => AccountUpdate::Keep,
        };
        let changed = change.map_or(&[][..], |change| &change.slots);
        if update == AccountUpdate::Delete {
            if changed.iter().any(|slot| !slot.value.is_zero()) {
                return Err(TrieError::StorageWithoutAccount { account: address });
            }
            return Ok(Some(AccountChange { address, update, ..AccountChange::default() }));
        }
        let wiped = change.is_some_and(|change| change.wipe_storage);
        let beside = |slot: &B256| {
            !wiped && changed.binary_search_by(|changed| changed.slot.cmp(slot)).is_err()
        };
        let slots = self.slots.iter().filter(|(slot, _)| beside(slot));
        let slots: Vec<_> =
            slots.map(|(slot, value)| SlotChange { slot: *slot, value: *value }).collect();
        let none = update == AccountUpdate::Keep && slots.is_empty();
        Ok((!none).then_some(AccountChange { address, update, wipe_storage: false, slots }))
    }
}
