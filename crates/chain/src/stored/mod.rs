//! A chain in a database: importing blocks, choosing the head, going back.
//!
//! - `genesis`: what the database begins with; `bulk`: more of it than fits a file.
//! - `record`: what the database says about the chain beside that.
//! - `state`: the state that a block executes on; `layer`: blocks that it lies under.
//! - `source`: what the trie reads and wants written.
//! - `known`: the blocks at hand, canonical and not; `arrival`: one on its way there.
//! - `finish`: root and commit of a block that was executed; `stream`: work for the root before
//!   it is.
//! - `fork`: validation beside the chain, at any depth, without touching the database.
//! - `build`: new blocks; `attempt`: what goes into them; `proposed`: those that are only read;
//!   `early`: transactions executed before there is a block; `changes`: what development chains
//!   change besides.
//! - `pipeline`: many blocks in a row, their stages overlapping: `senders`, `prefetch`, `executing`,
//!   `finishing`.
//! - `accounts`: the whole state by address.
//! - `view`: what others read of it while it goes on; `accesses`: what its blocks touch.
//! - `lists`: what is known of blocks that are executed again; `tally`: how often transactions are,
//!   and what the trie is given meanwhile.
//! - `verify`: the state against its tries; `verify_blocks`: blocks against their headers;
//!   `verify_history`: the values of the past against state roots.
//!
//! [`StoredChain`] ties them together. Only blocks that are valid in every respect are committed.

mod accesses;
mod accounts;
mod arrival;
mod attempt;
mod build;
mod bulk;
mod chain;
mod changes;
mod early;
mod executing;
mod finish;
mod finishing;
mod fork;
mod genesis;
mod known;
mod layer;
mod lists;
mod options;
mod pipeline;
mod prefetch;
mod proposed;
mod record;
mod senders;
mod source;
mod state;
mod stream;
mod tally;
mod verify;
mod verify_blocks;
mod verify_history;
mod view;

pub use accounts::{AccountsError, DumpedAccount};
pub use attempt::Candidate;
pub use build::{BlockAttributes, Dropped, Proposal};
pub use bulk::HashedGenesis;
pub use chain::{Imported, StoredChain};
pub use changes::{AccountEdit, Changes};
pub use early::{EarlyExecution, EarlyExecutor, NextBlock};
pub use genesis::{GenesisBlock, genesis_header};
pub use options::ChainOptions;
pub use pipeline::{Incoming, Progress, Stages, Stopped};
pub use proposed::ProposedBlock;
pub use record::{ChainRecord, Difference};
pub use state::{StoredDb, Unreadable};
pub use stream::RootStreaming;
pub use tally::Executions;
pub use verify::{StateReport, verify_state};
pub use verify_blocks::{body_differs, verify_blocks};
pub use verify_history::verify_history;
pub use view::{BlockRoots, BlockState, ChainView, SideBlock};
