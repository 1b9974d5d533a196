//! The whole state of a chain in memory, cheap to keep for every block.

use crate::{
    ImportError,
    before::{Roots, StateBefore},
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use core::convert::Infallible;
use revm::{
    DatabaseRef,
    state::{AccountInfo, Bytecode},
};
use std::sync::{Arc, OnceLock};
use warpline_types::{AccountDiff, StateDiff};

/// The storage of one account. A slot that is not listed is zero.
pub type Storage = HashMap<U256, U256>;

/// The whole state after some block. Copies share every account that is the same in both.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    accounts: AddressMap<Arc<MemoryAccount>>,
    codes: B256Map<Bytecode>,
}

/// One account of a [`MemoryState`].
#[derive(Debug, Clone, Default)]
pub struct MemoryAccount {
    info: AccountInfo,
    storage: Storage,
    /// Computed when first asked for; accounts do not change in place.
    storage_root: OnceLock<B256>,
}

impl MemoryAccount {
    fn new(info: AccountInfo, storage: Storage) -> Arc<Self> {
        Arc::new(Self { info, storage, storage_root: OnceLock::new() })
    }

    /// Balance, nonce and code hash.
    pub const fn info(&self) -> &AccountInfo {
        &self.info
    }

    /// The storage, without zeros.
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    fn storage_root(&self) -> B256 {
        *self.storage_root.get_or_init(|| {
            let slots = self.storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
            storage_root_unhashed(slots)
        })
    }
}

impl MemoryState {
    /// Adds an account, replacing one of the same address.
    pub fn insert(
        &mut self,
        address: Address,
        balance: U256,
        nonce: u64,
        code: Bytes,
        mut storage: Storage,
    ) {
        storage.retain(|_, value| !value.is_zero());
        let code_hash = self.insert_code(code);
        let info = AccountInfo { balance, nonce, code_hash, account_id: None, code: None };
        self.accounts.insert(address, MemoryAccount::new(info, storage));
    }

    /// Removes an account with its storage.
    pub fn remove(&mut self, address: &Address) {
        self.accounts.remove(address);
    }

    /// The account at an address.
    pub fn account(&self, address: &Address) -> Option<&MemoryAccount> {
        self.accounts.get(address).map(AsRef::as_ref)
    }

    /// All accounts, in no particular order.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = (&Address, &MemoryAccount)> {
        self.accounts.iter().map(|(address, account)| (address, account.as_ref()))
    }

    /// The accounts that have storage but neither code nor a nonce, each with a slot that is not
    /// zero. Where they exist, creating a contract fails (EIP-7610).
    pub fn storage_only(&self) -> AddressMap<U256> {
        let bare =
            |account: &MemoryAccount| account.info.nonce == 0 && account.info.is_empty_code_hash();
        let slot = |(address, account): (&Address, &MemoryAccount)| {
            let slot = account.storage.keys().next().filter(|_| bare(account))?;
            Some((*address, *slot))
        };
        self.accounts().filter_map(slot).collect()
    }

    /// The code with a hash; empty where it is not known.
    pub fn code(&self, code_hash: &B256) -> Bytes {
        self.codes.get(code_hash).map(Bytecode::original_bytes).unwrap_or_default()
    }

    /// Makes the changes of a block.
    pub fn apply(&mut self, diff: &StateDiff) {
        for (_, code) in &diff.codes {
            self.insert_code(code.clone());
        }
        for account in &diff.accounts {
            self.apply_account(account);
        }
    }

    fn apply_account(&mut self, diff: &AccountDiff) {
        let Some(after) = diff.after else {
            self.accounts.remove(&diff.address);
            return;
        };
        let before = self.accounts.get(&diff.address).filter(|_| !diff.storage_cleared);
        let mut storage = before.map(|account| account.storage.clone()).unwrap_or_default();
        for slot in &diff.storage {
            set_slot(&mut storage, slot.slot, slot.after);
        }
        let info = AccountInfo {
            balance: after.balance,
            nonce: after.nonce,
            code_hash: after.code_hash,
            account_id: None,
            code: None,
        };
        self.accounts.insert(diff.address, MemoryAccount::new(info, storage));
    }

    /// The root of the state trie.
    pub fn root(&self) -> B256 {
        state_root_unhashed(self.accounts.iter().map(|(address, account)| {
            let trie_account = TrieAccount {
                nonce: account.info.nonce,
                balance: account.info.balance,
                storage_root: account.storage_root(),
                code_hash: account.info.code_hash,
            };
            (*address, trie_account)
        }))
    }

    fn insert_code(&mut self, code: Bytes) -> B256 {
        if code.is_empty() {
            return KECCAK256_EMPTY;
        }
        let hash = keccak256(&code);
        // Code that only looks like a delegation runs as what it is: an invalid opcode.
        let analyse = || {
            Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
        };
        self.codes.entry(hash).or_insert_with(analyse);
        hash
    }
}

fn set_slot(storage: &mut Storage, slot: U256, value: U256) {
    if value.is_zero() {
        storage.remove(&slot);
    } else {
        storage.insert(slot, value);
    }
}

/// The hashes of earlier blocks, as the `BLOCKHASH` instruction asks for them.
pub trait BlockHashes: core::fmt::Debug {
    /// The hash of the block with a number, zero where it is not known.
    fn block_hash(&self, number: u64) -> B256;
}

impl BlockHashes for HashMap<u64, B256> {
    fn block_hash(&self, number: u64) -> B256 {
        self.get(&number).copied().unwrap_or_default()
    }
}

/// A state and the hashes of the blocks before it: what a block executes on.
#[derive(Debug)]
pub struct Parent<'a, H> {
    /// The state.
    pub state: &'a MemoryState,
    /// The hashes.
    pub hashes: &'a H,
}

impl<H> Clone for Parent<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Parent<'_, H> {}

impl<H: BlockHashes> DatabaseRef for Parent<'_, H> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.state.account(&address).map(|account| account.info.clone()))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.state.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Infallible> {
        let account = self.state.account(&address);
        Ok(account.and_then(|account| account.storage.get(&index)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(self.hashes.block_hash(number))
    }
}

/// Roots in memory: nothing is shared with the state but what did not change.
impl Roots for MemoryState {
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        self.apply(changes);
        Ok(self.root())
    }
}

impl<H: BlockHashes + Sync> StateBefore for Parent<'_, H> {
    type Roots<'a>
        = MemoryState
    where
        Self: 'a;

    fn storage_only(&self) -> Arc<AddressMap<U256>> {
        Arc::new(self.state.storage_only())
    }

    fn roots(&self) -> Result<MemoryState, ImportError> {
        Ok(self.state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::EMPTY_ROOT_HASH;
    use warpline_types::{AccountState, SlotDiff};

    const A: Address = Address::repeat_byte(0xaa);

    fn account(balance: u64) -> AccountState {
        AccountState { balance: U256::from(balance), nonce: 1, code_hash: KECCAK256_EMPTY }
    }

    fn diff(
        before: Option<u64>,
        after: Option<u64>,
        cleared: bool,
        slots: &[(u64, u64)],
    ) -> StateDiff {
        let slot = |(slot, after): &(u64, u64)| SlotDiff {
            slot: U256::from(*slot),
            before: U256::ZERO,
            after: U256::from(*after),
        };
        let accounts = vec![AccountDiff {
            address: A,
            before: before.map(account),
            after: after.map(account),
            storage_cleared: cleared,
            storage: slots.iter().map(slot).collect(),
        }];
        StateDiff { accounts, codes: Vec::new() }
    }

    #[test]
    fn a_diff_and_its_opposite_leave_nothing() {
        let mut state = MemoryState::default();
        assert_eq!(state.root(), EMPTY_ROOT_HASH);
        state.apply(&diff(None, Some(5), false, &[(1, 2)]));
        assert_eq!(state.account(&A).unwrap().storage()[&U256::from(1)], U256::from(2));
        assert_ne!(state.root(), EMPTY_ROOT_HASH);
        state.apply(&diff(Some(5), None, true, &[]));
        assert_eq!(state.root(), EMPTY_ROOT_HASH);
    }

    #[test]
    fn copies_do_not_follow_later_changes() {
        let mut state = MemoryState::default();
        state.apply(&diff(None, Some(5), false, &[(1, 2), (3, 4)]));
        let (copy, root) = (state.clone(), state.root());
        state.apply(&diff(Some(5), Some(5), false, &[(1, 0)]));
        assert_ne!(state.root(), root);
        assert_eq!(copy.root(), root);
        state.apply(&diff(Some(5), Some(5), true, &[(1, 2), (3, 4)]));
        assert_eq!(state.root(), root);
    }
}
