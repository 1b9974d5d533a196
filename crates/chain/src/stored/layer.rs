//! A block that was executed but is not in the database yet, to be read through.

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::state::Bytecode;
use std::sync::Arc;
use warpline_storage::BlockRef;
use warpline_types::{AccountDiff, AccountState, SlotKey, StateDiff};

/// What one block changed, with an index.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) block: BlockRef,
    pub(crate) diff: Arc<StateDiff>,
    accounts: AddressMap<u32>,
    slots: HashMap<SlotKey, U256>,
    codes: B256Map<Bytecode>,
}

impl Layer {
    pub(crate) fn new(block: BlockRef, diff: Arc<StateDiff>) -> Self {
        let accounts = diff.accounts.iter().zip(0..).map(|(account, at)| (account.address, at));
        let accounts = accounts.collect();
        let slots = diff.accounts.iter().flat_map(|account| {
            account
                .storage
                .iter()
                .map(|slot| (SlotKey::new(account.address, slot.slot), slot.after))
        });
        let slots = slots.collect();
        let code = |(hash, code): &(B256, _)| {
            (*hash, Bytecode::new_raw(alloy_primitives::Bytes::clone(code)))
        };
        let codes = diff.codes.iter().map(code).collect();
        Self { block, diff, accounts, slots, codes }
    }

    fn change(&self, address: &Address) -> Option<&AccountDiff> {
        self.diff.accounts.get(*self.accounts.get(address)? as usize)
    }

    /// The account after the block, where the block changed it.
    pub(crate) fn account(&self, address: &Address) -> Option<Option<AccountState>> {
        self.change(address).map(|change| change.after)
    }

    /// The slot after the block, where the block changed it.
    pub(crate) fn slot(&self, address: &Address, slot: U256) -> Option<U256> {
        if let Some(value) = self.slots.get(&SlotKey::new(*address, slot)) {
            return Some(*value);
        }
        let change = self.change(address)?;
        (change.storage_cleared || change.after.is_none()).then_some(U256::ZERO)
    }

    /// Code that the block deployed.
    pub(crate) fn code(&self, hash: &B256) -> Option<&Bytecode> {
        self.codes.get(hash)
    }
}
