//! When blocks are written that are gathered.

use crate::{chain::Chain, model::options};
use std::{
    thread,
    time::{Duration, Instant},
};
use warpline_storage::{Storage, StorageOptions};

/// How long a gathered block waits at most, less what a test may take until it looks.
const BEFORE_IT_IS_WRITTEN: Duration = Duration::from_millis(900);

/// A quarter of this many blocks is worth a commit.
const MOST: usize = 40;

fn create(folder: &tempfile::TempDir, chain: &Chain) -> Storage {
    let options = StorageOptions { max_pending_blocks: MOST, ..options() };
    Storage::create(folder.path(), options, 1, chain.genesis()).unwrap()
}

fn commit(storage: &Storage, chain: &mut Chain, count: usize) {
    (0..count).for_each(|_| storage.commit(chain.grow()).unwrap());
}

/// Waits, and does not say so, until the writer has written all.
fn written_unasked(storage: &Storage) -> Duration {
    let start = Instant::now();
    while storage.written() != storage.head() {
        assert!(start.elapsed() < Duration::from_secs(60), "it is never written");
        thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

#[test]
fn gathered_blocks_wait_until_there_are_enough_of_them() {
    let (folder, mut chain) = (tempfile::tempdir().unwrap(), Chain::new(51));
    let storage = create(&folder, &chain);
    let _gathering = storage.gather();
    let start = Instant::now();
    commit(&storage, &mut chain, MOST / 4 - 1);
    thread::sleep(Duration::from_millis(100));
    let written = storage.written();
    if start.elapsed() < BEFORE_IT_IS_WRITTEN {
        assert_eq!(written.number, 0);
    }
    commit(&storage, &mut chain, 1);
    written_unasked(&storage);
}

#[test]
fn a_gathered_block_that_nobody_follows_is_written_after_a_while() {
    let (folder, mut chain) = (tempfile::tempdir().unwrap(), Chain::new(52));
    let storage = create(&folder, &chain);
    let _gathering = storage.gather();
    let start = Instant::now();
    commit(&storage, &mut chain, 1);
    written_unasked(&storage);
    assert!(start.elapsed() >= BEFORE_IT_IS_WRITTEN);
}

#[test]
fn gathered_blocks_are_written_at_once_where_somebody_waits_for_them_or_nobody_gathers() {
    let (folder, mut chain) = (tempfile::tempdir().unwrap(), Chain::new(53));
    let storage = create(&folder, &chain);
    let quickest = |wait: &mut dyn FnMut()| {
        let times = (0..5).map(|_| {
            let start = Instant::now();
            wait();
            start.elapsed()
        });
        times.min().unwrap()
    };

    let gathering = storage.gather();
    let waited = quickest(&mut || {
        commit(&storage, &mut chain, 2);
        storage.wait_written(chain.head().number).unwrap();
    });
    assert!(waited < BEFORE_IT_IS_WRITTEN);
    let flushed = quickest(&mut || {
        commit(&storage, &mut chain, 2);
        storage.flush().unwrap();
    });
    assert!(flushed < BEFORE_IT_IS_WRITTEN);
    drop(gathering);
    let ended = quickest(&mut || {
        let gathering = storage.gather();
        commit(&storage, &mut chain, 2);
        drop(gathering);
        written_unasked(&storage);
    });
    assert!(ended < BEFORE_IT_IS_WRITTEN);
}
