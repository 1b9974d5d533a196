//! The engine: MDBX through `signet-libmdbx`. Nothing outside this file names it.
//!
//! MDBX is a copy-on-write B-tree in one memory-mapped file. A commit writes changed pages to
//! free places and then one of three meta pages, so whatever interrupts it, the last complete
//! commit is what the file holds. Readers take a snapshot when they begin and never block; one
//! read transaction must not be used by two threads at once, which `ReadTx: !Sync` says to the
//! compiler.
//!
//! The file is written with `pwrite`, not through a writable memory map: a full disk is then an
//! error of a system call and not a signal.

use super::{Access, Change, Entry, Read, Slice, Walk, validation};
use crate::{StorageError, Table};
use signet_libmdbx::{
    Cursor as RawCursor, Database, DatabaseFlags, Environment, EnvironmentFlags, Geometry, Info,
    MdbxError, Mode, ReadError, ReadResult, Ro, Rw, SyncMode, TransactionKind, WriteFlags,
    sys::PageSize, tx::Tx as RawTx,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

/// How the file is opened.
#[derive(Clone, Debug)]
pub(crate) struct EngineOptions {
    /// What for.
    pub(crate) access: Access,
    /// Flush at every commit; otherwise at the latest after this many bytes or this long.
    pub(crate) flush_after: Option<(usize, Duration)>,
    /// Limit of the file's size, in bytes.
    pub(crate) max_size: usize,
    /// How much the file grows at a time, in bytes.
    pub(crate) growth: usize,
    /// Number of reader slots.
    pub(crate) max_readers: u64,
    /// Changed pages that a commit holds in memory, in bytes.
    pub(crate) commit_memory: usize,
}

impl EngineOptions {
    fn read_only(&self) -> bool {
        self.access == Access::Read
    }

    fn commit_pages(&self) -> u64 {
        (self.commit_memory / PAGE).max(LEAST_PAGES) as u64
    }
}

/// Fewer changed pages in memory are too few for the cursors of MDBX.
const LEAST_PAGES: usize = 128;

/// An open database file.
#[derive(Clone)]
pub(crate) struct Engine {
    env: Environment,
    tables: Arc<Tables>,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("path", &self.tables.path).finish_non_exhaustive()
    }
}

/// None of a table that a database does not have yet.
type Handles = [Option<Database>; Table::ALL.len()];

struct Tables {
    handles: Handles,
    path: PathBuf,
    max_size: u64,
    max_readers: u64,
    read_only: bool,
}

/// Name of the file that MDBX makes in its folder.
pub(crate) const DATA_FILE: &str = "mdbx.dat";

/// And of the one beside it, which lists its readers.
pub(crate) const READERS_FILE: &str = "mdbx.lck";

/// Size of a page, in bytes. Random changes copy whole pages: the smallest size that the
/// operating system writes at once is the best.
const PAGE: usize = 4096;

/// Why a file could not be opened.
#[derive(Debug)]
pub(crate) enum OpenFailure {
    /// It is something else.
    NotADatabase(String),
    /// It was a database once.
    Damaged(String),
    /// It belongs to somebody else, or to a file system that cannot be written.
    Permission(String),
    /// It has no tables.
    Incomplete,
    /// A process was killed in the middle, and reading only cannot undo what it began.
    Unrecovered,
    /// Anything else.
    Other(StorageError),
}

impl OpenFailure {
    fn new(error: MdbxError, tables: &Tables) -> Self {
        let words = error.to_string();
        match error {
            MdbxError::Invalid | MdbxError::VersionMismatch => Self::NotADatabase(words),
            MdbxError::Corrupted
            | MdbxError::PageNotFound
            | MdbxError::Panic
            | MdbxError::Problem
            | MdbxError::TooLarge
            | MdbxError::Incompatible => Self::Damaged(words),
            MdbxError::WannaRecovery => Self::Unrecovered,
            MdbxError::Access | MdbxError::Permission => {
                Self::Permission(io::Error::from(io::ErrorKind::PermissionDenied).to_string())
            }
            MdbxError::NotFound => Self::Incomplete,
            MdbxError::Other(code)
                if io::Error::from_raw_os_error(code).kind()
                    == io::ErrorKind::ReadOnlyFilesystem =>
            {
                Self::Permission(io::Error::from_raw_os_error(code).to_string())
            }
            other => Self::Other(tables.error("open", other)),
        }
    }
}

impl Engine {
    /// Opens the file in a folder, which has all tables or is given them, as `options` say.
    pub(crate) fn open(folder: &Path, options: &EngineOptions) -> Result<Self, OpenFailure> {
        let mut tables = Tables {
            handles: [None; Table::ALL.len()],
            path: folder.to_owned(),
            max_size: options.max_size as u64,
            max_readers: options.max_readers,
            read_only: options.read_only(),
        };
        match Self::open_env(folder, options) {
            Ok((env, handles)) => {
                tables.handles = handles;
                Ok(Self { env, tables: Arc::new(tables) })
            }
            Err(error) => Err(OpenFailure::new(error, &tables)),
        }
    }

    fn open_env(
        folder: &Path,
        options: &EngineOptions,
    ) -> Result<(Environment, Handles), MdbxError> {
        let sync_mode = match options.flush_after {
            None => SyncMode::Durable,
            Some(_) => SyncMode::SafeNoSync,
        };
        let mode = if options.read_only() { Mode::ReadOnly } else { Mode::ReadWrite { sync_mode } };
        let mut builder = Environment::builder();
        builder
            .set_flags(EnvironmentFlags {
                mode,
                no_rdahead: true,
                coalesce: true,
                ..Default::default()
            })
            .set_max_dbs(Table::ALL.len() + 4)
            .set_max_readers(options.max_readers)
            // Changed pages are found in a sorted list that each new one is moved into, so a
            // commit costs the square of what it holds; the rest is written ahead of its end.
            .set_txn_dp_limit(options.commit_pages())
            .set_dp_reserve_limit(options.commit_pages());
        if !options.read_only() {
            builder.set_geometry(Geometry {
                size: Some(0..options.max_size),
                growth_step: Some(options.growth as isize),
                shrink_threshold: Some(0),
                page_size: Some(PageSize::Set(PAGE)),
            });
        }
        if let Some((bytes, period)) = options.flush_after {
            builder.set_sync_bytes(bytes).set_sync_period(period);
        }
        let env = builder.open(folder)?;
        if !options.read_only() {
            validation::switch(&env, true)?;
        }
        let handles = if options.read_only() {
            let tx = env.begin_ro_unsync()?;
            let handles = open_tables(|table| match tx.open_db(Some(table.name())) {
                Err(MdbxError::NotFound) if table.came_later() => Ok(None),
                opened => opened.map(Some),
            })?;
            tx.commit()?;
            handles
        } else {
            let tx = env.begin_rw_unsync()?;
            let handles = open_tables(|table| {
                let many = DatabaseFlags::DUP_SORT;
                let flags = if table.is_dup_sorted() { many } else { DatabaseFlags::empty() };
                match tx.open_db(Some(table.name())) {
                    Err(MdbxError::NotFound)
                        if table.came_later() || options.access == Access::Create =>
                    {
                        tx.create_db(Some(table.name()), flags).map(Some)
                    }
                    opened => opened.map(Some),
                }
            })?;
            tx.commit()?;
            handles
        };
        Ok((env, handles))
    }

    /// Turns the check of every page that is referred to, which is on after opening, on or off.
    /// Of a file opened for reading only none is checked: MDBX changes nothing about such a file.
    pub(crate) fn check_pages(&self, on: bool) -> Result<(), StorageError> {
        if self.tables.read_only {
            return Ok(());
        }
        validation::switch(&self.env, on).map_err(|e| self.tables.error("check pages", e))
    }

    /// Walks through every page of the file, those that are free included, and says what does not
    /// fit together, at most `limit` of it. Nothing may be written meanwhile.
    pub(crate) fn examine(&self, limit: usize) -> Result<Vec<String>, StorageError> {
        validation::examine(&self.env, limit).map_err(|e| self.tables.error("check pages", e))
    }

    /// A view of the last commit.
    pub(crate) fn read(&self) -> Result<ReadTx, StorageError> {
        let tx = self.env.begin_ro_unsync().map_err(|e| self.tables.error("open a reader", e))?;
        Ok(Tx { tx, tables: Arc::clone(&self.tables) })
    }

    /// Several views of one and the same commit.
    pub(crate) fn read_many(&self, count: usize) -> Result<Vec<ReadTx>, StorageError> {
        let all = self.env.begin_ro_unsync_multi(count);
        let all = all.map_err(|e| self.tables.error("open readers", e))?;
        let view = |tx| Tx { tx, tables: Arc::clone(&self.tables) };
        Ok(all.into_iter().map(view).collect())
    }

    /// The one writer. Waits for the one before to end, in this process or another.
    pub(crate) fn write(&self) -> Result<WriteTx, StorageError> {
        let tx = self.env.begin_rw_unsync().map_err(|e| self.tables.error("begin a commit", e))?;
        Ok(Tx { tx, tables: Arc::clone(&self.tables) })
    }

    /// Brings everything committed to the disk.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.env.sync(true).map(drop).map_err(|e| self.tables.error("flush", e))
    }

    /// Page size, pages in the file up to the last one used, free pages among them.
    pub(crate) fn pages(&self) -> Result<(u64, u64, u64), StorageError> {
        let last = self.info()?.last_pgno() as u64;
        let free = self.env.freelist().map_err(|e| self.tables.read_error("free list", e))?;
        Ok((PAGE as u64, last + 1, free as u64))
    }

    /// Reader slots in use.
    pub(crate) fn readers(&self) -> Result<u64, StorageError> {
        Ok(self.info()?.num_readers() as u64)
    }

    /// MDBX reads these figures from the meta pages without a transaction, and takes one that is
    /// being written just then for a damaged one.
    fn info(&self) -> Result<Info, StorageError> {
        let mut tries = 0;
        loop {
            match self.env.info() {
                Err(MdbxError::Corrupted) if tries < 1000 => thread::yield_now(),
                info => return info.map_err(|e| self.tables.error("read statistics", e)),
            }
            tries += 1;
        }
    }
}

fn open_tables(
    mut open: impl FnMut(Table) -> Result<Option<Database>, MdbxError>,
) -> Result<Handles, MdbxError> {
    let mut handles = [None; Table::ALL.len()];
    for table in Table::ALL {
        handles[table as usize] = open(table)?;
    }
    Ok(handles)
}

impl Tables {
    fn handle(&self, table: Table) -> Option<Database> {
        self.handles[table as usize]
    }

    fn error(&self, operation: impl ToString, error: MdbxError) -> StorageError {
        let operation = operation.to_string();
        match error {
            MdbxError::MapFull => StorageError::MapFull { limit: self.max_size },
            MdbxError::ReadersFull => StorageError::TooManyReaders { limit: self.max_readers },
            MdbxError::WriteTransactionUnsupportedInReadOnlyMode => StorageError::ReadOnly,
            MdbxError::Corrupted
            | MdbxError::PageNotFound
            | MdbxError::Invalid
            | MdbxError::CursorFull
            | MdbxError::Problem => {
                StorageError::Corrupted { operation, detail: error.to_string() }
            }
            MdbxError::Other(code) if code > 0 => {
                let source = io::Error::from_raw_os_error(code);
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        StorageError::DiskFull { path: self.path.clone() }
                    }
                    _ if is_full(&self.path) => StorageError::DiskFull { path: self.path.clone() },
                    _ => StorageError::Io { operation, source: Arc::new(source) },
                }
            }
            other => StorageError::Engine { operation, detail: other.to_string() },
        }
    }

    fn read_error(&self, operation: impl ToString, error: ReadError) -> StorageError {
        match error {
            ReadError::Mdbx(error) => self.error(operation, error),
            ReadError::Decoding(error) => {
                let (operation, detail) = (operation.to_string(), error.to_string());
                StorageError::Engine { operation, detail }
            }
        }
    }
}

/// Whether nothing more can be written to a folder. A write of which only a part fits comes back
/// as an input or output error, so such an error is looked into.
fn is_full(folder: &Path) -> bool {
    let path = folder.join("space-probe");
    let written = fs::write(&path, vec![0; 1 << 20]);
    let _removed = fs::remove_file(&path);
    written.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
}

/// A transaction.
pub(crate) struct Tx<K: TransactionKind> {
    tx: RawTx<K>,
    tables: Arc<Tables>,
}

/// A view of one commit, for one thread at a time.
pub(crate) type ReadTx = Tx<Ro>;

/// The next commit in the making. Dropped without [`WriteTx::commit`], it leaves nothing.
pub(crate) type WriteTx = Tx<Rw>;

impl<K: TransactionKind> Tx<K> {
    /// Entries of a table and the bytes of its pages.
    pub(crate) fn size_of(&self, table: Table) -> Result<(u64, u64), StorageError> {
        let Some(handle) = self.tables.handle(table) else { return Ok((0, 0)) };
        let stat = self.tx.db_stat(&handle);
        let stat = stat.map_err(|e| self.tables.error(table, e))?;
        let pages = stat.branch_pages() + stat.leaf_pages() + stat.overflow_pages();
        Ok((stat.entries() as u64, pages as u64 * u64::from(stat.page_size())))
    }
}

impl WriteTx {
    /// A cursor that can change what it stands on.
    pub(crate) fn writer(&self, table: Table) -> Result<Cursor<'_, Rw>, StorageError> {
        self.cursor(table)
    }

    /// Makes all changes visible, or none of them where it fails.
    pub(crate) fn commit(self) -> Result<(), StorageError> {
        self.tx.commit().map_err(|e| self.tables.error("commit", e))
    }
}

impl<K: TransactionKind> Read for Tx<K> {
    type Cursor<'a> = Cursor<'a, K>;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice<'_>>, StorageError> {
        let Some(handle) = self.tables.handle(table) else { return Ok(None) };
        let handle = handle.dbi();
        let found = if K::IS_READ_ONLY {
            self.tx.get(handle, key)
        } else {
            self.tx.get::<Vec<u8>>(handle, key).map(|found| found.map(Slice::Owned))
        };
        found.map_err(|e| self.tables.read_error(table, e))
    }

    fn cursor(&self, table: Table) -> Result<Cursor<'_, K>, StorageError> {
        let handle = self.tables.handle(table).ok_or(MdbxError::NotFound);
        let raw = handle.and_then(|handle| self.tx.cursor(handle));
        let raw = raw.map_err(|e| self.tables.error(table, e))?;
        Ok(Cursor { raw, table, tables: &self.tables })
    }
}

/// A cursor over one table.
pub(crate) struct Cursor<'a, K: TransactionKind> {
    raw: RawCursor<'a, K>,
    table: Table,
    tables: &'a Tables,
}

impl<K: TransactionKind> Cursor<'_, K> {
    fn checked<T>(&self, result: ReadResult<T>) -> Result<T, StorageError> {
        result.map_err(|e| self.tables.read_error(self.table, e))
    }
}

/// Moves a cursor and gets the entry it stands on then: borrowed from the file in a view, copied
/// in a commit, whose pages change.
///
/// The binding could borrow unchanged pages in a commit as well, but finds them by
/// `mdbx_is_dirty`, which cuts page numbers to 32 bits and so takes pages in the heap, where they
/// lie more than 16 TiB above the map, for some page of the file.
macro_rules! entry {
    ($self:ident.$move:ident($($key:ident)?)) => {{
        let found = if K::IS_READ_ONLY {
            $self.raw.$move($($key)?)
        } else {
            let found = $self.raw.$move::<Vec<u8>, Vec<u8>>($($key)?);
            found.map(|found| found.map(|(key, value)| (key.into(), value.into())))
        };
        $self.checked(found)
    }};
}

impl<'a, K: TransactionKind> Walk<'a> for Cursor<'a, K> {
    fn last(&mut self) -> Result<Option<Entry<'a>>, StorageError> {
        entry!(self.last())
    }

    fn next(&mut self) -> Result<Option<Entry<'a>>, StorageError> {
        entry!(self.next())
    }

    fn prev(&mut self) -> Result<Option<Entry<'a>>, StorageError> {
        entry!(self.prev())
    }

    fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'a>>, StorageError> {
        entry!(self.set_range(key))
    }

    fn next_value(&mut self) -> Result<Option<Slice<'a>>, StorageError> {
        let found = if K::IS_READ_ONLY {
            self.raw.next_dup::<(), Slice<'a>>().map(|found| found.map(|((), value)| value))
        } else {
            let found = self.raw.next_dup::<(), Vec<u8>>();
            found.map(|found| found.map(|((), value)| value.into()))
        };
        self.checked(found)
    }

    fn seek_value(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Slice<'a>>, StorageError> {
        let found = if K::IS_READ_ONLY {
            self.raw.get_both_range(key, value)
        } else {
            let found = self.raw.get_both_range::<Vec<u8>>(key, value);
            found.map(|found| found.map(Slice::Owned))
        };
        self.checked(found)
    }
}

impl<'a> Change<'a> for Cursor<'a, Rw> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let done = self.raw.put(key, value, WriteFlags::UPSERT);
        done.map_err(|e| self.tables.error(self.table, e))
    }

    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.raw.append(key, value).map_err(|e| self.tables.error(self.table, e))
    }

    fn append_value(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.raw.append_dup(key, value).map_err(|e| self.tables.error(self.table, e))
    }

    fn delete(&mut self) -> Result<(), StorageError> {
        self.raw.del().map_err(|e| self.tables.error(self.table, e))
    }

    fn delete_values(&mut self) -> Result<(), StorageError> {
        self.raw.del_all_dups().map_err(|e| self.tables.error(self.table, e))
    }
}
