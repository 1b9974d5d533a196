//! The vocabulary every other crate speaks.
//!
//! Plain data, no logic beyond comparison: positions in a block ([`TxIndex`], [`BlockIndex`]),
//! what a transaction is expected to touch ([`ExpectedAccesses`]) and what a block changed
//! ([`StateDiff`]). Depends on nothing of ours.

mod diff;
mod expected;
mod index;

pub use diff::{AccountDiff, AccountState, Difference, SlotDiff, StateDiff};
pub use expected::{ExpectedAccesses, ExpectedSlot};
pub use index::{BlockIndex, TxIndex};
