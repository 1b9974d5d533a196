//! The storage: accepting blocks, handing out snapshots, going back.

use crate::{
    BlockCommit, BlockRef, Finality, Identity, OpenError, Snapshot, Snapshots, StorageError,
    StorageOptions, TrieUpdates, UnwindView, Unwound,
    cache::{Cache, Epoch},
    engine::Engine,
    meta,
    open::{self, Lock, in_folder},
    pending::PendingBlock,
    unwind, write,
    writer::{self, Gathering},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A database of one canonical chain and the state after its head.
///
/// [`Storage::commit`] accepts a block and returns at once; a thread writes. What has been
/// accepted can be read at once. What is written survives the process.
#[derive(Debug)]
pub struct Storage {
    pub(crate) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
    identity: Identity,
    was_clean: bool,
    /// None where the database was opened for reading only.
    lock: Option<Lock>,
}

/// What the writer and the snapshots share with the storage.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) options: StorageOptions,
    pub(crate) cache: Cache,
    pub(crate) live: Mutex<Live>,
    /// Something to write, to write sooner, to try again, or to stop for.
    pub(crate) work: Condvar,
    /// Something has been written, or could not be.
    pub(crate) progress: Condvar,
    /// Whoever writes to the file holds this from before the transaction until after it.
    pub(crate) write_turn: Mutex<()>,
    /// Held by whoever moves the head.
    order: Mutex<()>,
    /// Nanoseconds that the writer has been busy.
    pub(crate) writing: AtomicU64,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What changes with every block.
pub(crate) struct Live {
    pub(crate) head: BlockRef,
    pub(crate) written: BlockRef,
    /// The blocks after `written` up to `head`.
    pub(crate) pending: VecDeque<Arc<PendingBlock>>,
    pub(crate) pending_bytes: usize,
    pub(crate) finality: Finality,
    /// What of it is in the file.
    pub(crate) finality_written: Finality,
    pub(crate) epoch: Epoch,
    pub(crate) failure: Option<Arc<StorageError>>,
    pub(crate) stopping: bool,
    /// How many want blocks to be written several at once.
    pub(crate) gathering: usize,
    /// The last block that somebody waits for to be written.
    pub(crate) awaited: u64,
}

impl Live {
    /// Whether the file holds everything.
    pub(crate) fn is_written(&self) -> bool {
        self.pending.is_empty() && self.finality == self.finality_written
    }
}

impl Shared {
    /// Waits for the writer to get on, which it does not put off for blocks up to `block`.
    fn await_written(&self, live: &mut MutexGuard<'_, Live>, block: u64) {
        live.awaited = live.awaited.max(block.min(live.head.number));
        self.work.notify_one();
        self.progress.wait(live);
    }
}

impl Storage {
    /// Opens an existing database for reading and writing.
    ///
    /// # Errors
    /// There is none, it is in use, damaged, of another version, or of another chain than
    /// `expected`.
    pub fn open(
        path: &Path,
        options: StorageOptions,
        expected: Option<&Identity>,
    ) -> Result<Self, OpenError> {
        let (engine, lock) = open::existing(path, &options, false)?;
        Self::with_engine(path, options, expected, engine, lock)
    }

    /// Opens an existing database for reading only, even while another process writes to it: what
    /// is read is what was written when this was called or a snapshot made.
    ///
    /// # Errors
    /// As [`Storage::open`], but a database in use is no error.
    pub fn open_read_only(
        path: &Path,
        options: StorageOptions,
        expected: Option<&Identity>,
    ) -> Result<Self, OpenError> {
        let (engine, lock) = open::existing(path, &options, true)?;
        Self::with_engine(path, options, expected, engine, lock)
    }

    pub(crate) fn with_engine(
        path: &Path,
        options: StorageOptions,
        expected: Option<&Identity>,
        engine: Engine,
        lock: Option<Lock>,
    ) -> Result<Self, OpenError> {
        let identity = open::check(&engine, path, expected)?;
        if lock.is_some() {
            open::finished(path);
        }
        let marks = lock.is_some() && !options.keep_shutdown_mark;
        let (head, finality, was_clean) = opened(&engine, marks).map_err(in_folder(path))?;
        engine.check_pages(options.check_pages).map_err(in_folder(path))?;
        let shared = Arc::new(Shared {
            cache: Cache::new(&options.cache, 1),
            engine,
            options,
            live: Mutex::new(Live {
                head,
                written: head,
                pending: VecDeque::new(),
                pending_bytes: 0,
                finality,
                finality_written: finality,
                epoch: 1,
                failure: None,
                stopping: false,
                gathering: 0,
                awaited: 0,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            write_turn: Mutex::new(()),
            order: Mutex::new(()),
            writing: AtomicU64::new(0),
        });
        let writer = lock.is_some().then(|| {
            let shared = Arc::clone(&shared);
            let name = thread::Builder::new().name("storage-writer".into());
            name.spawn(move || writer::run(&shared))
        });
        let writer = writer.transpose().map_err(|error| {
            let source = StorageError::Io { operation: "start".into(), source: error.into() };
            in_folder(path)(source)
        })?;
        let path = path.to_owned();
        Ok(Self { shared, writer, path, identity, was_clean, lock })
    }

    /// The folder of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The chain of the database.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether the process that wrote last has shut down in order. Where not, blocks that it had
    /// accepted but not written are not there; everything else is.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// The last block accepted.
    pub fn head(&self) -> BlockRef {
        self.shared.live.lock().head
    }

    /// The last block written.
    pub fn written(&self) -> BlockRef {
        self.shared.live.lock().written
    }

    /// Which blocks were called safe and finalized last.
    pub fn finality(&self) -> Finality {
        self.shared.live.lock().finality
    }

    /// Takes note of which blocks up to the head are safe and finalized. It is written as blocks
    /// are, never before the blocks it names. Going back below a block takes its note away.
    ///
    /// # Errors
    /// A block is not in the chain, or the database cannot be read.
    pub fn set_finality(&self, finality: Finality) -> Result<(), StorageError> {
        self.writable()?;
        let _order = self.shared.order.lock();
        let mut live = self.shared.live.lock();
        working(&live)?;
        for block in finality.blocks() {
            let (number, head) = (block.number, live.head);
            let pending = live.pending.iter().find(|pending| pending.block.number == number);
            let hash = match pending {
                Some(pending) => Some(pending.block.hash),
                None => crate::tables::block_hash(&self.shared.engine.read()?, number)?,
            };
            if hash != Some(block.hash) {
                return Err(StorageError::UnknownBlock { number, head });
            }
        }
        live.finality = finality;
        drop(live);
        self.shared.work.notify_one();
        Ok(())
    }

    pub(crate) fn locked(&self) -> Result<(), StorageError> {
        if self.lock.is_none() { Err(StorageError::ReadOnly) } else { Ok(()) }
    }

    pub(crate) fn writable(&self) -> Result<(), StorageError> {
        let looks = self.shared.options.keep_shutdown_mark;
        if looks { Err(StorageError::ReadOnly) } else { self.locked() }
    }

    /// How long the writer has been busy since the database was opened.
    pub fn time_writing(&self) -> Duration {
        Duration::from_nanos(self.shared.writing.load(Ordering::Relaxed))
    }

    /// Accepts a block that follows the head. Waits while too many blocks are not written yet.
    ///
    /// # Errors
    /// The block does not follow the head or contradicts itself; the writer has failed on an
    /// earlier one ([`Storage::flush`] tries again). The block is not accepted then.
    pub fn commit(&self, mut block: BlockCommit) -> Result<(), StorageError> {
        self.writable()?;
        block.trie.sort();
        check(&block)?;
        let pending = Arc::new(PendingBlock::new(block));
        let _order = self.shared.order.lock();
        let options = &self.shared.options;
        let mut live = self.shared.live.lock();
        follows(&pending.commit, live.head)?;
        let full = |live: &Live| {
            let bytes = live.pending_bytes.saturating_add(pending.bytes);
            live.pending.len() >= options.max_pending_blocks.max(1)
                || (bytes > options.max_pending_bytes && !live.pending.is_empty())
        };
        while live.failure.is_none() && full(&live) {
            self.shared.await_written(&mut live, u64::MAX);
        }
        working(&live)?;
        live.epoch += 1;
        self.shared.cache.advance(live.epoch, &pending.commit.diff);
        live.head = pending.block;
        live.pending_bytes += pending.bytes;
        live.pending.push_back(pending);
        drop(live);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Waits until a block is written.
    ///
    /// # Errors
    /// The writer has failed, or the block is beyond the head.
    pub fn wait_written(&self, number: u64) -> Result<(), StorageError> {
        let mut live = self.shared.live.lock();
        if number > live.head.number {
            return Err(StorageError::UnknownBlock { number, head: live.head });
        }
        while live.written.number < number {
            working(&live)?;
            self.shared.await_written(&mut live, number);
        }
        Ok(())
    }

    /// Waits until every accepted block is written. After a failure, tries again first.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn flush(&self) -> Result<(), StorageError> {
        let mut live = self.shared.live.lock();
        live.failure = None;
        self.shared.work.notify_one();
        while !live.is_written() {
            working(&live)?;
            self.shared.await_written(&mut live, u64::MAX);
        }
        Ok(())
    }

    /// Has blocks be written several at once for as long as what is returned is kept: for whoever
    /// brings many and does not wait for each. Blocks that wait for others are lost with the
    /// process, as all that are not written yet, and what is noted as final waits with them.
    pub fn gather(&self) -> Gathering {
        Gathering::new(&self.shared)
    }

    /// A snapshot of the state after the head, for a number of readers.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self, readers: usize) -> Result<Snapshot, StorageError> {
        self.snapshots().snapshot(readers)
    }

    /// A snapshot of the state after a block, which may lie in the past.
    ///
    /// # Errors
    /// There is no such block, its state has been pruned, or the database cannot be read.
    pub fn snapshot_at(&self, number: u64, readers: usize) -> Result<Snapshot, StorageError> {
        self.snapshots().snapshot_at(number, readers)
    }

    /// Where others get snapshots while this one is written to.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(Arc::clone(&self.shared), self.lock.is_none())
    }

    /// Goes back to block `to`: state, records and indices are as they were after it. `tries`
    /// gets the keys whose values were put back and the state, and says which trie nodes change;
    /// if it fails, nothing has happened.
    ///
    /// Snapshots made before remain as they are.
    ///
    /// # Errors
    /// The state after `to` has been pruned, the database cannot be written, or `tries` fails.
    pub fn unwind<E: From<StorageError>>(
        &self,
        to: u64,
        tries: impl FnOnce(&Unwound, &UnwindView<'_>) -> Result<TrieUpdates, E>,
    ) -> Result<BlockRef, E> {
        self.writable()?;
        let _order = self.shared.order.lock();
        self.flush()?;
        let _turn = self.shared.write_turn.lock();
        let tx = self.shared.engine.write()?;
        let head = meta::known_head(&tx)?;
        if to > head.number {
            return Err(StorageError::UnknownBlock { number: to, head }.into());
        }
        let mut progress = meta::progress(&tx)?;
        crate::snapshot::check_kept("the state", to, progress.history_from)?;
        let target = crate::tables::stored_block(&tx, to)?;
        let unwound = unwind::unwind(&tx, &mut progress, target, head)?;
        let mut updates = tries(&unwound, &UnwindView { tx: &tx })?;
        updates.sort();
        if let Some(problem) = updates.problem() {
            let problem = problem.to_owned();
            return Err(StorageError::BadCommit { block: target, problem }.into());
        }
        write::apply_nodes(&tx, &[&updates])?;
        write::storage_roots(&tx, &updates.storage_roots)?;
        meta::set_progress(&tx, &progress)?;
        meta::set_head(&tx, target)?;
        // The file may say what was set in between and taken back before it counted as written.
        let finality = self.shared.live.lock().finality.up_to(to);
        meta::set_finality(&tx, &finality)?;

        // Snapshots are made under this lock: none sees the new file with the old head.
        let mut live = self.shared.live.lock();
        tx.commit()?;
        live.epoch += 1;
        self.shared.cache.forget(live.epoch);
        live.head = target;
        live.written = target;
        live.awaited = 0;
        live.finality = finality;
        live.finality_written = finality;
        Ok(target)
    }

    /// Writes what is accepted, marks the database as shut down in order, and brings everything
    /// to the disk.
    ///
    /// # Errors
    /// Something could not be written. What was written before remains.
    pub fn shutdown(mut self) -> Result<(), StorageError> {
        self.close()
    }

    fn close(&mut self) -> Result<(), StorageError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let flushed = self.flush();
        self.shared.live.lock().stopping = true;
        self.shared.work.notify_all();
        if writer.join().is_err() {
            let (operation, detail) = ("write".to_owned(), "the writer has panicked".to_owned());
            return Err(StorageError::Engine { operation, detail });
        }
        flushed?;
        if !self.shared.options.keep_shutdown_mark {
            let _turn = self.shared.write_turn.lock();
            let tx = self.shared.engine.write()?;
            meta::set_clean(&tx, true)?;
            tx.commit()?;
        }
        self.shared.engine.sync()
    }
}

impl Drop for Storage {
    /// As [`Storage::shutdown`], with nobody to tell about errors.
    fn drop(&mut self) {
        let _unreported = self.close();
    }
}

/// Reads the head and what of it is final, and takes the mark of a clean shutdown away if told to.
fn opened(engine: &Engine, marks: bool) -> Result<(BlockRef, Finality, bool), StorageError> {
    let tx = engine.read()?;
    let (head, was_clean) = (meta::known_head(&tx)?, meta::clean(&tx)?);
    let finality = meta::finality(&tx)?;
    drop(tx);
    if marks {
        let tx = engine.write()?;
        meta::set_clean(&tx, false)?;
        tx.commit()?;
    }
    Ok((head, finality, was_clean))
}

fn working(live: &Live) -> Result<(), StorageError> {
    match &live.failure {
        Some(failure) => Err(StorageError::WriterFailed(Arc::clone(failure))),
        None if live.stopping => Err(StorageError::Closed),
        None => Ok(()),
    }
}

fn follows(block: &BlockCommit, head: BlockRef) -> Result<(), StorageError> {
    let (number, parent) = (block.header.number, block.header.parent_hash);
    let next = head.number.checked_add(1) == Some(number) && parent == head.hash;
    if next { Ok(()) } else { Err(StorageError::NotNext { block: block.block(), parent, head }) }
}

/// What can be seen to be wrong with a block by itself.
pub(crate) fn check(block: &BlockCommit) -> Result<(), StorageError> {
    let transactions = block.body.transactions.len();
    let accounts = block.diff.accounts();
    let ascending = accounts.is_sorted_by(|a, b| a.hash < b.hash);
    let slots = accounts.iter().all(|a| a.storage.is_sorted_by(|a, b| a.hash < b.hash));
    let problem = if block.senders.len() != transactions {
        Some("it has not one sender per transaction")
    } else if block.receipts.len() != transactions {
        Some("it has not one receipt per transaction")
    } else if !ascending || !slots {
        Some("it lists an account or slot twice")
    } else {
        block.trie.problem()
    };
    match problem {
        Some(problem) => {
            Err(StorageError::BadCommit { block: block.block(), problem: problem.to_owned() })
        }
        None => Ok(()),
    }
}
