//! The account trie: hashed address to account, with the account's storage trie below it.

use crate::{
    changes::{AccountChange, AccountUpdate},
    encode,
    error::{SourceError, TrieError},
    pass::{Extent, Pass, Scratch},
    path::Path,
    source::{FlatAccount, TrieReader, TrieSource},
    storage::Storage,
    tree::{Child, Keep, Kind, Outcome, Slot},
};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use warpline_types::AccountState;

/// The trie of all accounts.
#[derive(Debug)]
pub(crate) enum Accounts {}

/// An account in memory.
#[derive(Debug)]
pub(crate) struct Account {
    nonce: u64,
    balance: U256,
    /// What most accounts do not have.
    contract: Option<Box<Contract>>,
}

/// Code and storage of an account.
#[derive(Debug)]
pub(crate) struct Contract {
    code_hash: B256,
    pub(crate) storage: Slot<Storage>,
}

impl Account {
    pub(crate) fn new(flat: FlatAccount) -> Self {
        let FlatAccount { state, storage_root } = flat;
        let plain = state.code_hash == KECCAK256_EMPTY && storage_root == EMPTY_ROOT_HASH;
        let contract = Contract { code_hash: state.code_hash, storage: Slot::root(storage_root) };
        let contract = if plain { None } else { Some(Box::new(contract)) };
        Self { nonce: state.nonce, balance: state.balance, contract }
    }

    /// As it is stored. The storage root is of the last time it was computed.
    pub(crate) fn flat(&self) -> FlatAccount {
        let contract = self.contract.as_ref();
        FlatAccount {
            state: AccountState {
                nonce: self.nonce,
                balance: self.balance,
                code_hash: contract.map_or(KECCAK256_EMPTY, |contract| contract.code_hash),
            },
            storage_root: contract.map_or(EMPTY_ROOT_HASH, |contract| contract.storage.node.root()),
        }
    }

    /// The storage trie, if there is one.
    pub(crate) fn storage(&mut self) -> Option<&mut Slot<Storage>> {
        self.contract.as_mut().map(|contract| &mut contract.storage)
    }

    fn contract(&mut self) -> &mut Contract {
        self.contract.get_or_insert_with(|| {
            Box::new(Contract { code_hash: KECCAK256_EMPTY, storage: Slot::empty() })
        })
    }

    fn set(&mut self, state: AccountState) {
        (self.nonce, self.balance) = (state.nonce, state.balance);
        if self.contract.is_some() || state.code_hash != KECCAK256_EMPTY {
            self.contract().code_hash = state.code_hash;
        }
    }

    fn has_code_or_storage(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| {
            let storage = &contract.storage;
            contract.code_hash != KECCAK256_EMPTY || storage.dirty || storage.count > 0
        })
    }

    /// Brings the storage up to date. True if it has to wait for the final pass.
    fn update_storage<S: TrieSource>(
        &mut self,
        pass: &Pass<'_, S>,
        change: &AccountChange,
        scratch: &mut Scratch,
    ) -> Result<bool, TrieError> {
        let key = change.address;
        if change.wipe_storage && self.contract.is_some() {
            self.contract().storage = Slot::empty();
            scratch.log.wiped.push(key);
        }
        let unneeded = self.contract.is_none() && change.slots.iter().all(|s| s.value.is_zero());
        if !change.slots.is_empty() && !unneeded {
            let storage = &mut self.contract().storage;
            pass.update(key, storage, Path::ROOT, &change.slots, scratch)?;
            if matches!(storage.child, Child::Inner(_)) {
                scratch.log.storages.push(key);
            }
        }
        if !self.has_code_or_storage() {
            self.contract = None;
        }
        Ok(self.contract.as_ref().is_some_and(|contract| contract.storage.dirty))
    }
}

impl Kind for Accounts {
    type Scope = ();
    type Value = Account;
    type Change = AccountChange;

    fn storage_of((): ()) -> Option<B256> {
        None
    }

    #[inline]
    fn key(change: &AccountChange) -> &B256 {
        &change.address
    }

    fn read_node(
        reader: &mut impl TrieReader,
        (): (),
        path: Path,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError> {
        reader.account_node(&path.nibbles(), out)
    }

    fn read_leaves(
        reader: &mut impl TrieReader,
        (): (),
        from: B256,
        visit: &mut dyn FnMut(B256, Account) -> bool,
    ) -> Result<(), SourceError> {
        reader.accounts(from, &mut |key, flat| visit(key, Account::new(flat)))
    }

    fn encode(account: &Account, out: &mut Vec<u8>) {
        encode::account(&account.flat(), out);
    }

    fn apply<S: TrieSource>(
        pass: &Pass<'_, S>,
        old: Option<&mut Account>,
        change: &AccountChange,
        scratch: &mut Scratch,
    ) -> Result<Outcome<Account>, TrieError> {
        let key = change.address;
        let mut new = None;
        let (account, existed) = match (old, change.update) {
            (None, AccountUpdate::Delete) => {
                // It may have existed in the source: the block may have created it again before.
                scratch.log.accounts.push((key, None));
                return Ok(Outcome::Unchanged);
            }
            (Some(account), AccountUpdate::Delete) => {
                if account.contract.is_some() {
                    scratch.log.wiped.push(key);
                }
                scratch.log.accounts.push((key, None));
                return Ok(Outcome::Remove);
            }
            (None, AccountUpdate::Keep) => {
                return match change.slots.iter().all(|slot| slot.value.is_zero()) {
                    true => Ok(Outcome::Unchanged),
                    false => Err(TrieError::StorageWithoutAccount { account: key }),
                };
            }
            (None, AccountUpdate::Set(state)) => {
                (new.insert(Account::new(FlatAccount::new(state))), false)
            }
            (Some(account), _) => (account, true),
        };
        if let AccountUpdate::Set(state) = change.update {
            account.set(state);
        }
        let open = account.update_storage(pass, change, scratch)?;
        if !open {
            scratch.log.accounts.push((key, Some(account.flat())));
        }
        Ok(match (existed, new) {
            (false, Some(value)) => Outcome::Insert { value, open },
            _ => Outcome::Changed { open },
        })
    }

    fn settle<S: TrieSource>(
        pass: &Pass<'_, S>,
        key: &B256,
        account: &mut Account,
        scratch: &mut Scratch,
    ) -> Result<bool, TrieError> {
        let Some(storage) = account.storage().filter(|storage| storage.dirty) else {
            return Ok(false);
        };
        pass.update(*key, storage, Path::ROOT, &[], scratch)?;
        if !account.has_code_or_storage() {
            account.contract = None;
        }
        scratch.log.accounts.push((*key, Some(account.flat())));
        Ok(true)
    }

    fn prefetch<S: TrieSource>(
        pass: &Pass<'_, S>,
        old: Option<&mut Account>,
        change: &AccountChange,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        debug_assert_eq!(pass.extent, Extent::Load);
        match old.and_then(Account::storage) {
            Some(storage) if !change.wipe_storage => {
                pass.update(change.address, storage, Path::ROOT, &change.slots, scratch)
            }
            _ => Ok(()),
        }
    }

    fn shrink(account: &mut Account, keep: Option<Keep>) -> usize {
        account
            .contract
            .as_mut()
            .map_or(0, |contract| size_of::<Contract>() + contract.storage.shrink(keep))
    }
}
