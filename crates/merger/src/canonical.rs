//! The state of a block as far as it has been committed.

use crate::{
    accesses::AccessRecorder,
    account::{AccountEntry, Slot},
    changes::{Changes, Fate, SlotChange, changes_plainly},
};
use alloy_eips::eip7928::{BlockAccessIndex, BlockAccessList};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, Entry},
};
use core::fmt;
use revm::{
    Database, DatabaseCommit,
    database_interface::bal::EvmDatabaseError,
    state::{Account, AccountId, AccountInfo, Bytecode},
};
use warpline_types::StateDiff;

/// Learns of every change the moment it is committed.
pub trait CommitSink: fmt::Debug {
    /// The account's fields are now `info`; `None` where it ceased to exist. `plain` tells that
    /// only balance and nonce of an account without code changed, which existed and was not empty
    /// before.
    fn account(&mut self, address: Address, info: Option<&AccountInfo>, plain: bool);
    /// All storage of the account became zero.
    fn storage_reset(&mut self, address: Address);
    /// The slot is now `value`.
    fn slot(&mut self, address: Address, slot: U256, value: U256);
}

/// How an account in a result has to be corrected before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The account.
    pub address: Address,
    /// To add to its balance, modulo 2²⁵⁶.
    pub balance: U256,
    /// To add to its nonce, modulo 2⁶⁴.
    pub nonce: u64,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl CommitSink for NoSink {
    fn account(&mut self, _: Address, _: Option<&AccountInfo>, _: bool) {}
    fn storage_reset(&mut self, _: Address) {}
    fn slot(&mut self, _: Address, _: U256, _: U256) {}
}

/// Parent state plus everything committed so far. One thread owns it and commits in block order.
///
/// Reads go through [`Database`], results come in through [`DatabaseCommit`], so any alloy-evm
/// block executor runs on it. Each account has a dense id that revm hands back with storage
/// reads, which saves hashing the address again.
pub struct CanonicalState<DB, S = NoSink> {
    parent: DB,
    sink: S,
    ids: AddressMap<u32>,
    accounts: Vec<AccountEntry>,
    codes: B256Map<Bytecode>,
    deployed: Vec<(B256, Bytecode)>,
    block_hashes: Vec<(u64, B256)>,
    adjustments: Vec<Adjustment>,
    /// Reused by every commit.
    changed_slots: Vec<SlotChange>,
    /// Where the block access list is wanted.
    accesses: Option<Box<AccessRecorder>>,
}

impl<DB, S> fmt::Debug for CanonicalState<DB, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalState").field("accounts", &self.accounts.len()).finish()
    }
}

impl<DB, S> CanonicalState<DB, S> {
    /// Nothing committed yet on top of `parent`.
    pub fn new(parent: DB, sink: S) -> Self {
        Self {
            parent,
            sink,
            ids: AddressMap::default(),
            accounts: Vec::new(),
            codes: B256Map::default(),
            deployed: Vec::new(),
            block_hashes: Vec::new(),
            adjustments: Vec::new(),
            changed_slots: Vec::new(),
            accesses: None,
        }
    }

    /// Makes room for the accounts of a block of `transactions` transactions.
    pub fn reserve(&mut self, transactions: usize) {
        self.ids.reserve(transactions * 2);
        self.accounts.reserve(transactions * 2);
    }

    /// The account as committed so far, `None` where the block has not touched it yet and the
    /// parent state still holds.
    #[inline]
    pub fn entry(&self, address: &Address) -> Option<&AccountEntry> {
        self.ids.get(address).map(|id| &self.accounts[*id as usize])
    }

    /// Corrects the accounts in the next commit, for a result that was computed from balances or
    /// nonces other than the current ones.
    pub fn adjust_next_commit(&mut self, adjustments: &mut Vec<Adjustment>) {
        self.adjustments.clear();
        self.adjustments.append(adjustments);
    }

    /// Records from now on what is accessed, for [`take_access_list`](Self::take_access_list).
    pub fn record_accesses(&mut self) {
        self.accesses = Some(Box::default());
    }

    /// What is committed from now on belongs to this position of the block.
    #[inline]
    pub fn begin_index(&mut self, index: u64) {
        if let Some(recorder) = &mut self.accesses {
            recorder.begin(BlockAccessIndex::new(index));
        }
    }

    /// The block access list of what was committed (EIP-7928), where accesses were recorded.
    pub fn take_access_list(&mut self) -> Option<BlockAccessList> {
        self.accesses.take().map(|recorder| recorder.into_list())
    }

    /// Records that a loaded account was looked at without an EVM and not changed.
    pub fn note_access(&mut self, id: usize) {
        if let Some(recorder) = &mut self.accesses {
            let entry = &self.accounts[id];
            let info = entry.now.clone().unwrap_or_default();
            recorder.record_info(entry.address, entry.now.as_ref(), &info);
        }
    }

    /// Who learns of commits.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// What the block changed, unsorted.
    pub fn into_diff(self) -> StateDiff {
        let mut accounts = Vec::with_capacity(self.accounts.len());
        accounts.extend(self.accounts.iter().filter_map(AccountEntry::diff));
        let codes = self.deployed.into_iter().map(|(hash, code)| (hash, code.original_bytes()));
        StateDiff { accounts, codes: codes.collect() }
    }

    #[inline]
    fn insert(&mut self, address: Address, before: Option<AccountInfo>) -> u32 {
        let id = self.accounts.len() as u32;
        self.accounts.push(AccountEntry::new(address, before));
        self.ids.insert(address, id);
        id
    }

    /// The record to change for a committed account. One that was never loaded here, because the
    /// transaction ran elsewhere, starts from what that transaction found.
    #[inline]
    fn id_for_commit(
        &mut self,
        address: Address,
        hint: Option<AccountId>,
        found: impl FnOnce() -> Option<AccountInfo>,
    ) -> usize {
        if let Some(id) = hint
            && self.accounts.get(id.get()).is_some_and(|entry| entry.address == address)
        {
            return id.get();
        }
        match self.ids.get(&address) {
            Some(id) => *id as usize,
            None => self.insert(address, found()) as usize,
        }
    }
}

impl<DB, S: CommitSink> CanonicalState<DB, S> {
    /// Commits what a transaction changed that ran elsewhere.
    pub fn commit_changes(&mut self, changes: Changes) {
        let (accounts, slots, accesses) = changes.into_parts();
        if let (Some(recorder), Some(accesses)) = (&mut self.accesses, accesses) {
            recorder.record(accesses, &self.adjustments);
        }
        for change in accounts {
            let slots = slots.get(change.slot_range()).unwrap_or_default();
            let id = self.id_for_commit(change.address, None, || change.found);
            self.apply(id, change.fate, change.info, slots);
        }
        self.adjustments.clear();
    }

    fn commit_account(&mut self, address: Address, account: Account) {
        if let Some(recorder) = &mut self.accesses {
            recorder.record_account(address, &account, &self.adjustments);
        }
        if !account.is_touched() {
            return;
        }
        let mut slots = core::mem::take(&mut self.changed_slots);
        slots.clear();
        slots.extend(account.changed_storage_slots().map(|(key, slot)| SlotChange {
            key: *key,
            before: slot.original_value,
            after: slot.present_value,
        }));
        let id = self.id_for_commit(address, account.info.account_id, || {
            (!account.is_loaded_as_not_existing()).then(|| account.original_info())
        });
        self.apply(id, Fate::of(&account), account.info, &slots);
        self.changed_slots = slots;
    }

    /// Changes one account and tells the sink.
    fn apply(&mut self, id: usize, fate: Fate, mut info: AccountInfo, slots: &[SlotChange]) {
        let entry = &mut self.accounts[id];
        let address = entry.address;
        if fate == Fate::Ended {
            if entry.now.is_some() || !entry.storage.is_empty() {
                entry.destroy();
                self.sink.account(address, None, false);
                self.sink.storage_reset(address);
            }
            return;
        }
        if let Some(adjust) = self.adjustments.iter().find(|adjust| adjust.address == address) {
            info.balance = info.balance.wrapping_add(adjust.balance);
            info.nonce = info.nonce.wrapping_add(adjust.nonce);
        }
        info.account_id = AccountId::new(id);
        if fate == Fate::Created {
            entry.create(info, slots);
            self.sink.account(address, entry.now.as_ref(), false);
            self.sink.storage_reset(address);
        } else {
            let plain = changes_plainly(entry.now.as_ref(), &info);
            if entry.change(info, slots) {
                self.sink.account(address, entry.now.as_ref(), plain);
            }
        }
        for slot in slots {
            self.sink.slot(address, slot.key, slot.after);
        }
        if let Some(info) = &entry.now {
            let code = info.code.as_ref().filter(|code| !code.is_empty());
            let known = entry.before.as_ref().is_some_and(|b| b.code_hash == info.code_hash);
            if let Some(code) = code.filter(|_| !known) {
                self.codes.entry(info.code_hash).or_insert_with(|| code.clone());
                if self.deployed.last().is_none_or(|(hash, _)| *hash != info.code_hash) {
                    self.deployed.push((info.code_hash, code.clone()));
                }
            }
        }
    }
}

impl<DB, S: CommitSink> CanonicalState<DB, S> {
    /// Commits new fields for a loaded account that keeps its code and storage.
    pub fn replace_info(&mut self, id: usize, mut info: AccountInfo) {
        info.account_id = AccountId::new(id);
        let entry = &mut self.accounts[id];
        if let Some(recorder) = &mut self.accesses {
            recorder.record_info(entry.address, entry.now.as_ref(), &info);
        }
        entry.dirty = true;
        let plain = changes_plainly(entry.now.as_ref(), &info);
        self.sink.account(entry.address, Some(&info), plain);
        entry.storage_known |= entry.now.as_ref().is_none_or(AccountInfo::has_no_code_and_nonce);
        entry.now = Some(info);
    }
}

impl<DB, S> CanonicalState<DB, S> {
    /// The fields of a loaded account.
    #[inline]
    pub fn info(&self, id: usize) -> Option<&AccountInfo> {
        self.accounts[id].info()
    }
}

impl<DB: Database, S> CanonicalState<DB, S> {
    /// Loads an account from the parent state unless it is here already, and returns its id.
    ///
    /// # Errors
    /// The parent state cannot be read.
    #[inline]
    pub fn load(&mut self, address: Address) -> Result<usize, DB::Error> {
        if let Some(id) = self.ids.get(&address) {
            return Ok(*id as usize);
        }
        let mut info = self.parent.basic(address)?;
        if let Some(info) = &mut info {
            info.account_id = AccountId::new(self.accounts.len());
        }
        Ok(self.insert(address, info) as usize)
    }

    #[inline]
    fn load_slot(&mut self, id: usize, key: U256) -> Result<U256, DB::Error> {
        let entry = &mut self.accounts[id];
        if let Some(value) = entry.slot(&key) {
            return Ok(value);
        }
        let value = self.parent.storage(entry.address, key)?;
        entry.storage.insert(key, Slot { before: value, now: value });
        Ok(value)
    }
}

impl<DB: Database, S> Database for CanonicalState<DB, S> {
    /// As revm's own `State` has it, so that errors read the same in both.
    type Error = EvmDatabaseError<DB::Error>;

    #[inline]
    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let id = self.load(address).map_err(EvmDatabaseError::Database)?;
        Ok(self.accounts[id].now.clone())
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        match self.codes.entry(code_hash) {
            Entry::Occupied(code) => Ok(code.get().clone()),
            Entry::Vacant(vacant) => {
                let code =
                    self.parent.code_by_hash(code_hash).map_err(EvmDatabaseError::Database)?;
                Ok(vacant.insert(code).clone())
            }
        }
    }

    #[inline]
    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Self::Error> {
        let id = self.load(address).map_err(EvmDatabaseError::Database)?;
        self.load_slot(id, key).map_err(EvmDatabaseError::Database)
    }

    #[inline]
    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        key: U256,
    ) -> Result<U256, Self::Error> {
        match self.accounts.get(id.get()) {
            Some(entry) if entry.address == address => {
                self.load_slot(id.get(), key).map_err(EvmDatabaseError::Database)
            }
            _ => self.storage(address, key),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        if let Some((_, hash)) = self.block_hashes.iter().find(|(known, _)| *known == number) {
            return Ok(*hash);
        }
        let hash = self.parent.block_hash(number).map_err(EvmDatabaseError::Database)?;
        self.block_hashes.push((number, hash));
        Ok(hash)
    }
}

impl<DB, S: CommitSink> DatabaseCommit for CanonicalState<DB, S> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            self.commit_account(address, account);
        }
        self.adjustments.clear();
    }

    fn commit_iter(&mut self, changes: &mut dyn Iterator<Item = (Address, Account)>) {
        for (address, account) in changes {
            self.commit_account(address, account);
        }
        self.adjustments.clear();
    }
}
