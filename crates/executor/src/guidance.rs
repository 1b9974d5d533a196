//! What is known or guessed of a block before it is executed, and what to note besides.

use alloy_eips::eip7928::BlockAccessList;
use warpline_types::ExpectedAccesses;

/// Guidance for the execution of one block. It decides how much time the execution takes, never
/// what comes of the block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guidance<'a> {
    /// What each transaction is expected to touch, in block order. Empty where nothing is known;
    /// what is missing at the end is not known either.
    pub expected: &'a [ExpectedAccesses],
    /// The block's access list (EIP-7928), if one is at hand: with it transactions run ahead see
    /// what those before them will leave. One that is wrong costs time.
    pub access_list: Option<&'a BlockAccessList>,
    /// Produce the block's access list ([`BlockOutput::access_list`](crate::BlockOutput)).
    pub list_accesses: bool,
}
