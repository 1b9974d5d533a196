//! A plain state next to the trie: what the operations mean, and alloy-trie's root of it.

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{TrieAccount, root};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;
use warpline_trie::{AccountChange, AccountUpdate, SlotChange};
use warpline_types::AccountState;

/// What is done to one account at once.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) account: u16,
    pub(crate) kind: OpKind,
    pub(crate) wipe: bool,
    /// Slot and value; small values, zero among them.
    pub(crate) slots: Vec<(u16, u8)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum OpKind {
    Keep,
    Set { nonce: u8, balance: u64, code: bool },
    Delete,
}

pub(crate) fn op(accounts: u16, slots: u16) -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        2 => Just(OpKind::Keep),
        4 => any::<(u8, u64, bool)>().prop_map(|(nonce, balance, code)| OpKind::Set { nonce, balance, code }),
        2 => Just(OpKind::Delete),
    ];
    let slots = prop_oneof![
        2 => Just(Vec::new()),
        2 => vec((0..slots, 0u8..4), 1..8),
        1 => vec((0..slots, 0u8..4), 8..60),
    ];
    (0..accounts, kind, prop::bool::weighted(0.1), slots)
        .prop_map(|(account, kind, wipe, slots)| Op { account, kind, wipe, slots })
}

/// The `n`-th key: some are spread as hashes are, some share all but a few nibbles.
pub(crate) fn key(n: u16) -> B256 {
    let hash = keccak256(n.to_be_bytes());
    let mut key = B256::repeat_byte(0x5a);
    match n % 4 {
        0 => return hash,
        1 => key[30..].copy_from_slice(&n.to_be_bytes()),
        2 => key[5..].copy_from_slice(&hash[5..]),
        _ => key[usize::from(n) % 32] = hash[0],
    }
    key
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) accounts: BTreeMap<B256, (AccountState, BTreeMap<B256, U256>)>,
}

impl Model {
    /// Does the operation, and says so to the trie.
    pub(crate) fn apply(&mut self, op: &Op) -> AccountChange {
        let address = key(op.account);
        let mut change = AccountChange { address, wipe_storage: op.wipe, ..Default::default() };
        let exists = self.accounts.contains_key(&address);
        match op.kind {
            OpKind::Delete => {
                self.accounts.remove(&address);
                change.update = AccountUpdate::Delete;
                change.wipe_storage = false;
                return change;
            }
            OpKind::Keep if exists => {}
            OpKind::Keep => change.update = AccountUpdate::Set(state(0, 1, false)),
            OpKind::Set { nonce, balance, code } => {
                change.update = AccountUpdate::Set(state(nonce, balance, code));
            }
        }
        let (account, storage) = self.accounts.entry(address).or_default();
        if let AccountUpdate::Set(state) = change.update {
            *account = state;
        }
        if op.wipe {
            storage.clear();
        }
        for &(slot, value) in &op.slots {
            // One value is longer than a byte string of one byte.
            let value = if value == 3 { U256::MAX >> slot } else { U256::from(value) };
            let slot = key(slot);
            match value.is_zero() {
                true => storage.remove(&slot),
                false => storage.insert(slot, value),
            };
            change.slots.push(SlotChange { slot, value });
        }
        change
    }

    /// The root by alloy-trie, from scratch.
    pub(crate) fn root(&self) -> B256 {
        root::state_root(self.accounts.iter().map(|(address, (state, storage))| {
            let account = TrieAccount {
                nonce: state.nonce,
                balance: state.balance,
                storage_root: root::storage_root(storage.iter().map(|(key, value)| (*key, *value))),
                code_hash: state.code_hash,
            };
            (*address, account)
        }))
    }

    /// The changes that lead from this state to `target`.
    pub(crate) fn changes_to(&self, target: &Self) -> Vec<AccountChange> {
        let mut changes = Vec::new();
        for address in self.accounts.keys().filter(|key| !target.accounts.contains_key(*key)) {
            let update = AccountUpdate::Delete;
            changes.push(AccountChange { address: *address, update, ..Default::default() });
        }
        for (address, (state, storage)) in &target.accounts {
            let nothing = BTreeMap::new();
            let old = self.accounts.get(address).map_or(&nothing, |(_, storage)| storage);
            let gone = old.keys().filter(|slot| !storage.contains_key(*slot));
            let gone = gone.map(|slot| SlotChange { slot: *slot, value: U256::ZERO });
            let set = storage.iter().filter(|(slot, value)| old.get(*slot) != Some(value));
            let set = set.map(|(slot, value)| SlotChange { slot: *slot, value: *value });
            let slots: Vec<_> = gone.chain(set).collect();
            if slots.is_empty() && self.accounts.get(address).is_some_and(|(old, _)| old == state) {
                continue;
            }
            let (address, update) = (*address, AccountUpdate::Set(*state));
            changes.push(AccountChange { address, update, wipe_storage: false, slots });
        }
        changes
    }
}

fn state(nonce: u8, balance: u64, code: bool) -> AccountState {
    let code_hash = if code { B256::repeat_byte(nonce) } else { KECCAK256_EMPTY };
    AccountState { nonce: nonce.into(), balance: U256::from(balance) << (balance % 190), code_hash }
}
