//! What speculating transactions see of each other: the multi-version memory over accounts,
//! storage slots and storage resets.

use alloy_primitives::{Address, B256, U256};
use core::sync::atomic::{AtomicBool, Ordering};
use revm::state::{Account, AccountInfo, EvmState};
use warpline_block_stm::VersionedMap;
use warpline_merger::CommitSink;

/// The writes of one block, by location and version.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) accounts: VersionedMap<Address, Option<AccountInfo>>,
    pub(crate) slots: VersionedMap<(Address, U256), U256>,
    resets: VersionedMap<Address, ()>,
    any_reset: AtomicBool,
}

/// A location's value as a version wrote it.
pub(crate) struct Written<V> {
    pub(crate) value: V,
    pub(crate) version: u32,
    pub(crate) group: u32,
}

impl Memory {
    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.resets.clear();
        *self.any_reset.get_mut() = false;
    }

    /// The newest value of a slot below `reader`, taking storage resets into account.
    #[inline]
    pub(crate) fn slot(&self, address: Address, key: U256, reader: u32) -> Option<Written<U256>> {
        let slot = self.slots.read(&(address, key), reader);
        if self.any_reset.load(Ordering::Acquire)
            && let Some(reset) = self.resets.read(&address, reader)
            && slot.as_ref().is_none_or(|slot| slot.version < reset.version)
        {
            return Some(Written { value: U256::ZERO, version: reset.version, group: reset.group });
        }
        slot.map(|s| Written { value: s.value, version: s.version, group: s.group })
    }

    fn reset(&self, address: Address, version: u32, group: u32, committed: bool) {
        self.any_reset.store(true, Ordering::Release);
        if committed {
            self.resets.commit(address, version, group, ());
        } else {
            self.resets.write(address, version, group, ());
        }
    }

    /// Shows the writes of a speculative outcome to later transactions. The beneficiary's fee is
    /// left out: it changes with every transaction, and who reads it exactly runs again anyway.
    pub(crate) fn publish(&self, state: &EvmState, version: u32, group: u32, skip: Address) {
        for (address, account) in state {
            if !account.is_touched() || *address == skip {
                continue;
            }
            if ends(account) {
                self.accounts.write(*address, version, group, None);
                self.reset(*address, version, group, false);
                continue;
            }
            if account.is_created() {
                self.reset(*address, version, group, false);
            }
            if account.is_created() || account.is_changed() {
                let mut info = account.info.clone();
                info.account_id = None;
                self.accounts.write(*address, version, group, Some(info));
            }
            for (key, slot) in account.changed_storage_slots() {
                self.slots.write((*address, *key), version, group, slot.present_value);
            }
        }
    }

    /// Takes back what [`publish`](Self::publish) showed.
    pub(crate) fn retract(&self, state: &EvmState, version: u32) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            self.accounts.retract(address, version);
            if ends(account) || account.is_created() {
                self.resets.retract(address, version);
            }
            for (key, _) in account.changed_storage_slots() {
                self.slots.retract(&(*address, *key), version);
            }
        }
    }
}

/// The account does not exist after the transaction.
fn ends(account: &Account) -> bool {
    account.is_selfdestructed() || (!account.is_created() && account.is_empty())
}

/// Shows what the front commits to the speculating transactions.
#[derive(Debug)]
pub(crate) struct PublishSink<'a> {
    /// `None` while nobody speculates.
    memory: Option<&'a Memory>,
    beneficiary: Address,
    /// Nonce and code hash of the beneficiary as published.
    beneficiary_shown: Option<(u64, B256)>,
    version: u32,
    group: u32,
}

impl<'a> PublishSink<'a> {
    pub(crate) const fn new(memory: Option<&'a Memory>, beneficiary: Address) -> Self {
        Self { memory, beneficiary, beneficiary_shown: None, version: 0, group: u32::MAX }
    }

    /// What is committed from now on belongs to this version.
    pub(crate) const fn begin(&mut self, version: u32, group: u32) {
        self.version = version;
        self.group = group;
    }
}

impl CommitSink for PublishSink<'_> {
    fn account(&mut self, address: Address, info: Option<&AccountInfo>) {
        let Some(memory) = self.memory else { return };
        if address == self.beneficiary {
            // Its growing balance is nothing that others should run again for.
            let shown = info.map(|info| (info.nonce, info.code_hash));
            if shown.is_some() && shown == self.beneficiary_shown {
                return;
            }
            self.beneficiary_shown = shown;
        }
        let info = info.map(|info| AccountInfo { account_id: None, ..info.clone() });
        memory.accounts.commit(address, self.version, self.group, info);
    }

    fn storage_reset(&mut self, address: Address) {
        if let Some(memory) = self.memory {
            memory.reset(address, self.version, self.group, true);
        }
    }

    fn slot(&mut self, address: Address, slot: U256, value: U256) {
        if let Some(memory) = self.memory {
            memory.slots.commit((address, slot), self.version, self.group, value);
        }
    }
}
