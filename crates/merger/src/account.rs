//! One account of the block's state, and how the result of a transaction changes it.
//!
//! The transitions follow revm's `CacheAccount` (`selfdestruct`, `newly_created`,
//! `touch_empty_eip161`, `change`), reduced to what a state diff and later reads need.

use crate::changes::SlotChange;
use alloy_primitives::{Address, U256, map::U256Map};
use revm::state::AccountInfo;
use warpline_types::{AccountDiff, AccountState, SlotDiff};

/// A slot that was read or written in this block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) before: U256,
    pub(crate) now: U256,
}

/// An account that was read or written in this block.
#[derive(Clone, Debug)]
pub struct AccountEntry {
    pub(crate) address: Address,
    /// In the parent state.
    pub(crate) before: Option<AccountInfo>,
    /// After the last committed transaction.
    pub(crate) now: Option<AccountInfo>,
    pub(crate) storage: U256Map<Slot>,
    /// A slot that is not in `storage` is zero, whatever the parent state holds.
    pub(crate) storage_known: bool,
    /// The account existed in the parent state and was destroyed since.
    pub(crate) cleared: bool,
    /// Some committed transaction changed something here.
    pub(crate) dirty: bool,
}

impl AccountEntry {
    pub(crate) fn new(address: Address, before: Option<AccountInfo>) -> Self {
        Self {
            address,
            storage_known: before.is_none(),
            now: before.clone(),
            before,
            storage: U256Map::default(),
            cleared: false,
            dirty: false,
        }
    }

    /// Balance, nonce and code hash after the last committed transaction, `None` where the
    /// account does not exist.
    #[inline]
    pub const fn info(&self) -> Option<&AccountInfo> {
        self.now.as_ref()
    }

    /// Whether any committed transaction of the block changed this account or its storage.
    #[inline]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Current value of a slot where this block determines it, `None` where it is still the
    /// parent state's.
    #[inline]
    pub fn slot(&self, key: &U256) -> Option<U256> {
        match self.storage.get(key) {
            Some(slot) => Some(slot.now),
            None if self.storage_known => Some(U256::ZERO),
            None => None,
        }
    }

    /// The account ceases to exist, with its storage.
    pub(crate) fn destroy(&mut self) {
        self.now = None;
        self.storage.clear();
        self.storage_known = true;
        self.cleared |= self.before.is_some();
        self.dirty = true;
    }

    /// A contract was created here: what was stored before is gone.
    pub(crate) fn create(&mut self, info: AccountInfo, slots: &[SlotChange]) {
        self.storage.clear();
        self.storage_known = true;
        self.dirty = true;
        self.now = Some(info);
        for slot in slots {
            self.storage.insert(slot.key, Slot { before: U256::ZERO, now: slot.after });
        }
    }

    /// Takes over changed slots and account fields. Returns whether the account fields changed.
    pub(crate) fn change(&mut self, mut info: AccountInfo, slots: &[SlotChange]) -> bool {
        let info_changed = match &self.now {
            Some(now) => {
                if info.code.is_none() && info.code_hash == now.code_hash {
                    info.code.clone_from(&now.code);
                }
                *now != info
            }
            None => true,
        };
        // An account without nonce and code has no storage: revm stops asking the database.
        self.storage_known |= self.now.as_ref().is_none_or(AccountInfo::has_no_code_and_nonce);
        self.now = Some(info);
        self.dirty |= info_changed || !slots.is_empty();
        for slot in slots {
            let now = slot.after;
            let before = if self.storage_known { U256::ZERO } else { slot.before };
            self.storage.entry(slot.key).or_insert(Slot { before, now }).now = now;
        }
        info_changed
    }

    /// What the block changed here, `None` where the account ends as it began.
    pub(crate) fn diff(&self) -> Option<AccountDiff> {
        if !self.dirty {
            return None;
        }
        let changed = self.storage.iter().filter(|(_, slot)| slot.before != slot.now);
        // Counted first: of thousands of slots, a vector that grows copies more than it holds.
        let mut storage = Vec::with_capacity(changed.clone().count());
        storage.extend(changed.map(|(key, slot)| SlotDiff {
            slot: *key,
            before: slot.before,
            after: slot.now,
        }));
        if storage.is_empty() && !self.cleared && self.before == self.now {
            return None;
        }
        Some(AccountDiff {
            address: self.address,
            before: self.before.as_ref().map(account_state),
            after: self.now.as_ref().map(account_state),
            storage_cleared: self.cleared,
            storage,
        })
    }
}

/// The fields of revm's account that the state trie holds.
pub(crate) const fn account_state(info: &AccountInfo) -> AccountState {
    AccountState { balance: info.balance, nonce: info.nonce, code_hash: info.code_hash }
}
