//! What tests share: generated EVM blocks, named scenarios, and parents that fail on purpose.
//!
//! - [`evm`] builds blocks: from a seed ([`evm::plan`]), from a `proptest` strategy, or one per
//!   case where parallel engines have been wrong ([`evm::scenarios`]).
//! - [`faults`] wraps a parent state so that its n-th read fails, panics or is slow.
//! - The `tidy` test of this crate holds the structure of the whole workspace.
//!
//! Nothing here executes a block: that is the executor's work, and a differential test needs
//! inputs that do not come from the code under test. The one use of an EVM is to give each
//! transaction the nonce its sender has by then.

#![allow(clippy::expect_used, clippy::panic, reason = "test support fails loudly")]

pub mod evm;
pub mod faults;
