//! Opening a database: who may, whether it is one, and whether it is the right one.

use crate::{
    Identity, OpenError, SCHEMA_VERSION, StorageError, StorageOptions,
    engine::{Access, DATA_FILE, Engine, OpenFailure, READERS_FILE},
    meta,
};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const LOCK_FILE: &str = "LOCK";

/// Is there as long as a database has not got its first block: who finds no chain in a file may
/// only then take it for one that was never completed.
const UNFINISHED_FILE: &str = "UNFINISHED";

const PAGE: usize = 4096;

/// Three meta pages and something to point to.
const SMALLEST_FILE: u64 = 4 * PAGE as u64;

/// The right to write, as long as it lives. The operating system takes it back from a process
/// that ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|error| io_error(folder, "lock", error))?;
        match patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let holder = if known {
                    format!("process {}", pid.trim())
                } else {
                    "another process".into()
                };
                return Err(OpenError::Locked { path: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(folder, "lock", error)),
        }
        let note = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        note.map_err(|error| io_error(folder, "lock", error))?;
        Ok(Self { _file: file })
    }
}

/// Tries for a tenth of a second: between the fork and the exec of a new process the lock that
/// this one has just given up is still held there.
fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..20 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    file.try_lock()
}

/// Opens the engine of an existing database, after having looked at the file.
pub(crate) fn existing(
    folder: &Path,
    options: &StorageOptions,
    read_only: bool,
) -> Result<(Engine, Option<Lock>), OpenError> {
    let file = folder.join(DATA_FILE);
    let length = match fs::metadata(&file) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(not_a_database(file, "it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotFound(folder.to_owned()));
        }
        Err(error) => return Err(io_error(folder, "open", error)),
    };
    if length < SMALLEST_FILE {
        return Err(incomplete(folder, format!("it ends after {length} bytes")));
    }
    check_meta_pages(folder, &file)?;
    let lock = if read_only { None } else { Some(Lock::take(folder)?) };
    let access = if read_only { Access::Read } else { Access::Write };
    Ok((open_engine(folder, options, access)?, lock))
}

/// What a file without a chain is: the beginning of a database, or the remains of one.
fn incomplete(folder: &Path, detail: impl Into<String>) -> OpenError {
    if folder.join(UNFINISHED_FILE).exists() {
        return OpenError::Incomplete(folder.to_owned());
    }
    OpenError::Damaged { path: folder.join(DATA_FILE), detail: detail.into() }
}

/// Whether each of the three meta pages is one, and whole: it begins and ends with the number of
/// the same transaction.
pub(crate) fn meta_pages(file: &Path) -> io::Result<[MetaPage; 3]> {
    const MAGIC: [u8; 7] = [0x11, 0x4c, 0xef, 0xbd, 0x9d, 0x65, 0x59];
    let mut pages = [0; 3 * PAGE];
    File::open(file).and_then(|mut file| file.read_exact(&mut pages))?;
    Ok([0, 1, 2].map(|number| {
        let page = &pages[number * PAGE..][..PAGE];
        let number_at = |at: usize, bytes: usize| {
            page[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let transaction = number_at(28, 8);
        match page[21..28] == MAGIC {
            true if transaction == number_at(196, 8) => {
                // A sign of 0 or 1 stands for what the disk was not made to write.
                let flushed = number_at(188, 8) > 1;
                let used = number_at(56, 4) * PAGE as u64;
                MetaPage::Whole(Commit { transaction, flushed, used })
            }
            true => MetaPage::Torn,
            false => MetaPage::Other,
        }
    }))
}

/// What stands where a meta page belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaPage {
    Whole(Commit),
    /// A meta page that was not written to its end, or is damaged.
    Torn,
    /// Something else.
    Other,
}

/// What a meta page says of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    transaction: u64,
    /// Whether its pages were on the disk before the meta page was.
    flushed: bool,
    /// Where its pages end, in bytes.
    used: u64,
}

/// Fails where MDBX would not fail. Where meta pages are there and none is whole, it does not come
/// back. Where the last commit reaches beyond the end of the file, it takes an older one, of which
/// pages may have been written over since, and cuts the file to its size.
fn check_meta_pages(folder: &Path, file: &Path) -> Result<(), OpenError> {
    // In this order: who writes makes the file longer before the meta page says so.
    let found = meta_pages(file).and_then(|pages| Ok((pages, fs::metadata(file)?.len())));
    let (pages, length) = found.map_err(|error| io_error(folder, "open", error))?;
    let commits = pages.iter().filter_map(|page| match page {
        MetaPage::Whole(commit) => Some(commit),
        MetaPage::Torn | MetaPage::Other => None,
    });
    let damaged = |detail| Err(OpenError::Damaged { path: file.to_owned(), detail });
    if commits.clone().next().is_none() && pages.contains(&MetaPage::Torn) {
        return damaged("none of its meta pages is whole".to_owned());
    }
    // A crash may take what was not flushed, and with it the end of the file.
    match commits.filter(|commit| commit.flushed).max_by_key(|commit| commit.transaction) {
        Some(Commit { used, .. }) if *used > length => {
            damaged(format!("it ends after {length} of {used} bytes"))
        }
        _ => Ok(()),
    }
}

/// Makes the engine of a new database.
pub(crate) fn fresh(folder: &Path, options: &StorageOptions) -> Result<(Engine, Lock), OpenError> {
    fs::create_dir_all(folder).map_err(|error| io_error(folder, "create", error))?;
    let lock = Lock::take(folder)?;
    if folder.join(DATA_FILE).exists() {
        if !abandoned(folder, options) {
            return Err(OpenError::Exists(folder.to_owned()));
        }
        for name in [DATA_FILE, READERS_FILE] {
            let removed = fs::remove_file(folder.join(name));
            removed
                .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
                .map_err(|error| io_error(folder, "remove", error))?;
        }
    }
    let marked = File::create(folder.join(UNFINISHED_FILE))
        .and_then(|mark| mark.sync_all())
        .and_then(|()| File::open(folder)?.sync_all());
    marked.map_err(|error| io_error(folder, "create", error))?;
    Ok((open_engine(folder, options, Access::Create)?, lock))
}

/// A database has its first block. Who cannot take the mark away leaves it: then nothing but the
/// chain says that there is one.
pub(crate) fn finished(folder: &Path) {
    let _stays = fs::remove_file(folder.join(UNFINISHED_FILE));
}

/// Whether a file is what an interrupted [`GenesisLoader`](crate::GenesisLoader) has left: it
/// never held a chain.
fn abandoned(folder: &Path, options: &StorageOptions) -> bool {
    let empty = |engine: Engine| {
        let tx = engine.read().ok()?;
        let (head, schema) = (meta::head(&tx).ok()?, meta::schema(&tx).ok()?);
        Some(head.is_none() && schema.is_none())
    };
    let file = fs::metadata(folder.join(DATA_FILE));
    let begun = || file.is_ok_and(|file| file.is_file() && file.len() < SMALLEST_FILE);
    let opened = || open_engine(folder, options, Access::Create).ok().and_then(empty);
    folder.join(UNFINISHED_FILE).exists() && (begun() || opened().unwrap_or(false))
}

fn open_engine(
    folder: &Path,
    options: &StorageOptions,
    access: Access,
) -> Result<Engine, OpenError> {
    let file = || folder.join(DATA_FILE);
    reserve_readers(folder, options.max_readers)?;
    Engine::open(folder, &options.engine(access)).map_err(|failure| match failure {
        OpenFailure::NotADatabase(detail) => not_a_database(file(), detail),
        OpenFailure::Damaged(detail) => OpenError::Damaged { path: file(), detail },
        OpenFailure::Permission(mut detail) => {
            let readers = OpenOptions::new().write(true).open(folder.join(READERS_FILE));
            if readers.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                detail += &format!(" (readers too write to {READERS_FILE})");
            }
            OpenError::Permission { path: folder.to_owned(), detail }
        }
        OpenFailure::Incomplete => incomplete(folder, "its tables are not there"),
        OpenFailure::Unrecovered => OpenError::Unrecovered(folder.to_owned()),
        OpenFailure::Other(source) => in_folder(folder)(source),
    })
}

/// Takes the space of the list of readers, which MDBX maps into memory: on a full disk the first
/// touch would end the process. Where it cannot be had for another reason, MDBX says why.
fn reserve_readers(folder: &Path, readers: u64) -> Result<(), OpenError> {
    const HEADER: u64 = 4096;
    const READER: u64 = 32;
    let path = folder.join(READERS_FILE);
    let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).open(&path) else {
        return Ok(());
    };
    let bytes = HEADER + readers.saturating_mul(READER);
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(io_error(folder, "lock", error.into())),
        _ => Ok(()),
    }
}

/// Checks that a database is complete, of this version and of the right chain.
pub(crate) fn check(
    engine: &Engine,
    folder: &Path,
    expected: Option<&Identity>,
) -> Result<Identity, OpenError> {
    let path = || folder.to_owned();
    let tx = engine.read().map_err(in_folder(folder))?;
    let found = meta::schema(&tx).map_err(in_folder(folder))?;
    let found = found.ok_or_else(|| incomplete(folder, "it has no schema version"))?;
    if found != SCHEMA_VERSION {
        return Err(OpenError::SchemaVersion { path: path(), found, expected: SCHEMA_VERSION });
    }
    let identity = meta::identity(&tx).map_err(in_folder(folder))?;
    let head = meta::head(&tx).map_err(in_folder(folder))?;
    let (Some(identity), Some(_)) = (identity, head) else {
        return Err(incomplete(folder, "it has no chain"));
    };
    if let Some(expected) = expected {
        let (found, wanted) = (identity.chain_id, expected.chain_id);
        if found != wanted {
            return Err(OpenError::OtherChain { path: path(), found, expected: wanted });
        }
        let (found, wanted) = (identity.genesis, expected.genesis);
        if found != wanted {
            return Err(OpenError::OtherGenesis { path: path(), found, expected: wanted });
        }
    }
    Ok(identity)
}

/// Says which database an error is about.
pub(crate) fn in_folder(folder: &Path) -> impl Fn(StorageError) -> OpenError + '_ {
    |source| OpenError::Storage { path: folder.to_owned(), source: Box::new(source) }
}

fn not_a_database(path: PathBuf, detail: impl Into<String>) -> OpenError {
    OpenError::NotADatabase { path, detail: detail.into() }
}

fn io_error(folder: &Path, operation: &str, error: io::Error) -> OpenError {
    let path = folder.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::Permission { path, detail: error.to_string() }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            in_folder(folder)(StorageError::DiskFull { path })
        }
        _ => in_folder(folder)(StorageError::Io {
            operation: operation.into(),
            source: error.into(),
        }),
    }
}
