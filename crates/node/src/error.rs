//! What a node cannot do, and why.

use alloy_primitives::B256;
use std::io;
use warpline_chain::{ImportError, Unreadable};
use warpline_simulation::SimulationError;
use warpline_storage::StorageError;
use warpline_txpool::{AccountsError, IntakeError, PoolError};

/// A node cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node is being shut down.
    #[error("the node is shutting down")]
    Stopped,
    /// The pool refuses a transaction.
    #[error(transparent)]
    Pool(Box<PoolError>),
    /// A transaction is not even looked at.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// A block cannot be made or imported.
    #[error(transparent)]
    Chain(Box<ImportError>),
    /// The database cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The pool cannot follow the chain.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The words are not a mnemonic.
    #[error("invalid mnemonic: {0}")]
    Mnemonic(#[source] alloy_signer_local::LocalSignerError),
    /// The operating system refuses a thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] io::Error),
    /// The journal of local transactions cannot be read or written.
    #[error("the journal of local transactions: {0}")]
    Journal(#[source] io::Error),
    /// Blocks have to be in the order of time.
    #[error(
        "Timestamp error: {wanted} is lower than or equal to previous block's timestamp {last}"
    )]
    Timestamp {
        /// What was asked for, in seconds since 1970.
        wanted: u64,
        /// The head's time.
        last: u64,
    },
    /// No time that a chain can have, or too late a one.
    #[error("timestamp {wanted} is too far in the future: at most {most} (2^53-1) is taken")]
    TimeTooFar {
        /// What was asked for, in seconds since 1970 or in seconds.
        wanted: u64,
        /// The most that can be asked for.
        most: u64,
    },
    /// No header may have such a gas limit.
    #[error("block gas limit {wanted} is out of range: {least} to {most} (2^63-1)")]
    GasLimit {
        /// What was asked for.
        wanted: u64,
        /// The least that a header may have.
        least: u64,
        /// The most that a header may have.
        most: u64,
    },
    /// Proposals are made on the head only.
    #[error("the parent {0} is not the head")]
    NotTheHead(B256),
    /// No such block to go back to.
    #[error("block {0} is not in the chain")]
    UnknownBlock(u64),
    /// A block cannot be executed again.
    #[error(transparent)]
    Simulation(Box<SimulationError<Unreadable>>),
    /// The state cannot be listed.
    #[error(transparent)]
    Dump(#[from] warpline_chain::AccountsError),
}

impl From<PoolError> for NodeError {
    fn from(error: PoolError) -> Self {
        Self::Pool(Box::new(error))
    }
}

impl From<ImportError> for NodeError {
    fn from(error: ImportError) -> Self {
        Self::Chain(Box::new(error))
    }
}

impl From<SimulationError<Unreadable>> for NodeError {
    fn from(error: SimulationError<Unreadable>) -> Self {
        Self::Simulation(Box::new(error))
    }
}
