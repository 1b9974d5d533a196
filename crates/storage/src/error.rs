//! What can go wrong, by blame: the caller asked for what is not there, the disk failed, or the
//! database is damaged.

use crate::{BlockRef, Table, codec::DecodeError};
use alloy_primitives::{B256, Bytes};
use std::{io, path::PathBuf, sync::Arc};

/// An operation on an open database failed. Nothing of it has been written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A value is not what its table holds.
    #[error("damaged database: {table}, key {key}: {reason}")]
    Decode {
        /// The table.
        table: Table,
        /// The key of the value.
        key: Bytes,
        /// What is wrong with the value.
        reason: DecodeError,
    },
    /// A value that must be there is not, or two tables disagree.
    #[error("damaged database: {table}, key {key}: {problem}")]
    Inconsistent {
        /// The table.
        table: Table,
        /// The key.
        key: Bytes,
        /// What is wrong.
        problem: &'static str,
    },
    /// The database engine found a page that makes no sense.
    #[error("damaged database: {operation}: {detail}")]
    Corrupted {
        /// What was being done.
        operation: String,
        /// The engine's words.
        detail: String,
    },
    /// The database has grown to its configured limit.
    #[error("the database has reached its size limit of {limit} bytes")]
    MapFull {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file system is full.
    #[error("no space left on the device of {}", path.display())]
    DiskFull {
        /// Where the database is.
        path: PathBuf,
    },
    /// All reader slots are taken.
    #[error("all {limit} reader slots are in use")]
    TooManyReaders {
        /// The configured number.
        limit: u64,
    },
    /// The operating system failed.
    #[error("{operation}: {source}")]
    Io {
        /// What was being done.
        operation: String,
        /// The error.
        source: Arc<io::Error>,
    },
    /// The database engine refused.
    #[error("{operation}: {detail}")]
    Engine {
        /// What was being done.
        operation: String,
        /// The engine's words.
        detail: String,
    },
    /// A block does not follow the head.
    #[error("block {block} with parent {parent} does not follow the head {head}")]
    NotNext {
        /// The block.
        block: BlockRef,
        /// The parent it names.
        parent: B256,
        /// The head.
        head: BlockRef,
    },
    /// A block to commit contradicts itself.
    #[error("block {block} cannot be stored: {problem}")]
    BadCommit {
        /// The block.
        block: BlockRef,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such block.
    #[error("block {number} is not stored, the head is {head}")]
    UnknownBlock {
        /// The number asked for.
        number: u64,
        /// The head.
        head: BlockRef,
    },
    /// State or records of a block have been pruned.
    #[error(
        "{what} of block {number} {} been pruned, the earliest kept is of block {earliest}",
        if what.ends_with('s') { "have" } else { "has" }
    )]
    Pruned {
        /// What was asked for.
        what: &'static str,
        /// The block asked for.
        number: u64,
        /// The first block for which it is kept.
        earliest: u64,
    },
    /// More readers of a snapshot were opened than it was made for, and its view is gone by now.
    #[error("the snapshot of block {block} was made for {readers} readers and cannot open more")]
    SnapshotMovedOn {
        /// The block of the snapshot.
        block: BlockRef,
        /// How many readers it was made for.
        readers: usize,
    },
    /// An account was asked for that has no code of that hash.
    #[error("code {0} is not stored")]
    UnknownCode(B256),
    /// Only the state after the head and blocks not yet written can be walked through.
    #[error("{what} of block {block} cannot be read: only single values are kept of the past")]
    OnlyValues {
        /// What was asked for.
        what: &'static str,
        /// The block of the snapshot.
        block: BlockRef,
    },
    /// The writer has failed; blocks accepted before are kept in memory. A flush tries again.
    #[error("blocks could not be written: {0}")]
    WriterFailed(Arc<Self>),
    /// The writer is gone: the storage has been shut down.
    #[error("the storage has been shut down")]
    Closed,
    /// Reading only was asked for.
    #[error("the database has been opened for reading only")]
    ReadOnly,
}

impl StorageError {
    /// Whether it is the database that is damaged.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Decode { .. } | Self::Inconsistent { .. } | Self::Corrupted { .. })
    }
}

/// A database could not be opened or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing.
    #[error("there is no database at {}", .0.display())]
    NotFound(PathBuf),
    /// There is a database already.
    #[error("there is a database at {} already", .0.display())]
    Exists(PathBuf),
    /// A file is there, but not a database.
    #[error("{} is not a database: {detail}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        detail: String,
    },
    /// The file cannot be read, or the folder not written.
    #[error("no permission for {}: {detail}", path.display())]
    Permission {
        /// The folder.
        path: PathBuf,
        /// The operating system's words.
        detail: String,
    },
    /// Somebody else has it open.
    #[error("{} is in use by {holder}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, as far as known.
        holder: String,
    },
    /// The database was written by another version of this program.
    #[error(
        "{} has schema version {found}, this program reads version {expected}", path.display()
    )]
    SchemaVersion {
        /// The folder.
        path: PathBuf,
        /// The version of the database.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// The database belongs to another chain.
    #[error("{} holds chain {found}, not chain {expected}", path.display())]
    OtherChain {
        /// The folder.
        path: PathBuf,
        /// The chain id of the database.
        found: u64,
        /// The chain id asked for.
        expected: u64,
    },
    /// The database belongs to another genesis block.
    #[error("{} begins with genesis block {found}, not {expected}", path.display())]
    OtherGenesis {
        /// The folder.
        path: PathBuf,
        /// The genesis block of the database.
        found: B256,
        /// The one asked for.
        expected: B256,
    },
    /// Making the database was interrupted before the genesis state was complete.
    #[error("{} was never completed: make it again", .0.display())]
    Incomplete(PathBuf),
    /// The process that wrote last was killed, and what it had begun can only be undone by opening
    /// the database for writing.
    #[error("{} was not closed in order: open it for writing once", .0.display())]
    Unrecovered(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Anything else.
    #[error("{}: {source}", path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// The error.
        source: Box<StorageError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_pruned_is_told_in_its_number() {
        let told = |what| StorageError::Pruned { what, number: 20, earliest: 33 }.to_string();
        let end = "been pruned, the earliest kept is of block 33";
        assert_eq!(told("the state"), format!("the state of block 20 has {end}"));
        assert_eq!(told("receipts"), format!("receipts of block 20 have {end}"));
        assert_eq!(told("senders"), format!("senders of block 20 have {end}"));
    }
}
