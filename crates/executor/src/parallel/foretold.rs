//! A block access list as a hint (EIP-7928): what the transactions before one will have left.
//!
//! With the list of a block nobody has to wait for anybody. Every speculation reads the parent
//! state with the list's values on top, whatever has been committed by then. The front validates
//! the outcome as ever, so that a wrong list costs time and nothing else.

use alloy_eips::eip7928::{AccountChanges, BlockAccessIndex, BlockAccessList};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, HashMap},
};
use revm::{
    primitives::KECCAK_EMPTY,
    state::{AccountInfo, Bytecode},
};

/// A supplied list, ready to be asked. It may hold anything, in any order.
#[derive(Debug)]
pub(crate) struct Foretold<'l> {
    accounts: AddressMap<&'l AccountChanges>,
    /// Code by account and position of its change.
    codes: HashMap<(Address, u32), (B256, Bytecode)>,
}

impl<'l> Foretold<'l> {
    pub(crate) fn new(list: &'l BlockAccessList) -> Self {
        let accounts = list.iter().map(|account| (account.address, account)).collect();
        let mut codes = HashMap::default();
        for account in list {
            for (change, at) in account.code_changes.iter().zip(0..) {
                let code = Bytecode::new_raw_checked(change.new_code.clone());
                // What is no code is nothing that an execution will leave.
                if let Ok(code) = code {
                    let hash = if code.is_empty() { KECCAK_EMPTY } else { code.hash_slow() };
                    codes.insert((account.address, at), (hash, code));
                }
            }
        }
        Self { accounts, codes }
    }

    /// The account as the transaction at position `reader` of the block will find it, and whether
    /// that differs from `parent`, the account before the block.
    pub(crate) fn account(
        &self,
        address: Address,
        reader: u32,
        parent: Option<AccountInfo>,
    ) -> (Option<AccountInfo>, bool) {
        let Some(account) = self.accounts.get(&address) else { return (parent, false) };
        let balance = last(&account.balance_changes, reader, |change| change.block_access_index);
        let nonce = last(&account.nonce_changes, reader, |change| change.block_access_index);
        let codes = &account.code_changes;
        let code = codes.partition_point(|change| change.block_access_index.0 < reader.into());
        let code = code.checked_sub(1).and_then(|at| self.codes.get(&(address, at as u32)));
        if balance.is_none() && nonce.is_none() && code.is_none() {
            return (parent, false);
        }
        let mut info = parent.unwrap_or_default();
        if let Some(change) = balance {
            info.balance = change.post_balance;
        }
        if let Some(change) = nonce {
            info.nonce = change.new_nonce;
        }
        if let Some((hash, code)) = code {
            info.code_hash = *hash;
            info.code = Some(code.clone());
        }
        // What ends empty does not exist (EIP-161).
        ((!info.is_empty()).then_some(info), true)
    }

    /// What the transactions before position `reader` will have left in a slot and who of them, or
    /// `None` where none of them changes it.
    pub(crate) fn slot(&self, address: Address, key: U256, reader: u32) -> Option<(U256, u32)> {
        let account = self.accounts.get(&address)?;
        let slots = &account.storage_changes;
        let slot = slots.binary_search_by_key(&key, |slot| slot.slot).ok();
        let changes = slot.and_then(|at| slots.get(at)).map_or(&[][..], |slot| &slot.changes);
        let change = last(changes, reader, |change| change.block_access_index);
        let written = change.map(|change| (change.new_value, change.block_access_index.0 as u32));
        let ended = end(account, reader);
        match (written, ended) {
            (Some((_, at)), Some(end)) if at <= end => Some((U256::ZERO, end)),
            (None, Some(end)) => Some((U256::ZERO, end)),
            (written, _) => written,
        }
    }
}

/// The last change before `reader`.
fn last<T>(changes: &[T], reader: u32, index: impl Fn(&T) -> BlockAccessIndex) -> Option<&T> {
    let before = changes.partition_point(|change| index(change).0 < reader.into());
    before.checked_sub(1).and_then(|at| changes.get(at))
}

/// When the account last destroyed itself before `reader`: its code went and its nonce did not
/// rise, as it does where a delegation is taken back. The list does not name the slots that go
/// along.
fn end(account: &AccountChanges, reader: u32) -> Option<u32> {
    let gone = |at: BlockAccessIndex| {
        let mut nonces = account.nonce_changes.iter();
        nonces
            .find(|change| change.block_access_index == at)
            .is_none_or(|nonce| nonce.new_nonce == 0)
    };
    let mut codes = account.code_changes.iter().rev();
    let last = codes.find(|change| {
        let at = change.block_access_index;
        at.0 < reader.into() && change.new_code.is_empty() && gone(at)
    })?;
    Some(last.block_access_index.0 as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::eip7928::{BalanceChange, CodeChange, NonceChange, SlotChanges, StorageChange};
    use alloy_primitives::Bytes;

    const fn at(index: u64) -> BlockAccessIndex {
        BlockAccessIndex::new(index)
    }

    const fn wei(amount: u64) -> U256 {
        U256::from_limbs([amount, 0, 0, 0])
    }

    fn list(change: impl FnOnce(&mut AccountChanges)) -> BlockAccessList {
        let mut account = AccountChanges::new(Address::ZERO);
        change(&mut account);
        vec![account]
    }

    #[test]
    fn a_reader_sees_the_last_change_before_it() {
        let list = list(|account| {
            account.balance_changes =
                vec![BalanceChange::new(at(2), wei(20)), BalanceChange::new(at(4), wei(40))];
            let changes =
                vec![StorageChange::new(at(0), wei(7)), StorageChange::new(at(3), wei(8))];
            account.storage_changes = vec![SlotChanges::new(wei(1), changes)];
        });
        let foretold = Foretold::new(&list);
        let parent = AccountInfo::from_balance(wei(1));
        let balance = |reader| {
            let (info, changed) = foretold.account(Address::ZERO, reader, Some(parent.clone()));
            (info.unwrap().balance, changed)
        };
        assert_eq!(
            [2, 3, 4, 5].map(balance),
            [(wei(1), false), (wei(20), true), (wei(20), true), (wei(40), true)]
        );
        let slot = |reader| foretold.slot(Address::ZERO, wei(1), reader);
        assert_eq!([1, 3, 4].map(slot), [(7, 0), (7, 0), (8, 3)].map(|(v, i)| Some((wei(v), i))));
        assert_eq!(foretold.slot(Address::ZERO, wei(2), 9), None);
    }

    #[test]
    fn a_destroyed_contract_loses_all_slots_and_a_delegation_none() {
        let mut list = list(|account| {
            account.code_changes = vec![CodeChange::new(at(3), Bytes::new())];
            account.nonce_changes = vec![NonceChange::new(at(3), 0)];
            let changes =
                vec![StorageChange::new(at(2), wei(7)), StorageChange::new(at(5), wei(8))];
            account.storage_changes = vec![SlotChanges::new(wei(1), changes)];
        });
        let seen = |list: &BlockAccessList, key, reader| {
            Foretold::new(list).slot(Address::ZERO, wei(key), reader)
        };
        assert_eq!(seen(&list, 1, 3), Some((wei(7), 2)));
        assert_eq!(seen(&list, 1, 4), Some((wei(0), 3)));
        assert_eq!(seen(&list, 2, 4), Some((wei(0), 3)));
        assert_eq!(seen(&list, 1, 6), Some((wei(8), 5)));
        list[0].nonce_changes = vec![NonceChange::new(at(3), 9)];
        assert_eq!(seen(&list, 1, 4), Some((wei(7), 2)));
        assert_eq!(seen(&list, 2, 4), None);
    }

    #[test]
    fn an_account_that_ends_empty_does_not_exist() {
        let list =
            list(|account| account.balance_changes = vec![BalanceChange::new(at(1), wei(0))]);
        let parent = Some(AccountInfo::from_balance(wei(1)));
        let (info, changed) = Foretold::new(&list).account(Address::ZERO, 2, parent);
        assert!(info.is_none() && changed);
    }
}
