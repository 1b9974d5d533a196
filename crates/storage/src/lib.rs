//! Durable storage of one canonical chain: blocks, receipts, the state after the head, the way
//! back to earlier states, and trie nodes as opaque bytes. It knows nothing of execution and of
//! the rules of tries.
//!
//! - [`Storage`] accepts blocks, writes them on a thread of its own in atomic commits, and hands
//!   out [`Snapshot`]s.
//! - A [`Snapshot`] is the state after one block; every thread opens its own [`StateReader`].
//! - [`GenesisLoader`] makes a database.
//! - [`Storage::verify`] holds the tables against each other, [`Storage::stats`] counts.
//!
//! State is keyed by Keccak-256, flat: `hash(address)` → account with its storage root, `hash(address), hash(slot)` →
//! value. [`Table`] lists what is stored where.

mod block;
mod cache;
mod codec;
mod engine;
mod error;
mod filter;
mod genesis;
mod history;
mod meta;
mod open;
mod options;
mod pending;
mod prune;
mod reader;
mod snapshot;
mod snapshots;
mod stats;
mod store;
mod table;
mod tables;
mod unwind;
mod verify;
mod write;
mod writer;

pub use block::{
    BlockCommit, BlockRef, HashedAccountDiff, HashedDiff, HashedSlotDiff, MAX_PATH, NodeUpdates,
    StorageTrieUpdates, StoredAccount, StoredReceipt, Transaction, TrieUpdates,
};
pub use cache::CacheSizes;
pub use codec::{DecodeError, SCHEMA_VERSION};
pub use error::{OpenError, StorageError};
pub use genesis::GenesisLoader;
pub use meta::{Finality, Identity, Progress};
pub use options::{Durability, StorageOptions};
pub use prune::PrunePolicy;
pub use reader::HashedState;
pub use snapshot::{Snapshot, StateReader};
pub use snapshots::Snapshots;
pub use stats::{Stats, TableStats};
pub use store::Storage;
pub use table::Table;
pub use unwind::{UnwindView, Unwound};
pub use verify::Finding;
pub use writer::Gathering;
