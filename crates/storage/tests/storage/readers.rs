//! Snapshots while the writer runs.

use crate::{
    chain::{Chain, address},
    model::options,
};
use alloy_primitives::U256;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use warpline_storage::{CacheSizes, Storage, StorageError, StorageOptions};

/// What all readers of a snapshot must agree on: the state of some accounts, read one by one
/// while blocks are committed and written.
fn check_readers(storage: &Storage, chain: &Chain) {
    let snapshot = storage.snapshot(3).unwrap();
    let model = &chain.states[snapshot.block().number as usize];
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reader = snapshot.reader().unwrap();
                for account in (0..crate::chain::ADDRESSES).map(address) {
                    let (state, slots) = model.accounts.get(&account).cloned().unzip();
                    assert_eq!(reader.account(&account).unwrap(), state);
                    for slot in (0..crate::chain::SLOTS).map(U256::from) {
                        let slots = slots.as_ref();
                        let expected = slots.and_then(|s| s.get(&slot)).copied();
                        let value = reader.storage(&account, slot).unwrap();
                        assert_eq!(value, expected.unwrap_or_default());
                    }
                }
            });
        }
    });
}

fn race(cache: CacheSizes) {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(11);
    let blocks: Vec<_> = (0..150).map(|_| chain.grow()).collect();
    let options = StorageOptions { cache, ..options() };
    let storage = Storage::create(folder.path(), options, 1, chain.genesis()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    check_readers(&storage, &chain);
                }
            });
        }
        for block in blocks {
            storage.commit(block).unwrap();
        }
        storage.flush().unwrap();
        done.store(true, Ordering::Relaxed);
    });
    check_readers(&storage, &chain);
}

#[test]
fn all_readers_of_a_snapshot_see_one_state_while_blocks_are_written() {
    race(options().cache);
}

#[test]
fn the_same_holds_without_a_cache() {
    race(CacheSizes { accounts: 0, slots: 0, code_bytes: 0 });
}

#[test]
fn a_snapshot_stays_as_it_is_and_says_when_it_cannot_open_more_readers() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(12);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    storage.commit(chain.grow()).unwrap();
    let snapshot = storage.snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    // Another one while nothing newer has been written.
    drop(snapshot.reader().unwrap());
    for _ in 0..5 {
        storage.commit(chain.grow()).unwrap();
    }
    storage.flush().unwrap();
    assert!(matches!(snapshot.reader(), Err(StorageError::SnapshotMovedOn { readers: 1, .. })));
    let model = &chain.states[1];
    for account in (0..crate::chain::ADDRESSES).map(address) {
        let expected = model.accounts.get(&account).map(|(account, _)| *account);
        assert_eq!(reader.account(&account).unwrap(), expected);
    }
    drop(reader);
    snapshot.reader().unwrap();
}
