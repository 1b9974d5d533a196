//! Runs the official consensus fixtures, sequentially or in parallel, and reports.
//!
//! - `source`: fixture files, in folders and in `.tar.zst` archives, one at a time.
//! - `document`, `json`: the formats, and the errors that name file and place.
//! - `state_test`, `run_state`: one transaction on a given state.
//! - `tx_test`, `rlp_test`, `trie_test`, `difficulty_test`: what takes no state.
//! - `block_test`, `engine_test`, `run_block`: chains of blocks, valid and not.
//! - `network`, `exceptions`, `skips`: what fixtures call forks and reasons, and what is not
//!   expected to pass.
//! - `run`: all cores over all cases; `blake2f`: what would take a minute each time; `report` and
//!   `table`: what came out.

mod blake2f;
mod block_test;
mod difficulty_test;
mod document;
mod engine_test;
mod exceptions;
mod home;
mod json;
mod network;
mod report;
mod rlp_test;
mod run;
mod run_block;
mod run_state;
mod skips;
mod source;
mod state_test;
mod table;
mod trie_test;
mod tx_test;

pub use report::{Counts, Failure, Report, Timed};
pub use run::{Kind, Observer, RunConfig, run};
pub use source::SourceError;
