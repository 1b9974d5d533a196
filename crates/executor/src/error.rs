//! Why a block could not be executed.

use alloy_evm::block::BlockExecutionError;
use warpline_types::TxIndex;

/// Why a block could not be executed. The parallel executor reports what the sequential one
/// would, at the same place.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The changes before the first transaction (system calls) failed.
    #[error("before the first transaction: {0}")]
    PreExecution(#[source] BlockExecutionError),
    /// A transaction is invalid, or the parent state could not be read while it ran.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// The first transaction that failed.
        index: TxIndex,
        /// Why.
        #[source]
        error: BlockExecutionError,
    },
    /// The changes after the last transaction (requests, withdrawals, rewards) failed.
    #[error("after the last transaction: {0}")]
    PostExecution(#[source] BlockExecutionError),
    /// The code under execution (a parent state, a precompile, an EVM) panicked.
    #[error("execution panicked: {0}")]
    Panicked(String),
}

impl ExecuteError {
    /// The transaction that failed, where it was one.
    pub const fn transaction(&self) -> Option<TxIndex> {
        match self {
            Self::Transaction { index, .. } => Some(*index),
            _ => None,
        }
    }
}
