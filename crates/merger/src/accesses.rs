//! What every transaction of a block accessed, and the block access list made of it (EIP-7928).
//!
//! Whoever executes a transaction keeps a short record of the accounts and slots in its result,
//! with the values before and after. The records are put together once, at the end of the block.

use crate::{Adjustment, index_changes::changes_by_index};
use alloy_eips::eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange,
    SlotChanges, StorageChange,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use core::ops::Range;
use revm::{
    primitives::KECCAK_EMPTY,
    state::{Account, AccountInfo, EvmState},
};

/// The account fields that the list tells of.
#[derive(Clone, Copy, Debug)]
struct Fields {
    balance: U256,
    nonce: u64,
    code_hash: B256,
}

impl Fields {
    const NONE: Self = Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK_EMPTY };

    const fn of(info: &AccountInfo) -> Self {
        Self { balance: info.balance, nonce: info.nonce, code_hash: info.code_hash }
    }

    const fn adjust(&mut self, by: &Adjustment) {
        self.balance = self.balance.wrapping_add(by.balance);
        self.nonce = self.nonce.wrapping_add(by.nonce);
    }
}

/// One account that a transaction accessed.
#[derive(Clone, Debug)]
struct AccountAccess {
    address: Address,
    before: Fields,
    after: Fields,
    /// Where it changed.
    code: Option<Bytes>,
    slots: Range<u32>,
}

/// One slot that a transaction accessed.
#[derive(Clone, Copy, Debug)]
struct SlotAccess {
    key: U256,
    before: U256,
    after: U256,
}

/// What one transaction accessed.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    accounts: Vec<AccountAccess>,
    slots: Vec<SlotAccess>,
}

impl Accesses {
    /// All that is in a transaction's resulting state: also what was only read, and what was
    /// accessed before a call reverted.
    pub fn of(state: &EvmState) -> Self {
        let mut accesses = Self::default();
        accesses.accounts.reserve_exact(state.len());
        for (address, account) in state {
            accesses.note(*address, account);
        }
        accesses
    }

    fn note(&mut self, address: Address, account: &Account) {
        let original = account.original_info();
        let before = Fields::of(&original);
        // Of a contract that destroys itself nothing remains, whatever the result still holds.
        let ends = account.is_selfdestructed_locally();
        let after = if ends { Fields::NONE } else { Fields::of(&account.info) };
        let code = (before.code_hash != after.code_hash).then(|| {
            let code = account.info.code.as_ref().filter(|_| !ends);
            code.map(|code| code.original_bytes()).unwrap_or_default()
        });
        let start = self.slots.len() as u32;
        self.slots.extend(account.storage.iter().map(|(key, slot)| SlotAccess {
            key: *key,
            before: slot.original_value,
            after: if ends { U256::ZERO } else { slot.present_value },
        }));
        let slots = start..self.slots.len() as u32;
        self.accounts.push(AccountAccess { address, before, after, code, slots });
    }

    /// An account that was accessed without an EVM, and keeps its code and storage.
    fn note_info(&mut self, address: Address, before: Option<&AccountInfo>, after: &AccountInfo) {
        let before = before.map_or(Fields::NONE, Fields::of);
        let after = Fields { code_hash: before.code_hash, ..Fields::of(after) };
        self.accounts.push(AccountAccess { address, before, after, code: None, slots: 0..0 });
    }

    fn adjust(&mut self, adjustments: &[Adjustment]) {
        for adjustment in adjustments {
            let mut accounts = self.accounts.iter_mut();
            if let Some(account) = accounts.find(|account| account.address == adjustment.address) {
                account.before.adjust(adjustment);
                account.after.adjust(adjustment);
            }
        }
    }

    fn slots_of(&self, account: &AccountAccess) -> &[SlotAccess] {
        let range = account.slots.start as usize..account.slots.end as usize;
        self.slots.get(range).unwrap_or_default()
    }
}

/// Collects the accesses of a block, one transaction after the other.
#[derive(Debug, Default)]
pub(crate) struct AccessRecorder {
    index: BlockAccessIndex,
    records: Vec<(BlockAccessIndex, Accesses)>,
}

impl AccessRecorder {
    /// What is recorded from now on belongs to this position of the block.
    pub(crate) const fn begin(&mut self, index: BlockAccessIndex) {
        self.index = index;
    }

    /// The result of a transaction that ran ahead, computed from other balances or nonces.
    pub(crate) fn record(&mut self, mut accesses: Accesses, adjustments: &[Adjustment]) {
        accesses.adjust(adjustments);
        self.records.push((self.index, accesses));
    }

    /// One account in a result that is being committed.
    pub(crate) fn record_account(
        &mut self,
        address: Address,
        account: &Account,
        adjustments: &[Adjustment],
    ) {
        let accesses = self.current();
        accesses.note(address, account);
        let adjustment = adjustments.iter().find(|adjustment| adjustment.address == address);
        if let (Some(by), Some(account)) = (adjustment, accesses.accounts.last_mut()) {
            account.before.adjust(by);
            account.after.adjust(by);
        }
    }

    /// One account whose fields are replaced without an EVM.
    pub(crate) fn record_info(
        &mut self,
        address: Address,
        before: Option<&AccountInfo>,
        after: &AccountInfo,
    ) {
        self.current().note_info(address, before, after);
    }

    fn current(&mut self) -> &mut Accesses {
        if self.records.last().is_none_or(|(index, _)| *index != self.index) {
            self.records.push((self.index, Accesses::default()));
        }
        let last = self.records.len() - 1;
        &mut self.records[last].1
    }

    /// The list, as EIP-7928 orders it.
    pub(crate) fn into_list(self) -> BlockAccessList {
        let count = self.records.iter().map(|(_, accesses)| accesses.accounts.len()).sum();
        let mut all = Vec::with_capacity(count);
        for (index, accesses) in &self.records {
            all.extend(accesses.accounts.iter().map(|account| (*index, account, accesses)));
        }
        // Stable: the records of one account stay in the order of the block.
        all.sort_by_key(|(_, account, _)| account.address);
        let mut slots = Vec::new();
        let one = |records: &[Record<'_>]| account_changes(records, &mut slots);
        all.chunk_by(|left, right| left.1.address == right.1.address).map(one).collect()
    }
}

/// An account's access by one transaction.
type Record<'a> = (BlockAccessIndex, &'a AccountAccess, &'a Accesses);

/// The entry of one account, from all records of it. `slots` is memory to use.
fn account_changes(
    records: &[Record<'_>],
    slots: &mut Vec<(BlockAccessIndex, SlotAccess)>,
) -> AccountChanges {
    let address = records.first().map(|(_, account, _)| account.address).unwrap_or_default();
    let mut changes = AccountChanges::new(address);
    let fields = || records.iter().map(|(index, account, _)| (*index, account));

    let balances =
        fields().map(|(at, account)| (at, account.before.balance, account.after.balance));
    changes.balance_changes =
        changes_by_index(balances).map(|(at, wei)| BalanceChange::new(at, wei)).collect();
    let nonces = fields().map(|(at, account)| (at, account.before.nonce, account.after.nonce));
    changes.nonce_changes =
        changes_by_index(nonces).map(|(at, nonce)| NonceChange::new(at, nonce)).collect();
    changes.code_changes = code_changes(fields());

    slots.clear();
    for (index, account, accesses) in records {
        slots.extend(accesses.slots_of(account).iter().map(|slot| (*index, *slot)));
    }
    slots.sort_by_key(|(_, slot)| slot.key);
    for accesses in slots.chunk_by(|left, right| left.1.key == right.1.key) {
        let Some((_, first)) = accesses.first() else { continue };
        let values = accesses.iter().map(|(at, slot)| (*at, slot.before, slot.after));
        let values: Vec<_> =
            changes_by_index(values).map(|(at, value)| StorageChange::new(at, value)).collect();
        if values.is_empty() {
            changes.storage_reads.push(first.key);
        } else {
            changes.storage_changes.push(SlotChanges::new(first.key, values));
        }
    }
    changes
}

fn code_changes<'a>(
    records: impl Iterator<Item = (BlockAccessIndex, &'a &'a AccountAccess)>,
) -> Vec<CodeChange> {
    let changed = records.filter_map(|(index, account)| {
        let code = account.code.as_ref()?;
        Some((index, account.before.code_hash, account.after.code_hash, code))
    });
    let changed: Vec<_> = changed.collect();
    let hashes = changed.iter().map(|(index, before, after, _)| (*index, *before, *after));
    changes_by_index(hashes)
        .filter_map(|(index, hash)| {
            let mut made = changed.iter().rev();
            let (.., code) = made.find(|(at, _, after, _)| *at == index && *after == hash)?;
            Some(CodeChange::new(index, (*code).clone()))
        })
        .collect()
}
