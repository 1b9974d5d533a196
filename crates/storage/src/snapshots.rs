//! Snapshots for whoever reads while a chain is written to.

use crate::{BlockRef, Finality, Snapshot, StorageError, meta, store::Shared};
use std::sync::Arc;

/// Hands out snapshots of a database that somebody else writes to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    shared: Arc<Shared>,
    read_only: bool,
}

impl Snapshots {
    pub(crate) const fn new(shared: Arc<Shared>, read_only: bool) -> Self {
        Self { shared, read_only }
    }

    /// The last block accepted.
    pub fn head(&self) -> BlockRef {
        self.shared.live.lock().head
    }

    /// The last block written.
    pub fn written_head(&self) -> BlockRef {
        self.shared.live.lock().written
    }

    /// The blocks that were called safe and finalized.
    pub fn finality(&self) -> Finality {
        self.shared.live.lock().finality
    }

    /// A snapshot of the state after the head, for a number of readers.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self, readers: usize) -> Result<Snapshot, StorageError> {
        self.snapshot_of(None, readers)
    }

    /// A snapshot of the state after a block, which may lie in the past.
    ///
    /// # Errors
    /// There is no such block, its state has been pruned, or the database cannot be read.
    pub fn snapshot_at(&self, number: u64, readers: usize) -> Result<Snapshot, StorageError> {
        self.snapshot_of(Some(number), readers)
    }

    /// A snapshot of what the file holds, without the blocks that are still to be written: the
    /// latest from which [`StateReader::unwound`](crate::StateReader::unwound) can be asked.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn written(&self, readers: usize) -> Result<Snapshot, StorageError> {
        loop {
            let number = meta::known_head(&self.shared.engine.read()?)?.number;
            let snapshot = self.snapshot_of(Some(number), readers)?;
            // Else a commit has come in between.
            if !snapshot.is_past() {
                return Ok(snapshot);
            }
        }
    }

    fn snapshot_of(&self, number: Option<u64>, readers: usize) -> Result<Snapshot, StorageError> {
        let mut live = self.shared.live.lock();
        if self.read_only {
            // Another process may have moved on.
            let tx = self.shared.engine.read()?;
            live.head = meta::known_head(&tx)?;
            live.written = live.head;
            live.finality = meta::finality(&tx)?;
            live.finality_written = live.finality;
        }
        let epoch = if self.read_only { 0 } else { live.epoch };
        let shared = Arc::clone(&self.shared);
        Snapshot::new(shared, number, live.head, live.pending.iter(), epoch, readers)
    }
}
