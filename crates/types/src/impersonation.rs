//! Transactions of accounts whose key nobody has.

use alloy_primitives::{Address, Signature, U256};

/// What stands for the signature where a development node sends a transaction in the name of an
/// account without its key. Nobody's signature, but another for every sender, so that the hashes of
/// their transactions differ.
pub fn impersonation_mark(sender: &Address) -> Signature {
    Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false)
}
