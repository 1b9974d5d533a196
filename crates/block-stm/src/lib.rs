//! Who runs when, and who sees which version.
//!
//! One thread, the *front*, walks the transactions of a block in order and commits each of them.
//! *Helpers* run transactions ahead of it, speculatively. The [`Scheduler`] hands out
//! transactions so that every one is committed exactly once and in order; the [`VersionedMap`]
//! shows a speculating transaction the newest write of the transactions before it, whether that
//! is committed or itself a speculation; the [`WorkerPool`] lends the threads.
//!
//! What is absent: the EVM, accounts, gas. Keys and values are type parameters, and the tests
//! drive everything with mock transactions.

mod gate;
mod memory;
#[cfg(test)]
mod mock;
mod needs;
mod pool;
mod scheduler;
mod score;
mod sync;

pub use memory::{Found, VersionedMap};
pub use needs::Needs;
pub use pool::{Help, WorkerPool};
pub use scheduler::{Ahead, FrontStep, Plan, Progress, Scheduler, TxPlan};
