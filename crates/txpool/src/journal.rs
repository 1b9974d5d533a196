//! The file that keeps local transactions over a restart, in geth's format: the transactions one
//! after another as a block's body holds them (a legacy one as an RLP list, others as an RLP
//! string around the network form, sidecars included).
//!
//! A process that is killed loses nothing that [`Journal::append`] returned from. What a crash
//! leaves of a last transaction is cut off when the file is opened.

use crate::{decode::MAX_BLOB_SIZE, transaction::PoolTransaction};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use alloy_rlp::{Encodable, Header};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::Instant,
};

/// What [`Pool::open_journal`](crate::Pool::open_journal) found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Transactions in the file.
    pub found: usize,
    /// Of these, those that entered the pool.
    pub added: usize,
    /// Bytes at the end of the file that are no transaction and were cut off.
    pub cut: u64,
}

/// The file, once it is open.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Option<File>,
    written: Instant,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, written: Instant::now() }
    }

    /// When the file was last written anew.
    pub(crate) fn written(&self) -> Instant {
        self.written
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Hands the network form of every transaction in the file to `take`, in batches. Returns the
    /// bytes behind the last one.
    pub(crate) fn read(&self, mut take: impl FnMut(Vec<Bytes>)) -> io::Result<u64> {
        const BATCH: usize = 1024;
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            file => file?,
        };
        let mut rest = file.metadata()?.len();
        let (mut buffer, mut batch) = (Vec::new(), Vec::new());
        loop {
            let wanted = MAX_BLOB_SIZE as u64 * 2;
            (&mut file)
                .take(wanted.saturating_sub(buffer.len() as u64))
                .read_to_end(&mut buffer)?;
            let mut unread = buffer.as_slice();
            while let Some((transaction, behind)) = split_first(unread) {
                batch.push(transaction);
                unread = behind;
                if batch.len() == BATCH {
                    take(std::mem::take(&mut batch));
                }
            }
            let used = buffer.len() - unread.len();
            rest = rest.saturating_sub(used as u64);
            buffer.drain(..used);
            if used == 0 {
                take(batch);
                return Ok(rest);
            }
        }
    }

    /// Writes the file anew with these transactions only. Either the old or the new file is there
    /// afterwards, whatever happens.
    pub(crate) fn rewrite<'a>(
        &mut self,
        transactions: impl Iterator<Item = &'a PoolTransaction>,
    ) -> io::Result<()> {
        const BUFFER: usize = 1 << 20;
        self.written = Instant::now();
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut name = self.path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".new");
        let new = self.path.with_file_name(name);
        let mut file = File::create(&new)?;
        let mut buffer = Vec::new();
        for tx in transactions {
            encode(tx, &mut buffer);
            if buffer.len() > BUFFER {
                file.write_all(&buffer)?;
                buffer.clear();
            }
        }
        file.write_all(&buffer)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_folder(&self.path)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }

    /// Writes transactions behind the others. If that fails half-way, what was written of them
    /// is cut off again, so that later ones can be read.
    pub(crate) fn append<'a>(
        &mut self,
        transactions: impl Iterator<Item = &'a PoolTransaction>,
    ) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut buffer = Vec::new();
        transactions.for_each(|tx| encode(tx, &mut buffer));
        if buffer.is_empty() {
            return Ok(());
        }
        let length = file.metadata()?.len();
        file.write_all(&buffer).or_else(|error| file.set_len(length).and(Err(error)))
    }
}

/// As a block's body holds it, but with the sidecar.
fn encode(tx: &PoolTransaction, out: &mut Vec<u8>) {
    match tx.sidecar() {
        None => tx.transaction().network_encode(out),
        Some(_) => tx.encoded().encode(out),
    }
}

/// The network form of the first transaction in `bytes`, and what is behind it.
fn split_first(bytes: &[u8]) -> Option<(Bytes, &[u8])> {
    let mut behind = bytes;
    let header = Header::decode(&mut behind).ok()?;
    if header.payload_length > behind.len() || header.payload_length < 2 {
        return None;
    }
    let (payload, rest) = behind.split_at(header.payload_length);
    let whole = &bytes[..bytes.len() - rest.len()];
    let transaction = if header.list { whole } else { payload };
    Some((Bytes::copy_from_slice(transaction), rest))
}

/// Makes a new name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
