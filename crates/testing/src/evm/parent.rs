//! The state a generated block starts from: maps in memory, filled before the block.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::HashMap};
use core::convert::Infallible;
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    primitives::{KECCAK_EMPTY, StorageKey, StorageValue},
    state::AccountInfo,
};

/// Accounts, code and storage before a block. Reads never fail; see [`crate::faults`] for
/// parents whose reads do.
#[derive(Debug, Clone, Default)]
pub struct MemoryParent {
    accounts: HashMap<Address, AccountInfo>,
    storage: HashMap<(Address, U256), U256>,
    code: HashMap<B256, Bytecode>,
}

impl MemoryParent {
    /// Adds `wei` to an account, which exists from then on.
    pub fn fund(&mut self, address: Address, wei: U256) {
        self.account(address).balance += wei;
    }

    /// Sets an account's nonce.
    pub fn set_nonce(&mut self, address: Address, nonce: u64) {
        self.account(address).nonce = nonce;
    }

    /// Gives an account code: a contract's, or an EIP-7702 delegation designator.
    pub fn set_code(&mut self, address: Address, code: Bytecode) {
        let hash = code.hash_slow();
        self.account(address).code_hash = hash;
        self.code.insert(hash, code);
    }

    /// Deploys plain bytecode with nonce 1, as creation leaves it.
    pub fn deploy(&mut self, address: Address, code: Bytes) {
        self.set_nonce(address, 1);
        self.set_code(address, Bytecode::new_legacy(code));
    }

    /// Sets one storage slot.
    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.storage.insert((address, slot), value);
    }

    /// Removes the accounts that exist and are empty, of which there are none on today's chains.
    pub fn remove_empty_accounts(&mut self) {
        self.accounts.retain(|_, info| !info.is_empty());
    }

    /// The accounts that exist.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.accounts.keys().copied()
    }

    fn account(&mut self, address: Address) -> &mut AccountInfo {
        self.accounts.entry(address).or_insert_with(|| AccountInfo {
            code_hash: KECCAK_EMPTY,
            code: None,
            ..AccountInfo::default()
        })
    }
}

/// The hash this world gives block `number`.
pub fn block_hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

impl DatabaseRef for MemoryParent {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.code.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, index: StorageKey) -> Result<StorageValue, Infallible> {
        Ok(self.storage.get(&(address, index)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(block_hash(number))
    }
}
