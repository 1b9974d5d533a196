//! Where a supplied block access list differs from the one that the execution gave.

use alloy_eips::eip7928::{AccountChanges, BlockAccessIndex, SlotChanges};
use alloy_primitives::{Address, U256, hex};
use core::fmt;

/// What kind of entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEntry {
    /// The account as a whole.
    Account,
    /// A change of this slot.
    Slot(U256),
    /// This slot among those that are only read.
    Read(U256),
    /// A change of the balance.
    Balance,
    /// A change of the nonce.
    Nonce,
    /// A change of the code.
    Code,
}

/// The first entry in which two block access lists differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListDifference {
    /// The account.
    pub address: Address,
    /// What of it.
    pub entry: ListEntry,
    /// The position in the block, for a change.
    pub index: Option<BlockAccessIndex>,
    /// What the supplied list says; `None` where it has no such entry.
    pub supplied: Option<String>,
    /// What the execution gave; `None` where that has no such entry.
    pub actual: Option<String>,
}

impl fmt::Display for ListDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}", self.address)?;
        match self.entry {
            ListEntry::Account => Ok(()),
            ListEntry::Slot(slot) => write!(f, ", slot {slot:#x}"),
            ListEntry::Read(slot) => write!(f, ", read of slot {slot:#x}"),
            ListEntry::Balance => f.write_str(", balance"),
            ListEntry::Nonce => f.write_str(", nonce"),
            ListEntry::Code => f.write_str(", code"),
        }?;
        if let Some(index) = self.index {
            write!(f, " at index {}", index.0)?;
        }
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "no entry".into());
        write!(f, ": the list has {}, it is {}", show(&self.supplied), show(&self.actual))
    }
}

/// The first entry of `supplied` that is not as in `actual`, `None` where the lists are equal.
pub fn first_list_difference(
    supplied: &[AccountChanges],
    actual: &[AccountChanges],
) -> Option<ListDifference> {
    let (address, left, right) = first_unequal(supplied, actual, |account| account.address)?;
    if let (Some(left), Some(right)) = (left, right) {
        return account_difference(left, right);
    }
    let present = |account: Option<&AccountChanges>| account.map(|_| "an entry".to_owned());
    let (supplied, actual) = (present(left), present(right));
    Some(ListDifference { address, entry: ListEntry::Account, index: None, supplied, actual })
}

fn account_difference<'a>(
    left: &'a AccountChanges,
    right: &'a AccountChanges,
) -> Option<ListDifference> {
    let differ = |entry, index, [supplied, actual]: [Option<String>; 2]| ListDifference {
        address: right.address,
        entry,
        index,
        supplied,
        actual,
    };
    let slot = || {
        let slots = [left, right].map(|account| &account.storage_changes);
        let (slot, left, right) = first_unequal(slots[0], slots[1], |slot| slot.slot)?;
        let changes = |slot: Option<&'a SlotChanges>| {
            slot.map_or(&[][..], |slot: &SlotChanges| &slot.changes)
        };
        let (left, right) = (changes(left), changes(right));
        let (index, left, right) = first_unequal(left, right, |c| c.block_access_index)?;
        let values = [left, right].map(|change| change.map(|c| format!("{:#x}", c.new_value)));
        Some(differ(ListEntry::Slot(slot), Some(index), values))
    };
    let read = || {
        let (slot, left, right) =
            first_unequal(&left.storage_reads, &right.storage_reads, |slot| *slot)?;
        let values = [left, right].map(|read| read.map(|_| "an entry".to_owned()));
        Some(differ(ListEntry::Read(slot), None, values))
    };
    let balance = || {
        let (left, right) = (&left.balance_changes, &right.balance_changes);
        let (index, left, right) = first_unequal(left, right, |c| c.block_access_index)?;
        let values = [left, right].map(|change| change.map(|c| c.post_balance.to_string()));
        Some(differ(ListEntry::Balance, Some(index), values))
    };
    let nonce = || {
        let (left, right) = (&left.nonce_changes, &right.nonce_changes);
        let (index, left, right) = first_unequal(left, right, |c| c.block_access_index)?;
        let values = [left, right].map(|change| change.map(|c| c.new_nonce.to_string()));
        Some(differ(ListEntry::Nonce, Some(index), values))
    };
    let code = || {
        let (left, right) = (&left.code_changes, &right.code_changes);
        let (index, left, right) = first_unequal(left, right, |c| c.block_access_index)?;
        let values = [left, right].map(|change| change.map(|c| shown(&c.new_code)));
        Some(differ(ListEntry::Code, Some(index), values))
    };
    slot().or_else(read).or_else(balance).or_else(nonce).or_else(code)
}

/// Code as far as it can be read in a message.
fn shown(code: &[u8]) -> String {
    const SHOWN: usize = 32;
    let start = code.get(..SHOWN).unwrap_or(code);
    let more = if start.len() < code.len() { "…" } else { "" };
    format!("{} bytes of code ({}{more})", code.len(), hex::encode_prefixed(start))
}

/// The key of the first items that differ, and what there is under it on either side.
fn first_unequal<'l, T: PartialEq, K: Ord>(
    left: &'l [T],
    right: &'l [T],
    key: impl Fn(&T) -> K,
) -> Option<(K, Option<&'l T>, Option<&'l T>)> {
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    match (left.get(same), right.get(same)) {
        (None, None) => None,
        (Some(left), None) => Some((key(left), Some(left), None)),
        (None, Some(right)) => Some((key(right), None, Some(right))),
        (Some(left), Some(right)) => Some(match key(left).cmp(&key(right)) {
            core::cmp::Ordering::Less => (key(left), Some(left), None),
            core::cmp::Ordering::Equal => (key(right), Some(left), Some(right)),
            core::cmp::Ordering::Greater => (key(right), None, Some(right)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::eip7928::{
        BalanceChange, BlockAccessList, CodeChange, NonceChange, StorageChange,
    };

    const fn at(index: u64) -> BlockAccessIndex {
        BlockAccessIndex::new(index)
    }

    fn list() -> BlockAccessList {
        let account = |byte| {
            let mut account = AccountChanges::new(Address::repeat_byte(byte));
            let change = |index, value: u64| StorageChange::new(at(index), U256::from(value));
            account.storage_changes =
                vec![SlotChanges::new(U256::from(1), vec![change(1, 10), change(3, 30)])];
            account.storage_reads = vec![U256::from(2), U256::from(3)];
            account.balance_changes = vec![BalanceChange::new(at(2), U256::from(5))];
            account.nonce_changes = vec![NonceChange::new(at(2), 1)];
            account.code_changes = vec![CodeChange::new(at(2), vec![1; 40].into())];
            account
        };
        vec![account(1), account(2)]
    }

    /// What is said of the list of above after an edit.
    fn said(edit: impl FnOnce(&mut BlockAccessList)) -> String {
        let mut supplied = list();
        edit(&mut supplied);
        let difference = first_list_difference(&supplied, &list()).unwrap();
        let said = difference.to_string();
        said.replace("0x0202020202020202020202020202020202020202", "two")
            .replace("0x0101010101010101010101010101010101010101", "one")
    }

    #[test]
    fn equal_lists_do_not_differ() {
        assert_eq!(first_list_difference(&list(), &list()), None);
    }

    #[test]
    fn accounts_too_many_and_too_few_are_named() {
        assert_eq!(
            said(|list| drop(list.remove(0))),
            "account one: the list has no entry, it is an entry"
        );
        assert_eq!(
            said(|list| drop(list.pop())),
            "account two: the list has no entry, it is an entry"
        );
        let zero = AccountChanges::new(Address::ZERO);
        assert_eq!(
            said(|list| list.insert(0, zero)),
            "account 0x0000000000000000000000000000000000000000: the list has an entry, it is no entry"
        );
    }

    #[test]
    fn the_entry_is_named_with_both_values() {
        assert_eq!(
            said(|list| list[1].storage_changes[0].changes[1].new_value = U256::from(31)),
            "account two, slot 0x1 at index 3: the list has 0x1f, it is 0x1e"
        );
        assert_eq!(
            said(|list| list[1].storage_changes.clear()),
            "account two, slot 0x1 at index 1: the list has no entry, it is 0xa"
        );
        assert_eq!(
            said(|list| {
                list[1].storage_reads.remove(0);
            }),
            "account two, read of slot 0x2: the list has no entry, it is an entry"
        );
        assert_eq!(
            said(|list| list[1].balance_changes[0].post_balance = U256::from(6)),
            "account two, balance at index 2: the list has 6, it is 5"
        );
        assert_eq!(
            said(|list| list[1].nonce_changes[0].block_access_index = at(1)),
            "account two, nonce at index 1: the list has 1, it is no entry"
        );
        let code = said(|list| list[1].code_changes[0].new_code = vec![2].into());
        assert!(
            code.starts_with(
                "account two, code at index 2: the list has 1 bytes of code (0x02), it is 40 bytes"
            ),
            "{code}"
        );
    }
}
