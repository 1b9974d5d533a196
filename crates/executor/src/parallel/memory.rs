//! What speculating transactions see of each other: the multi-version memory over accounts,
//! storage slots and storage resets.

use crate::stream::StreamWriter;
use alloy_primitives::{Address, B256, U256};
use core::sync::atomic::{AtomicBool, Ordering};
use revm::state::AccountInfo;
use warpline_block_stm::VersionedMap;
use warpline_merger::{Changes, CommitSink, Fate};
use warpline_types::SlotKey;

/// The writes of one block, by location and version.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) accounts: VersionedMap<Address, Option<AccountInfo>>,
    pub(crate) slots: VersionedMap<SlotKey, U256>,
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
        let slot = self.slots.read(&SlotKey::new(address, key), reader);
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

    /// Shows the writes of a speculative outcome to later transactions. Two things are left out,
    /// because hardly anybody looks at them and who does runs again: the beneficiary's fee, and
    /// balances and nonces of accounts without code (a sender's nonce follows from its
    /// transactions, its balance need only suffice).
    pub(crate) fn publish(&self, changes: &Changes, version: u32, group: u32, skip: Address) {
        for account in changes.accounts() {
            let address = account.address;
            if address == skip {
                continue;
            }
            if account.fate != Fate::Changed {
                self.reset(address, version, group, false);
            }
            if account.fate == Fate::Ended {
                self.accounts.write(address, version, group, None);
            } else if account.changes_info() && !account.is_plain() {
                let info = AccountInfo { account_id: None, ..account.info.clone() };
                self.accounts.write(address, version, group, Some(info));
            }
            for slot in changes.slots(account) {
                self.slots.write(SlotKey::new(address, slot.key), version, group, slot.after);
            }
        }
    }

    /// Takes back what [`publish`](Self::publish) showed.
    pub(crate) fn retract(&self, changes: &Changes, version: u32) {
        for account in changes.accounts() {
            if !account.is_plain() {
                self.accounts.retract(&account.address, version);
            }
            if account.fate != Fate::Changed {
                self.resets.retract(&account.address, version);
            }
            for slot in changes.slots(account) {
                self.slots.retract(&SlotKey::new(account.address, slot.key), version);
            }
        }
    }
}

/// Shows what the front commits to the speculating transactions, and to others who want to know.
#[derive(Debug)]
pub(crate) struct PublishSink<'a> {
    /// `None` while nobody speculates.
    memory: Option<&'a Memory>,
    beneficiary: Address,
    /// Nonce and code hash of the beneficiary as published.
    beneficiary_shown: Option<(u64, B256)>,
    version: u32,
    group: u32,
    /// Whether [`Memory::publish`] has shown the storage of this version already.
    shown: bool,
    stream: Option<StreamWriter<'a>>,
}

impl<'a> PublishSink<'a> {
    pub(crate) const fn new(
        memory: Option<&'a Memory>,
        beneficiary: Address,
        stream: Option<StreamWriter<'a>>,
    ) -> Self {
        let (version, group) = (0, u32::MAX);
        let (beneficiary_shown, shown) = (None, false);
        Self { memory, beneficiary, beneficiary_shown, version, group, shown, stream }
    }

    /// What is committed from now on belongs to this version.
    pub(crate) const fn begin(&mut self, version: u32, group: u32) {
        self.version = version;
        self.group = group;
        self.shown = false;
    }

    /// What is committed next is an outcome that was published when it was made.
    pub(crate) const fn is_shown(&mut self) {
        self.shown = true;
    }

    fn storage_memory(&self) -> Option<&'a Memory> {
        self.memory.filter(|_| !self.shown)
    }
}

impl CommitSink for PublishSink<'_> {
    fn account(&mut self, address: Address, info: Option<&AccountInfo>, plain: bool) {
        if let Some(stream) = &mut self.stream
            && address != self.beneficiary
        {
            stream.account(address, info);
        }
        let Some(memory) = self.memory else { return };
        if plain {
            return;
        }
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
        if let Some(memory) = self.storage_memory() {
            memory.reset(address, self.version, self.group, true);
        }
    }

    fn slot(&mut self, address: Address, slot: U256, value: U256) {
        if let Some(stream) = &mut self.stream {
            stream.slot(address, slot, value);
        }
        if let Some(memory) = self.storage_memory() {
            memory.slots.commit(SlotKey::new(address, slot), self.version, self.group, value);
        }
    }
}
