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
    accounts: B256Map<OfAccount>,
    /// The tries may have other values than the foreseen ones: applying something failed half-way.
    unsure: bool,
}

/// What was foreseen of one account.
#[derive(Debug, Default)]
struct OfAccount {
    /// Its fields, if other ones than those of before.
    fields: Option<Fields>,
    /// The slots for which other values were foreseen than those of before.
    slots: B256Map<Value>,
}

/// An account's fields.
#[derive(Clone, Copy, Debug)]
struct Fields {
    /// `None` where it did not exist.
    before: Option<AccountState>,
    foreseen: AccountState,
}

/// A slot's value.
#[derive(Clone, Copy, Debug)]
struct Value {
    before: U256,
    foreseen: U256,
}

impl Foreseen {
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.unsure = false;
    }

    /// Takes note that applying something failed half-way.
    pub(crate) const fn failed(&mut self) {
        self.unsure = true;
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
        let untouched = known.is_none_or(|known| known.fields.is_none());
        let mut fields = None;
        match (change.update, now) {
            _ if change.wipe_storage => return None,
            (AccountUpdate::Delete, _) => return None,
            (AccountUpdate::Set(foreseen), before) if untouched && before != Some(foreseen) => {
                fields = Some(Fields { before, foreseen });
            }
            (_, Some(_)) => change.update = AccountUpdate::Keep,
            (_, None) => return None,
        }
        let mut storage = account.as_mut().and_then(|account| account.storage());
        let mut replaced = Vec::new();
        change.slots.retain(|slot| {
            let found = storage.as_mut().and_then(|storage| storage.find(&slot.slot));
            let before = found.map_or(U256::ZERO, |value| *value);
            let untouched = known.is_none_or(|known| !known.slots.contains_key(&slot.slot));
            let applied = untouched && before != slot.value;
            if applied {
                replaced.push((slot.slot, Value { before, foreseen: slot.value }));
            }
            applied
        });
        if fields.is_none() && replaced.is_empty() {
            return None;
        }
        let account = self.accounts.entry(change.address).or_default();
        account.fields = account.fields.or(fields);
        account.slots.extend(replaced);
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
        for (&address, account) in &self.accounts {
            let change = changes.binary_search_by(|change| change.address.cmp(&address));
            let change = change.ok().map(|at| &changes[at]);
            if change.is_none() {
                untouched.push(address);
            }
            back.extend(account.beside(address, change)?);
        }
        untouched.sort_unstable();
        Ok((back, untouched))
    }

    /// Takes out of `changes`, which are certain, what the tries have already, and returns that.
    pub(crate) fn take_done(&self, changes: &mut Vec<AccountChange>) -> Vec<AccountChange> {
        if self.unsure || self.is_empty() {
            return Vec::new();
        }
        let mut done = Vec::with_capacity(self.accounts.len().min(changes.len()));
        changes.retain_mut(|change| {
            let Some(account) = self.accounts.get(&change.address) else { return true };
            done.extend(account.take_done(change));
            change.update != AccountUpdate::Keep || !change.slots.is_empty() || change.wipe_storage
        });
        done
    }
}

impl OfAccount {
    fn take_done(&self, change: &mut AccountChange) -> Option<AccountChange> {
        if change.wipe_storage || change.update == AccountUpdate::Delete {
            return None;
        }
        let fields = self.fields.map(|fields| AccountUpdate::Set(fields.foreseen));
        let update = match fields == Some(change.update) {
            true => std::mem::take(&mut change.update),
            false => AccountUpdate::Keep,
        };
        let is_done = |slot: &mut SlotChange| {
            self.slots.get(&slot.slot).is_some_and(|value| value.foreseen == slot.value)
        };
        let slots: Vec<_> = change.slots.extract_if(.., is_done).collect();
        let none = update == AccountUpdate::Keep && slots.is_empty();
        let address = change.address;
        (!none).then_some(AccountChange { address, update, wipe_storage: false, slots })
    }

    fn beside(
        &self,
        address: B256,
        change: Option<&AccountChange>,
    ) -> Result<Option<AccountChange>, TrieError> {
        let changed = change.map_or(AccountUpdate::Keep, |change| change.update);
        if changed == AccountUpdate::Delete {
            return Ok(None);
        }
        let update = match self.fields {
            Some(fields) if changed == AccountUpdate::Keep => {
                fields.before.map_or(AccountUpdate::Delete, AccountUpdate::Set)
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
            slots.map(|(&slot, value)| SlotChange { slot, value: value.before }).collect();
        let none = update == AccountUpdate::Keep && slots.is_empty();
        Ok((!none).then_some(AccountChange { address, update, wipe_storage: false, slots }))
    }
}
