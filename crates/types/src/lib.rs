//! The vocabulary every other crate speaks.
//!
//! Plain data, no logic beyond comparison: positions in a block ([`TxIndex`], [`BlockIndex`]) and
//! what a block changed ([`StateDiff`]). Depends on nothing of ours.

mod diff;
mod index;

pub use diff::{AccountDiff, AccountState, Difference, SlotDiff, StateDiff};
pub use index::{BlockIndex, TxIndex};
