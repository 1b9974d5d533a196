//! What a transaction is expected to touch.

use alloy_primitives::{Address, U256};

/// A storage slot that a transaction is expected to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedSlot {
    /// The contract.
    pub address: Address,
    /// The slot's key.
    pub slot: U256,
    /// The transaction is expected to leave it with another value.
    pub written: bool,
}

/// The accesses that are expected of one transaction. A guess: whoever uses it loses time if it is
/// wrong, never correctness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedAccesses {
    /// Accounts, each once, the sender and the recipient included.
    pub accounts: Vec<Address>,
    /// Slots, each once.
    pub slots: Vec<ExpectedSlot>,
}
