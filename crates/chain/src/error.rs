//! What can go wrong with a block, by blame: the block's own fault, or that of whatever holds the
//! state.

use crate::{InvalidBlock, Reason};
use alloy_evm::block::BlockExecutionError;
use core::error::Error;
use warpline_executor::ExecuteError;
use warpline_storage::{OpenError, StorageError};
use warpline_trie::TrieError;

/// A block could not be imported. Only [`ImportError::Invalid`] says something of the block.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The block breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidBlock),
    /// The execution failed for reasons that lie outside the block.
    #[error("the block could not be executed: {0}")]
    Execution(#[source] ExecuteError),
    /// The state could not be read.
    #[error("the state cannot be read: {0}")]
    State(#[source] Box<dyn Error + Send + Sync>),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state trie could not be read, or contradicts the state.
    #[error("state trie: {0}")]
    Trie(#[from] TrieError),
    /// The operating system refuses a thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A thread of the import is gone.
    #[error("a thread of the import has panicked")]
    Panicked,
    /// A head that is not a known block, or not on top of the finalized one.
    #[error("block {hash} cannot become the head: {problem}")]
    Head {
        /// The block asked for.
        hash: alloy_primitives::B256,
        /// Why not.
        problem: &'static str,
    },
}

impl ImportError {
    /// A read from the state failed.
    pub(crate) fn state(error: impl Error + Send + Sync + 'static) -> Self {
        Self::State(Box::new(error))
    }

    /// The broken rule, where it is one; anything else as a reason of its own.
    pub(crate) fn into_invalid(self) -> InvalidBlock {
        match self {
            Self::Invalid(invalid) => invalid,
            other => InvalidBlock::new(Reason::Unexecuted, other),
        }
    }
}

impl From<ExecuteError> for ImportError {
    fn from(error: ExecuteError) -> Self {
        let (ExecuteError::PreExecution(inner)
        | ExecuteError::PostExecution(inner)
        | ExecuteError::Transaction { error: inner, .. }) = &error
        else {
            return Self::Execution(error);
        };
        match inner {
            BlockExecutionError::Validation(_) => Self::Invalid(error.into()),
            BlockExecutionError::Internal(_) => Self::Execution(error),
        }
    }
}

/// A chain could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The database could not be opened or made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the database holds could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The trie could not be opened.
    #[error("state trie: {0}")]
    Trie(#[from] TrieError),
    /// The genesis state does not have the root that the genesis block states.
    #[error("the genesis state has root {computed}, the genesis block says {stated}")]
    GenesisRoot {
        /// The root of the allocation.
        computed: alloy_primitives::B256,
        /// The root of the header.
        stated: alloy_primitives::B256,
    },
    /// The genesis block would have what withdrawals bring and no base fee.
    #[error(
        "genesis config: Shanghai is active in the genesis block, at time {timestamp}, but London is \
         not, at number {number}"
    )]
    GenesisForks {
        /// The time of the genesis block.
        timestamp: u64,
        /// Its number.
        number: u64,
    },
    /// The base fee of the genesis block is beyond what a header holds.
    #[error("baseFeePerGas is {base_fee_per_gas}: a header holds no more than 64 bits")]
    GenesisBaseFee {
        /// What the genesis file says.
        base_fee_per_gas: u128,
    },
    /// What the database says about its chain cannot be read.
    #[error("the chain configuration in the database cannot be read: {0}")]
    Record(#[source] serde_json::Error),
    /// A number in a configuration is too large for what it is.
    #[error("the chain configuration cannot be kept or compared: {0}")]
    Config(#[source] serde_json::Error),
}
