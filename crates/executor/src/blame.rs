//! Whose fault a failed pre- or post-block change is.
//!
//! alloy-evm reports every error inside a system call or a balance increment as a broken rule of
//! the block, with no more than a message of the cause. When the cause is a parent state that
//! cannot be read the block may be fine. So the reads are noted here, in both modes.

use alloy_evm::{Database, block::BlockExecutionError};
use alloy_primitives::{Address, B256, U256};
use core::cell::RefCell;
use revm::state::{AccountId, AccountInfo, Bytecode};

/// The state before the block could not be read during a change before the first or after the
/// last transaction. An infrastructure error ([`BlockExecutionError::Internal`] holds it): it says
/// nothing about the block.
#[derive(Debug, thiserror::Error)]
#[error("the state before the block cannot be read: {cause}")]
pub struct ParentReadError {
    /// What the parent state's own error says.
    pub cause: String,
    /// What became of it in the change that needed the read.
    #[source]
    pub consequence: BlockExecutionError,
}

/// The first read of the current stage that failed.
#[derive(Debug, Default)]
pub(crate) struct FailedRead(RefCell<Option<String>>);

impl FailedRead {
    /// A stage begins: whatever failed before it has been dealt with.
    pub(crate) fn forget(&self) {
        self.0.take();
    }

    /// What a stage failed for.
    pub(crate) fn blame(&self, error: BlockExecutionError) -> BlockExecutionError {
        match self.0.take() {
            Some(cause) => {
                BlockExecutionError::other(ParentReadError { cause, consequence: error })
            }
            None => error,
        }
    }
}

/// A parent's database that notes the first read that fails.
#[derive(Debug)]
pub(crate) struct NotedDb<'n, Db> {
    db: Db,
    failed: &'n FailedRead,
}

impl<'n, Db: Database> NotedDb<'n, Db> {
    pub(crate) const fn new(db: Db, failed: &'n FailedRead) -> Self {
        Self { db, failed }
    }

    fn noted<T>(&self, read: Result<T, Db::Error>) -> Result<T, Db::Error> {
        read.inspect_err(|error| {
            self.failed.0.borrow_mut().get_or_insert_with(|| error.to_string());
        })
    }
}

impl<Db: Database> revm::Database for NotedDb<'_, Db> {
    type Error = Db::Error;

    #[inline]
    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let read = self.db.basic(address);
        self.noted(read)
    }

    #[inline]
    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        let read = self.db.code_by_hash(code_hash);
        self.noted(read)
    }

    #[inline]
    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Self::Error> {
        let read = self.db.storage(address, key);
        self.noted(read)
    }

    #[inline]
    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        key: U256,
    ) -> Result<U256, Self::Error> {
        let read = self.db.storage_by_account_id(address, id, key);
        self.noted(read)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        let read = self.db.block_hash(number);
        self.noted(read)
    }
}
