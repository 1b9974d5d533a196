//! A state of a chain with changes on top that nobody else sees.

use crate::deadline::Deadline;
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, U256Map, U256Set},
};
use core::{error::Error, fmt};
use revm::{
    Database, DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{Account, AccountInfo, Bytecode},
};
use std::{sync::Arc, time::Duration};
use warpline_types::{AccountDiff, AccountState, SlotDiff, StateDiff};

/// Why the state could not be read.
#[derive(Debug)]
pub enum OverlayError<E> {
    /// The state below failed.
    State(Arc<E>),
    /// There is no time left for more.
    TimedOut(Duration),
}

impl<E> Clone for OverlayError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::State(error) => Self::State(Arc::clone(error)),
            Self::TimedOut(limit) => Self::TimedOut(*limit),
        }
    }
}

impl<E: fmt::Display> fmt::Display for OverlayError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "execution aborted (timeout = {limit:?})"),
        }
    }
}

impl<E: Error> Error for OverlayError<E> {}

impl<E: Error + Send + Sync + 'static> DBErrorMarker for OverlayError<E> {}

/// An account that was changed here.
#[derive(Debug, Default)]
struct Changed {
    /// `None` where the account does not exist any more.
    info: Option<AccountInfo>,
    slots: U256Map<U256>,
    /// What the state below holds of its storage is gone.
    cleared: bool,
    /// What changed since the changes were taken last.
    fresh: Fresh,
}

#[derive(Debug, Default)]
struct Fresh {
    any: bool,
    cleared: bool,
    slots: U256Set,
}

/// A database with changes on top of it, made by transactions or by hand.
///
/// Reads stop with [`OverlayError::TimedOut`] once there is a deadline and it has passed.
pub struct Overlay<DB: Database> {
    below: DB,
    changed: AddressMap<Changed>,
    codes: B256Map<Bytecode>,
    block_hashes: Vec<(u64, B256)>,
    pub(crate) deadline: Option<Deadline>,
    /// Why a read failed first, if one did: rules of the block that need a read hide it.
    pub(crate) failure: Option<OverlayError<DB::Error>>,
}

impl<DB: Database> fmt::Debug for Overlay<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("changed", &self.changed.len()).finish_non_exhaustive()
    }
}

impl<DB: Database> Overlay<DB> {
    /// No changes on top of `below`.
    pub fn new(below: DB) -> Self {
        Self {
            below,
            changed: AddressMap::default(),
            codes: B256Map::default(),
            block_hashes: Vec::new(),
            deadline: None,
            failure: None,
        }
    }

    /// The state below, without the changes.
    pub(crate) fn into_below(self) -> DB {
        self.below
    }

    /// Says what `BLOCKHASH` finds for a block, whatever the state below says.
    pub fn set_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.retain(|(known, _)| *known != number);
        self.block_hashes.push((number, hash));
    }

    /// What changed since this was asked for last, each account once. What was before is not
    /// filled in.
    pub fn take_changes(&mut self) -> StateDiff {
        let mut diff = StateDiff::default();
        for (address, changed) in &mut self.changed {
            let fresh = core::mem::take(&mut changed.fresh);
            if !fresh.any {
                continue;
            }
            let slot = |slot: U256| {
                let after = changed.slots.get(&slot).copied().unwrap_or_default();
                SlotDiff { slot, before: U256::ZERO, after }
            };
            diff.accounts.push(AccountDiff {
                address: *address,
                before: None,
                after: changed.info.as_ref().map(|info| AccountState {
                    balance: info.balance,
                    nonce: info.nonce,
                    code_hash: info.code_hash,
                }),
                storage_cleared: fresh.cleared,
                storage: fresh.slots.into_iter().map(slot).collect(),
            });
        }
        diff
    }

    fn clear_storage(changed: &mut Changed) {
        changed.slots.clear();
        changed.cleared = true;
        changed.fresh.cleared = true;
        changed.fresh.slots.clear();
    }

    fn commit_account(&mut self, address: Address, account: Account) {
        // Empty accounts go (EIP-161); before that rule the journal marks them as created.
        let gone = account.is_selfdestructed() || (!account.is_created() && account.is_empty());
        let changed = self.changed.entry(address).or_default();
        changed.fresh.any = true;
        if gone || account.is_created() {
            Self::clear_storage(changed);
        }
        if gone {
            changed.info = None;
            return;
        }
        for (slot, value) in account.changed_storage_slots() {
            changed.slots.insert(*slot, value.present_value());
            changed.fresh.slots.insert(*slot);
        }
        if let Some(code) = &account.info.code
            && !code.is_empty()
        {
            self.codes.insert(account.info.code_hash, code.clone());
        }
        changed.info = Some(AccountInfo { code: None, account_id: None, ..account.info });
    }
}

impl<DB: Database> Overlay<DB> {
    /// Changes an account by hand. It exists from then on, even where it is empty.
    pub(crate) fn change(
        &mut self,
        address: Address,
        with: impl FnOnce(&mut AccountInfo),
    ) -> Result<(), OverlayError<DB::Error>> {
        let changed = self.about_to_change(address)?;
        let info = changed.info.get_or_insert_default();
        with(info);
        let code = info.code.take().map(|code| (info.code_hash, code));
        self.codes.extend(code);
        Ok(())
    }

    /// Replaces all storage of an account, which exists from then on.
    pub(crate) fn replace_storage(
        &mut self,
        address: Address,
        slots: impl IntoIterator<Item = (U256, U256)>,
    ) -> Result<(), OverlayError<DB::Error>> {
        Self::clear_storage(self.about_to_change(address)?);
        self.set_storage(address, slots)
    }

    /// Changes some slots of an account, which exists from then on.
    pub(crate) fn set_storage(
        &mut self,
        address: Address,
        slots: impl IntoIterator<Item = (U256, U256)>,
    ) -> Result<(), OverlayError<DB::Error>> {
        let changed = self.about_to_change(address)?;
        changed.info.get_or_insert_default();
        for (slot, value) in slots {
            changed.slots.insert(slot, value);
            changed.fresh.slots.insert(slot);
        }
        Ok(())
    }

    /// The record of an account that is about to change.
    fn about_to_change(
        &mut self,
        address: Address,
    ) -> Result<&mut Changed, OverlayError<DB::Error>> {
        if !self.changed.contains_key(&address) {
            let info = self.basic(address)?;
            self.changed.insert(address, Changed { info, ..Changed::default() });
        }
        let changed = self.changed.entry(address).or_default();
        changed.fresh.any = true;
        Ok(changed)
    }

    /// Reads from the state below, unless it is too late for that.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut DB) -> Result<T, DB::Error>,
    ) -> Result<T, OverlayError<DB::Error>> {
        let result = match self.deadline.as_mut().and_then(Deadline::after_read) {
            Some(limit) => Err(OverlayError::TimedOut(limit)),
            None => read(&mut self.below).map_err(|error| OverlayError::State(Arc::new(error))),
        };
        result.inspect_err(|error| _ = self.failure.get_or_insert_with(|| error.clone()))
    }
}

impl<DB: Database> Database for Overlay<DB> {
    type Error = OverlayError<DB::Error>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        if let Some(changed) = self.changed.get(&address) {
            return Ok(changed.info.clone());
        }
        let info = self.read(|below| below.basic(address))?;
        // Ids are good for the database that gave them only.
        Ok(info.map(|info| AccountInfo { account_id: None, ..info }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        if let Some(code) = self.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        self.read(|below| below.code_by_hash(code_hash))
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        if let Some(changed) = self.changed.get(&address) {
            match changed.slots.get(&index) {
                Some(value) => return Ok(*value),
                None if changed.cleared => return Ok(U256::ZERO),
                None => {}
            }
        }
        self.read(|below| below.storage(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        if let Some((_, hash)) = self.block_hashes.iter().find(|(known, _)| *known == number) {
            return Ok(*hash);
        }
        self.read(|below| below.block_hash(number))
    }
}

impl<DB: Database> DatabaseCommit for Overlay<DB> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}
