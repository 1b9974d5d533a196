//! A state that the changes of every transaction are committed to at once, so that something can
//! be done between transactions.

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, AddressSet, B256Map, HashMap},
};
use core::mem;
use revm::{
    Database, DatabaseCommit,
    state::{Account, AccountInfo, Bytecode},
};
use warpline_types::{AccountDiff, SlotDiff, StateDiff};

/// A database over the state before a block, with what was committed on top.
#[derive(Debug)]
pub(crate) struct Committed<D> {
    before: D,
    accounts: AddressMap<Option<AccountInfo>>,
    slots: HashMap<(Address, U256), U256>,
    /// Accounts whose storage of before is gone.
    cleared: AddressSet,
    codes: B256Map<Bytecode>,
    /// What was committed since this was asked for last. It does not say what was before.
    changes: StateDiff,
}

impl<D> Committed<D> {
    pub(crate) fn new(before: D) -> Self {
        Self {
            before,
            accounts: AddressMap::default(),
            slots: HashMap::default(),
            cleared: AddressSet::default(),
            codes: B256Map::default(),
            changes: StateDiff::default(),
        }
    }

    /// What was committed since the last time. Values of before are not filled in.
    pub(crate) fn take_changes(&mut self) -> StateDiff {
        mem::take(&mut self.changes)
    }

    fn clear_storage(&mut self, address: Address) {
        self.slots.retain(|(of, _), _| *of != address);
        self.cleared.insert(address);
    }

    fn commit_account(&mut self, address: Address, account: Account) {
        // Empty accounts go (EIP-161); before that rule the journal marks them as created.
        let gone = account.is_selfdestructed() || (!account.is_created() && account.is_empty());
        let cleared = gone || account.is_created();
        if cleared {
            self.clear_storage(address);
        }
        let mut storage = Vec::new();
        let mut after = None;
        if !gone {
            for (slot, value) in account.changed_storage_slots() {
                let after = value.present_value();
                self.slots.insert((address, *slot), after);
                storage.push(SlotDiff { slot: *slot, before: U256::ZERO, after });
            }
            if let Some(code) = &account.info.code
                && !code.is_empty()
            {
                self.codes.insert(account.info.code_hash, code.clone());
                self.changes.codes.push((account.info.code_hash, code.original_bytes()));
            }
            after = Some(crate::before::account_state(&account.info));
        }
        let info = after.map(|_| AccountInfo { code: None, ..account.info });
        self.accounts.insert(address, info);
        self.changes.accounts.push(AccountDiff {
            address,
            before: None,
            after,
            storage_cleared: cleared,
            storage,
        });
    }
}

impl<D: Database> Database for Committed<D> {
    type Error = D::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        match self.accounts.get(&address) {
            Some(account) => Ok(account.clone()),
            None => self.before.basic(address),
        }
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        match self.codes.get(&code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.before.code_by_hash(code_hash),
        }
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        match self.slots.get(&(address, index)) {
            Some(value) => Ok(*value),
            None if self.cleared.contains(&address) => Ok(U256::ZERO),
            None => self.before.storage(address, index),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.before.block_hash(number)
    }
}

impl<D> DatabaseCommit for Committed<D> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}
