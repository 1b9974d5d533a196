//! What is to become of the state, by hashed keys.

use alloy_primitives::{B256, U256, keccak256};
use warpline_types::{AccountDiff, AccountState};

/// What is to become of an account, apart from its storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountUpdate {
    /// It stays as it is. It must exist if slots of it are set.
    #[default]
    Keep,
    /// It exists, with this nonce, balance and code.
    Set(AccountState),
    /// It does not exist, and neither does its storage.
    Delete,
}

/// One slot's new value; zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// Keccak-256 of the slot's number.
    pub slot: B256,
    /// The value after the change.
    pub value: U256,
}

/// Changes of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Keccak-256 of the address.
    pub address: B256,
    /// The account itself.
    pub update: AccountUpdate,
    /// All slots of before are removed first.
    pub wipe_storage: bool,
    /// Slots, each with its last value.
    pub slots: Vec<SlotChange>,
}

impl AccountChange {
    /// What a block did to an account.
    pub fn from_diff(diff: &AccountDiff) -> Self {
        let update = match diff.after {
            None => AccountUpdate::Delete,
            Some(after) if diff.before == Some(after) && !diff.storage_cleared => {
                AccountUpdate::Keep
            }
            Some(after) => AccountUpdate::Set(after),
        };
        let slot = |slot: B256, value| SlotChange { slot: keccak256(slot), value };
        let slots = diff.storage.iter().map(|diff| slot(diff.slot.into(), diff.after));
        Self {
            address: keccak256(diff.address),
            update,
            wipe_storage: diff.storage_cleared,
            slots: if diff.after.is_none() { Vec::new() } else { slots.collect() },
        }
    }

    /// Takes in a later change of the same account.
    fn absorb(&mut self, later: Self) {
        let deleted = later.update == AccountUpdate::Delete;
        if deleted || later.wipe_storage {
            self.slots.clear();
            // Deletion takes the storage with it; if the account comes back, that must not be
            // forgotten.
            self.wipe_storage = true;
        }
        if self.update == AccountUpdate::Delete && later.update != AccountUpdate::Keep {
            self.wipe_storage = true;
        }
        if later.update != AccountUpdate::Keep {
            self.update = later.update;
        }
        if self.slots.is_empty() {
            self.slots = later.slots;
        } else {
            self.slots.extend(later.slots);
        }
    }
}

/// Brings changes into ascending order, with one entry per account and per slot; of several, the
/// last one counts.
pub(crate) fn normalize(mut changes: Vec<AccountChange>) -> Vec<AccountChange> {
    // Sorting small keys and moving each change once is far cheaper than sorting the changes.
    let mut order: Vec<(u64, usize)> =
        changes.iter().enumerate().map(|(at, change)| (head(&change.address), at)).collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| changes[a.1].address.cmp(&changes[b.1].address))
            .then_with(|| a.1.cmp(&b.1))
    });
    let mut sorted: Vec<AccountChange> = Vec::with_capacity(changes.len());
    for (_, at) in order {
        let change = std::mem::take(&mut changes[at]);
        match sorted.last_mut() {
            Some(last) if last.address == change.address => last.absorb(change),
            _ => sorted.push(change),
        }
    }
    for change in &mut sorted {
        let ascending = |slots: &[SlotChange]| slots.is_sorted_by(|a, b| a.slot < b.slot);
        if !ascending(&change.slots) {
            change.slots.sort_by_key(|slot| slot.slot);
            // Sorting was stable: the last of equal ones is the newest. Keep that one.
            change.slots.reverse();
            change.slots.dedup_by_key(|slot| slot.slot);
            change.slots.reverse();
        }
    }
    sorted
}

/// The first bytes of a key, in the same order as the keys.
fn head(key: &B256) -> u64 {
    let mut head = [0; 8];
    head.copy_from_slice(&key[..8]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(update: AccountUpdate, wipe_storage: bool, slots: &[(u8, u64)]) -> AccountChange {
        let slot = |&(slot, value): &(u8, u64)| SlotChange {
            slot: B256::repeat_byte(slot),
            value: U256::from(value),
        };
        let slots = slots.iter().map(slot).collect();
        AccountChange { address: B256::repeat_byte(1), update, wipe_storage, slots }
    }

    fn state(nonce: u64) -> AccountUpdate {
        AccountUpdate::Set(AccountState { nonce, ..Default::default() })
    }

    #[test]
    fn the_last_value_of_a_slot_counts() {
        let first = change(state(1), false, &[(3, 30), (2, 20)]);
        let second = change(AccountUpdate::Keep, false, &[(2, 21), (4, 40), (2, 22)]);
        let expected = change(state(1), false, &[(2, 22), (3, 30), (4, 40)]);
        assert_eq!(normalize(vec![first, second]), [expected]);
    }

    #[test]
    fn an_account_that_comes_back_comes_back_without_its_storage() {
        let changes = vec![
            change(AccountUpdate::Keep, false, &[(2, 20)]),
            change(AccountUpdate::Delete, false, &[]),
            change(state(7), false, &[(5, 50)]),
        ];
        assert_eq!(normalize(changes), [change(state(7), true, &[(5, 50)])]);
    }

    #[test]
    fn accounts_end_in_ascending_order() {
        let with = |byte| AccountChange { address: B256::repeat_byte(byte), ..Default::default() };
        let sorted = normalize(vec![with(9), with(1), with(4), with(1)]);
        assert_eq!(sorted, [with(1), with(4), with(9)]);
    }
}
