//! Reading: the state after one block and the blocks up to it, as many readers as there are
//! threads, all on the same view.
//!
//! A snapshot of a block at or near the head is a view of the file plus the blocks between the
//! file's head and the block, newest first. The view may be of any commit in between: a block
//! that is in both says the same in both. A snapshot of an earlier block goes by change sets.

use crate::{
    BlockRef, StorageError, Table,
    cache::Epoch,
    engine::ReadTx,
    meta::{self, Progress},
    pending::PendingBlock,
    store::Shared,
    tables,
};
use alloy_primitives::{Address, B256};
use parking_lot::Mutex;
use std::{cell::Cell, sync::Arc};

/// The state after one block, and all blocks up to it.
///
/// Cheap to make and to share between threads; each thread opens a [`StateReader`] of its own.
/// It keeps the file from reusing what it sees, so it should not be kept for hours.
pub struct Snapshot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) block: BlockRef,
    pub(crate) source: Source,
    /// Set where the cache can be asked.
    pub(crate) epoch: Option<Epoch>,
    idle: Mutex<Vec<ReadTx>>,
    readers: usize,
}

/// Where the state of a snapshot comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The file's state, and the blocks after it, newest first.
    Head(Arc<[Arc<PendingBlock>]>),
    /// The file's history.
    Past,
}

impl core::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let past = matches!(self.source, Source::Past);
        f.debug_struct("Snapshot").field("block", &self.block).field("past", &past).finish()
    }
}

/// One thread's view of a [`Snapshot`].
pub struct StateReader<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) view: View,
    /// The account whose storage was read last, and the hash of its address.
    pub(crate) last: Cell<Option<(Address, B256)>>,
    returned: bool,
}

/// A view of the file with what it says about itself.
pub(crate) struct View {
    pub(crate) tx: Option<ReadTx>,
    pub(crate) head: BlockRef,
    pub(crate) progress: Progress,
}

impl core::fmt::Debug for StateReader<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StateReader").field("block", &self.snapshot.block).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A snapshot of `block` for a number of readers. `pending` are all blocks not written, in
    /// ascending order; the caller holds the lock on them, so that they and the views that are
    /// opened here belong together.
    pub(crate) fn new<'p>(
        shared: Arc<Shared>,
        block: Option<u64>,
        head: BlockRef,
        pending: impl DoubleEndedIterator<Item = &'p Arc<PendingBlock>>,
        epoch: Epoch,
        readers: usize,
    ) -> Result<Self, StorageError> {
        let number = block.unwrap_or(head.number);
        if number > head.number {
            return Err(StorageError::UnknownBlock { number, head });
        }
        let readers = readers.max(1);
        let idle = shared.engine.read_many(readers)?;
        let Some(first) = idle.first() else {
            return Err(StorageError::TooManyReaders { limit: 0 });
        };
        let written = meta::known_head(first)?;
        let (source, block) = if number >= written.number {
            let overlay: Arc<[_]> = pending
                .filter(|b| b.block.number <= number && b.block.number > written.number)
                .rev()
                .cloned()
                .collect();
            let block = overlay.first().map_or(written, |newest| newest.block);
            (Source::Head(overlay), block)
        } else {
            let progress = meta::progress(first)?;
            check_kept("the state", number, progress.history_from)?;
            (Source::Past, tables::stored_block(first, number)?)
        };
        let epoch = (block == head && matches!(source, Source::Head(_))).then_some(epoch);
        let idle = Mutex::new(idle);
        Ok(Self { shared, block, source, epoch, idle, readers })
    }

    /// The block whose state this is.
    pub fn block(&self) -> BlockRef {
        self.block
    }

    /// Whether it goes by the change sets of the file's history: it has values, but no ranges
    /// and no trie nodes.
    pub const fn is_past(&self) -> bool {
        matches!(self.source, Source::Past)
    }

    /// Opens a reader for the calling thread.
    ///
    /// As many readers as the snapshot was made for can always be open at once; more only while
    /// the view is still to be had.
    ///
    /// # Errors
    /// The database cannot be read, or [`StorageError::SnapshotMovedOn`].
    pub fn reader(&self) -> Result<StateReader<'_>, StorageError> {
        let idle = self.idle.lock().pop();
        let (tx, own) = match idle {
            Some(tx) => (tx, true),
            None => (self.shared.engine.read()?, false),
        };
        let head = meta::known_head(&tx)?;
        if !own && !self.is_on(&tx, head)? {
            let (block, readers) = (self.block, self.readers);
            return Err(StorageError::SnapshotMovedOn { block, readers });
        }
        let progress = meta::progress(&tx)?;
        Ok(StateReader {
            snapshot: self,
            view: View { tx: Some(tx), head, progress },
            last: Cell::new(None),
            returned: own,
        })
    }

    /// Whether a view opened later shows the same state.
    fn is_on(&self, tx: &ReadTx, head: BlockRef) -> Result<bool, StorageError> {
        match &self.source {
            Source::Head(overlay) => {
                let in_between = overlay.iter().any(|pending| pending.block == head);
                let oldest = overlay
                    .last()
                    .map_or(self.block.hash, |oldest| oldest.commit.header.parent_hash);
                Ok(in_between || head.hash == oldest)
            }
            Source::Past => Ok(meta::progress(tx)?.history_from <= self.block.number
                && tables::block_hash(tx, self.block.number)? == Some(self.block.hash)),
        }
    }

    /// The blocks that are not in the file, newest first.
    pub(crate) fn overlay(&self) -> &[Arc<PendingBlock>] {
        match &self.source {
            Source::Head(overlay) => overlay,
            Source::Past => &[],
        }
    }
}

impl StateReader<'_> {
    /// From which blocks on history, receipts and senders are kept.
    pub const fn progress(&self) -> Progress {
        self.view.progress
    }
}

/// Fails where something has been pruned.
pub(crate) fn check_kept(
    what: &'static str,
    number: u64,
    earliest: u64,
) -> Result<(), StorageError> {
    if number >= earliest { Ok(()) } else { Err(StorageError::Pruned { what, number, earliest }) }
}

impl View {
    /// The transaction. It is there until the reader goes.
    pub(crate) fn tx(&self) -> Result<&ReadTx, StorageError> {
        self.tx.as_ref().ok_or(StorageError::Closed)
    }

    /// Reads are of the head: nothing else can be walked through.
    pub(crate) fn walkable(&self, what: &'static str, of: &Snapshot) -> Result<(), StorageError> {
        match of.source {
            Source::Head(_) => Ok(()),
            Source::Past => Err(StorageError::OnlyValues { what, block: of.block }),
        }
    }
}

impl Drop for StateReader<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.view.tx.take().filter(|_| self.returned) {
            self.snapshot.idle.lock().push(tx);
        }
    }
}

/// The hash of code that an account claims but that is not there.
pub(crate) fn missing_code(hash: &B256) -> StorageError {
    let problem = "the code is missing";
    StorageError::Inconsistent { table: Table::Bytecodes, key: hash.to_vec().into(), problem }
}
