//! The vocabulary every other crate speaks.
//!
//! Plain data, no logic beyond comparison: positions in a block ([`TxIndex`], [`BlockIndex`]),
//! slots as keys of maps ([`SlotKey`]), what a transaction is expected to touch
//! ([`ExpectedAccesses`]), what a block changed ([`StateDiff`]) and what stands for a signature that
//! nobody has made ([`impersonation_mark`]). Depends on nothing of ours.

mod diff;
mod expected;
mod impersonation;
mod index;
mod slot_key;

pub use diff::{AccountDiff, AccountState, Difference, SlotDiff, StateDiff};
pub use expected::{ExpectedAccesses, ExpectedSlot};
pub use impersonation::impersonation_mark;
pub use index::{BlockIndex, TxIndex};
pub use slot_key::SlotKey;
