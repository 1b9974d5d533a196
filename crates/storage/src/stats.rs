//! What a database is made of.

use crate::{BlockRef, Progress, Storage, StorageError, Table, meta};

/// Figures of a database, as of the last block written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The last block written.
    pub written: BlockRef,
    /// Accepted blocks that are not written yet.
    pub pending_blocks: usize,
    /// Memory that these take, about, in bytes.
    pub pending_bytes: usize,
    /// How far indexing and pruning have come.
    pub progress: Progress,
    /// Every table.
    pub tables: Vec<TableStats>,
    /// Size of a page, in bytes.
    pub page_size: u64,
    /// Pages of the file up to the last one in use.
    pub pages: u64,
    /// Those among them that can be used again. A long-lived snapshot keeps pages from becoming
    /// free.
    pub free_pages: u64,
    /// Reader slots in use, in all processes.
    pub readers: u64,
}

/// Figures of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: Table,
    /// Its entries; many per key count each.
    pub entries: u64,
    /// Bytes of its pages.
    pub bytes: u64,
}

impl Storage {
    /// Entries of tables in the file, many per key counted each.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn entries(&self, tables: &[Table]) -> Result<u64, StorageError> {
        let tx = self.shared.engine.read()?;
        tables.iter().map(|table| Ok(tx.size_of(*table)?.0)).sum()
    }

    /// Figures of the database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stats(&self) -> Result<Stats, StorageError> {
        let tx = self.shared.engine.read()?;
        let of = |table| {
            let (entries, bytes) = tx.size_of(table)?;
            Ok(TableStats { table, entries, bytes })
        };
        let tables = Table::ALL.into_iter().map(of).collect::<Result<_, StorageError>>()?;
        let (page_size, pages, free_pages) = self.shared.engine.pages()?;
        let readers = self.shared.engine.readers()?;
        let (written, progress) = (meta::known_head(&tx)?, meta::progress(&tx)?);
        let live = self.shared.live.lock();
        let (pending_blocks, pending_bytes) = (live.pending.len(), live.pending_bytes);
        Ok(Stats {
            written,
            pending_blocks,
            pending_bytes,
            progress,
            tables,
            page_size,
            pages,
            free_pages,
            readers,
        })
    }
}
