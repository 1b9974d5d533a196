//! Block validation: which blocks belong to a chain, and what state they lead to.
//!
//! A block goes through these files, and the first rule it breaks ends its way:
//!
//! 1. `header`: numbers, times, gas, fees and fields, against the parent's header; `difficulty`.
//! 2. `ommers`: which headers may be included, while blocks are mined.
//! 3. `body`: size, roots, blob gas; senders.
//! 4. `execution`: gas, requests, state root, on an [`Engine`] of the caller's choice; `receipts`.
//!
//! [`BlockTree`] does this for a whole tree of blocks and chooses its head. What is absent: disks,
//! wire formats, and seals.

mod before;
mod body;
mod committed;
mod difficulty;
mod engine;
mod error;
mod execution;
mod header;
mod invalid;
mod ommers;
mod receipts;
mod rules;
mod state;
mod stored;
mod transaction;
mod tree;

pub use difficulty::next_difficulty;
pub use engine::{Engine, Executed};
pub use error::{ChainError, ImportError};
pub use invalid::{InvalidBlock, Reason};
pub use rules::Rules;
pub use state::{BlockHashes, MemoryAccount, MemoryState, Parent, Storage};
pub use stored::{
    AccountEdit, AccountsError, BlockAttributes, BlockRoots, BlockState, Candidate, ChainOptions,
    ChainRecord, ChainView, Changes, Difference, Dropped, DumpedAccount, EarlyExecution,
    EarlyExecutor, Executions, GenesisBlock, HashedGenesis, Imported, Incoming, NextBlock,
    Progress, Proposal, ProposedBlock, RootStreaming, SideBlock, Stages, StateReport, Stopped,
    StoredChain, StoredDb, Unreadable, body_differs, genesis_header, verify_blocks, verify_history,
    verify_state,
};
pub use transaction::{StatelessTransaction, check_transaction};
pub use tree::{BlockTree, Head};
