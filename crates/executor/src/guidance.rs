//! What is known or guessed of a block before it is executed.

use warpline_types::ExpectedAccesses;

/// Guidance for the execution of one block. It decides how much time the execution takes, never
/// what comes of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guidance<'a> {
    /// What each transaction is expected to touch, in block order. Empty where nothing is known;
    /// what is missing at the end is not known either.
    pub expected: &'a [ExpectedAccesses],
}
