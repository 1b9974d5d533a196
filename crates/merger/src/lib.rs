//! In-order reconciliation of transaction results into one state.
//!
//! [`CanonicalState`] is the state of the block as far as it has been committed. Exactly one
//! thread owns it: it executes and commits transactions on it in block order, so what it holds
//! is sequential by construction. It does the job of revm's `State` with one record per account
//! instead of a cache, a list of transitions and a bundle, and it answers the question a
//! speculative result asks: *is what this transaction read still true?*
//!
//! What is absent: threads. Nothing here synchronises, and nothing here runs an EVM.

mod accesses;
mod account;
mod bundle;
mod canonical;
mod changes;
mod difference;
mod index_changes;

pub use accesses::Accesses;
pub use account::AccountEntry;
pub use bundle::diff_from_bundle;
pub use canonical::{Adjustment, CanonicalState, CommitSink, NoSink};
pub use changes::{AccountChange, Changes, Fate, SlotChange};
pub use difference::{ListDifference, ListEntry, first_list_difference};
