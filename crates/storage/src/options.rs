//! How a database is opened.

use crate::{
    CacheSizes, PrunePolicy,
    engine::{Access, EngineOptions},
};
use std::time::Duration;

/// When a commit is on the disk.
///
/// Whatever the choice, a commit is atomic, the database opens after any interruption, and a
/// killed process loses nothing that was committed: the operating system has it. They differ in
/// what a power cut or a crash of the operating system takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every commit waits for the disk. A power cut takes nothing that was reported as written.
    #[default]
    EveryCommit,
    /// The disk is waited for after this many bytes or this long. A power cut takes the commits
    /// since then; the database opens at the last block before. Needs more space meanwhile.
    Periodic {
        /// Bytes written.
        bytes: usize,
        /// Time.
        period: Duration,
    },
}

/// Options of a database. None of them is recorded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// When commits are on the disk.
    pub durability: Durability,
    /// What is kept of the past.
    pub prune: PrunePolicy,
    /// What is kept in memory of the present.
    pub cache: CacheSizes,
    /// Most blocks that are accepted but not written. While they are
    /// [gathered](crate::Storage::gather), a quarter of these is worth a commit.
    pub max_pending_blocks: usize,
    /// Most bytes, about, of such blocks. One block is always accepted. A quarter is worth a commit
    /// here as well.
    pub max_pending_bytes: usize,
    /// Most blocks in one commit.
    pub max_batch_blocks: usize,
    /// How many blocks the history indices may be behind, and how many are pruned from them at a
    /// time.
    pub index_stride: u64,
    /// Limit of the file's size, in bytes. The address space is reserved, nothing else.
    pub max_size: usize,
    /// How much the file grows at a time, in bytes.
    pub growth: usize,
    /// Most readers at once: as many as there are threads, twice, for each of the blocks that are
    /// on their way and for both ends of a branch, and those of whoever else reads. The default is
    /// enough for 1024 threads. Each takes 32 bytes of `mdbx.lck`, which is mapped into memory:
    /// half a megabyte in all. MDBX has no more than 32767.
    pub max_readers: u64,
    /// Changed pages that a commit holds in memory, in bytes. What goes beyond is written before
    /// the commit is complete, where nobody sees it.
    pub commit_memory: usize,
    /// Have the engine check every page that it follows a reference to, at all times. Opening and
    /// [`Storage::verify`](crate::Storage::verify) do so anyway; without, what else meets a
    /// damaged page can end the process where it would be an error. Costs more than a third of a
    /// commit.
    pub check_pages: bool,
    /// Leave what is on record of how the process that wrote last has ended: for whoever opens the
    /// database as if for writing, so that nobody writes meanwhile and pages can be checked, and
    /// only looks. It accepts no blocks then, does not go back and prunes nothing; the description
    /// may change.
    pub keep_shutdown_mark: bool,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            prune: PrunePolicy::ARCHIVE,
            cache: CacheSizes::default(),
            max_pending_blocks: 64,
            max_pending_bytes: 512 << 20,
            max_batch_blocks: 32,
            index_stride: 32,
            max_size: 8 << 40,
            growth: 256 << 20,
            max_readers: 16 << 10,
            commit_memory: 32 << 20,
            check_pages: false,
            keep_shutdown_mark: false,
        }
    }
}

impl StorageOptions {
    pub(crate) fn engine(&self, access: Access) -> EngineOptions {
        let flush_after = match self.durability {
            Durability::EveryCommit => None,
            Durability::Periodic { bytes, period } => Some((bytes, period)),
        };
        EngineOptions {
            access,
            flush_after,
            max_size: self.max_size,
            growth: self.growth,
            max_readers: self.max_readers,
            commit_memory: self.commit_memory,
        }
    }
}
