//! When blocks are written that are gathered.

use crate::{chain::Chain, model::options};
use std::{
    thread,
    time::{Duration, Instant},
};
use warpline_storage::{Finality, Storage, StorageError, StorageOptions};

/// How long a gathered block waits at most, less what a test may take until it looks.
const BEFORE_IT_IS_WRITTEN: Duration = Duration::from_millis(900);

/// A quarter of this many blocks is worth a commit.
const MOST: usize = 40;

struct Run {
    storage: Storage,
    chain: Chain,
    _folder: tempfile::TempDir,
}

impl Run {
    fn new(seed: u64, options: StorageOptions) -> Self {
        let (folder, chain) = (tempfile::tempdir().unwrap(), Chain::new(seed));
        let storage = Storage::create(folder.path(), options, 1, chain.genesis()).unwrap();
        Self { storage, chain, _folder: folder }
    }

    fn commit(&mut self, count: usize) {
        (0..count).for_each(|_| self.storage.commit(self.chain.grow()).unwrap());
    }

    /// Waits, and does not say so, until the writer has written all.
    fn wait_unasked(&self) {
        let start = Instant::now();
        while self.storage.written() != self.storage.head() {
            assert!(start.elapsed() < Duration::from_secs(60), "it is never written");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn many() -> StorageOptions {
    StorageOptions { max_pending_blocks: MOST, max_batch_blocks: MOST, ..options() }
}

/// Asserts that at least one of a few times is shorter than a gathered block waits.
fn does_not_wait(mut act: impl FnMut()) {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        act();
        start.elapsed()
    });
    let least = times.min().unwrap();
    assert!(least < BEFORE_IT_IS_WRITTEN, "{least:?}");
}

#[test]
fn gathered_blocks_wait_until_there_are_enough_of_them() {
    let mut it = Run::new(51, many());
    let _gathering = it.storage.gather();
    does_not_wait(|| {
        let (start, before) = (Instant::now(), it.storage.written());
        it.commit(MOST / 4 - 1);
        thread::sleep(Duration::from_millis(50));
        let written = it.storage.written();
        if start.elapsed() < BEFORE_IT_IS_WRITTEN {
            assert_eq!(written, before);
        }
        it.commit(1);
        it.wait_unasked();
    });
}

#[test]
fn blocks_of_many_bytes_are_enough_sooner() {
    let mut it = Run::new(54, StorageOptions { max_pending_bytes: 4, ..many() });
    let _gathering = it.storage.gather();
    does_not_wait(|| {
        it.commit(1);
        it.wait_unasked();
    });
}

#[test]
fn a_gathered_block_that_nobody_follows_is_written_after_a_while() {
    let mut it = Run::new(52, many());
    let _gathering = it.storage.gather();
    let start = Instant::now();
    it.commit(1);
    it.wait_unasked();
    assert!(start.elapsed() >= BEFORE_IT_IS_WRITTEN);
}

#[test]
fn gathered_blocks_are_written_at_once_where_somebody_waits_for_them_or_nobody_gathers() {
    let mut it = Run::new(53, many());
    let gathering = it.storage.gather();
    does_not_wait(|| {
        it.commit(2);
        it.storage.wait_written(it.chain.head().number).unwrap();
    });
    does_not_wait(|| {
        it.commit(2);
        it.storage.flush().unwrap();
    });
    drop(gathering);
    does_not_wait(|| {
        let gathering = it.storage.gather();
        it.commit(2);
        drop(gathering);
        it.wait_unasked();
    });
}

#[test]
fn a_note_of_what_is_final_is_written_at_once_where_no_block_waits() {
    let it = Run::new(55, many());
    let _gathering = it.storage.gather();
    let genesis = Some(it.chain.head());
    does_not_wait(|| {
        for finalized in [genesis, None] {
            it.storage.set_finality(Finality { safe: genesis, finalized }).unwrap();
            it.storage.flush().unwrap();
        }
    });
}

#[test]
fn what_is_gathered_is_written_when_the_database_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(56);
    let storage = Storage::create(folder.path(), many(), 1, chain.genesis()).unwrap();
    let gathering = storage.gather();
    (0..3).for_each(|_| storage.commit(chain.grow()).unwrap());
    storage.shutdown().unwrap();
    let storage = Storage::open(folder.path(), many(), None).unwrap();
    assert_eq!((storage.head(), storage.was_clean()), (chain.head(), true));
    drop(gathering);
}

#[test]
fn a_writer_that_fails_while_it_gathers_says_so_and_tries_again_when_asked() {
    let limits = StorageOptions { max_size: 1 << 20, growth: 1 << 18, ..many() };
    let mut it = Run::new(57, limits);
    let _gathering = it.storage.gather();
    let error = (0..10_000).find_map(|_| it.storage.commit(it.chain.grow()).err()).unwrap();
    assert!(matches!(error, StorageError::WriterFailed(_)), "{error}");
    let written = it.storage.written();
    assert!(matches!(it.storage.flush().unwrap_err(), StorageError::WriterFailed(_)));
    assert_eq!(it.storage.written(), written);
}
