//! Trying out what was never seen.
//!
//! A function that nobody has called yet has no template. Its bytecode tells what it touches if it
//! is run on the state there is, which costs as much as executing the transaction and is worth it
//! where there is time: for a transaction that waits in a pool.

use alloy_primitives::{Address, B256, U256};
use revm::{Database, bytecode::Bytecode, state::AccountInfo};

/// A state in which a sender has enough, and the nonce that its transaction needs: what is tried
/// out is the code, not whether the transaction is due.
#[derive(Debug)]
pub struct TrialState<DB> {
    state: DB,
    sender: Address,
    nonce: u64,
}

impl<DB> TrialState<DB> {
    /// A state for a transaction with this nonce.
    pub const fn new(state: DB, sender: Address, nonce: u64) -> Self {
        Self { state, sender, nonce }
    }
}

impl<DB: Database> Database for TrialState<DB> {
    type Error = DB::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let found = self.state.basic(address)?;
        if address != self.sender {
            return Ok(found);
        }
        let mut info = found.unwrap_or_default();
        info.nonce = self.nonce;
        info.balance |= U256::MAX >> 8;
        Ok(Some(info))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Self::Error> {
        self.state.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.state.storage(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.state.block_hash(number)
    }
}
