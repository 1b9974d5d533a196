//! Keccak-256 of many inputs at once.
//!
//! One input keeps a core busy for the length of a chain of instructions that each wait for the
//! one before. Several inputs side by side, one per lane of a vector register, take hardly longer:
//! eight with AVX-512, four with AVX2. Which of them a processor has is found out when the program
//! runs; without either, inputs are hashed one after the other.
//!
//! [`keccak256_each`] hashes inputs that are all there, [`Batch`] collects them first, and
//! [`Levels`] hashes inputs that contain the hashes of others, as the nodes of a trie do.
//!
//! ```
//! use alloy_primitives::keccak256;
//! let inputs = [b"one".as_slice(), b"two", &[7; 1000]];
//! assert_eq!(warpline_keccak::keccak256_each(inputs), inputs.map(keccak256));
//! ```

mod batch;
mod levels;
#[cfg(target_arch = "x86_64")]
mod permute;

pub use batch::{Batch, keccak256_each};
pub use levels::{Levels, MessageId};
