//! The vocabulary every other crate speaks.
//!
//! Plain data, no logic beyond comparison: positions in a block ([`TxIndex`], [`BlockIndex`]),
//! slots as keys of maps ([`SlotKey`]), what a transaction is expected to touch
//! ([`ExpectedAccesses`]) and what a block changed ([`StateDiff`]). Depends on nothing of ours.

mod diff;
mod expected;
mod index;
mod slot_key;

pub use diff::{AccountDiff, AccountState, Difference, SlotDiff, StateDiff};
pub use expected::{ExpectedAccesses, ExpectedSlot};
pub use index::{BlockIndex, TxIndex};
pub use slot_key::SlotKey;
