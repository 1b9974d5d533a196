//! What this crate needs of a database engine: sorted tables, transactions, cursors. Everything
//! above works against these traits; `mdbx` alone knows which engine it is.

mod mdbx;
mod validation;

use crate::{StorageError, Table};
use std::borrow::Cow;

pub(crate) use mdbx::{
    DATA_FILE, Engine, EngineOptions, OpenFailure, READERS_FILE, ReadTx, WriteTx,
};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading only.
    Read,
    /// Reading and writing what is there.
    Write,
    /// Making all tables.
    Create,
}

/// The bytes of a key or value: borrowed from the file, unless the page is being changed.
pub(crate) type Slice<'a> = Cow<'a, [u8]>;

/// A key with one of its values.
pub(crate) type Entry<'a> = (Slice<'a>, Slice<'a>);

/// A consistent view of all tables.
pub(crate) trait Read {
    /// Moves over one table.
    type Cursor<'a>: Walk<'a>
    where
        Self: 'a;

    /// The value of a key; the first one where it has many.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice<'_>>, StorageError>;

    /// A cursor that stands nowhere yet.
    fn cursor(&self, table: Table) -> Result<Self::Cursor<'_>, StorageError>;
}

/// Moving over one table in the order of keys, and of values where a key has many.
pub(crate) trait Walk<'a> {
    /// To the last entry.
    fn last(&mut self) -> Result<Option<Entry<'a>>, StorageError>;
    /// To the next entry; the first one where it stands nowhere.
    fn next(&mut self) -> Result<Option<Entry<'a>>, StorageError>;
    /// To the entry before.
    fn prev(&mut self) -> Result<Option<Entry<'a>>, StorageError>;
    /// To the first entry at or after a key.
    fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'a>>, StorageError>;
    /// To the next value of the same key.
    fn next_value(&mut self) -> Result<Option<Slice<'a>>, StorageError>;
    /// To the first value of `key` at or after `value`.
    fn seek_value(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Slice<'a>>, StorageError>;
}

/// Moving and changing.
pub(crate) trait Change<'a>: Walk<'a> {
    /// Sets the value of a key, or adds one where a key has many.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError>;
    /// The same for a key after all others.
    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError>;
    /// The same for a value after all others of its key.
    fn append_value(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError>;
    /// Removes the entry it stands on.
    fn delete(&mut self) -> Result<(), StorageError>;
    /// Removes all values of the key it stands on.
    fn delete_values(&mut self) -> Result<(), StorageError>;
}
