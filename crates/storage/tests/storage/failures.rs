//! Disks that are full: an error at the next call, nothing lost, nothing half written.

use crate::{
    chain::{Chain, address},
    model::options,
};
use std::{fs, path::Path, process::Command};
use warpline_storage::{Storage, StorageError, StorageOptions};

/// Commits until it fails. Returns the last block reported as written, and the failure.
fn fill(storage: &Storage, chain: &mut Chain) -> StorageError {
    for _ in 0..5_000 {
        let block = chain.grow();
        if let Err(error) = storage.commit(block) {
            chain.unwind(storage.head().number);
            return error;
        }
    }
    panic!("5,000 blocks fit");
}

fn cause(error: &StorageError) -> &StorageError {
    match error {
        StorageError::WriterFailed(cause) => cause,
        other => panic!("{other}"),
    }
}

/// What was accepted can be read; what is written verifies; nothing more is accepted.
fn check_full(storage: &Storage, chain: &mut Chain) {
    let snapshot = storage.snapshot(1).unwrap();
    assert_eq!(snapshot.block(), chain.head());
    let reader = snapshot.reader().unwrap();
    let model = chain.states.last().unwrap();
    for account in (0..crate::chain::ADDRESSES).map(address) {
        let expected = model.accounts.get(&account).map(|(account, _)| *account);
        assert_eq!(reader.account(&account).unwrap(), expected);
    }
    assert!(storage.written().number < storage.head().number);
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
    let head = storage.head();
    assert!(matches!(storage.commit(chain.grow()), Err(StorageError::WriterFailed(_))));
    chain.unwind(head.number);
    assert!(matches!(storage.flush(), Err(StorageError::WriterFailed(_))));
}

/// A reopened database holds what was written, and goes on from there.
fn check_reopened(folder: &Path, chain: &mut Chain, written: u64) {
    let storage = Storage::open(folder, options(), None).unwrap();
    assert_eq!(storage.head(), chain.blocks[written as usize].block());
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
    for block in &chain.blocks[written as usize + 1..] {
        storage.commit(block.clone()).unwrap();
    }
    storage.flush().unwrap();
    assert_eq!(storage.written(), chain.head());
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
}

#[test]
fn a_database_at_its_size_limit_keeps_what_it_has_and_goes_on_with_a_larger_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(31);
    let small = StorageOptions { max_size: 1 << 20, growth: 1 << 18, ..options() };
    let storage = Storage::create(folder.path(), small, 1, chain.genesis()).unwrap();
    let failure = fill(&storage, &mut chain);
    assert!(matches!(cause(&failure), StorageError::MapFull { limit: 1_048_576 }), "{failure}");
    check_full(&storage, &mut chain);
    let written = storage.written().number;
    assert!(storage.shutdown().is_err());
    check_reopened(folder.path(), &mut chain, written);
}

/// A file system of a megabyte in memory, where one may be mounted.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { folder })
    }

    fn enlarge(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,size=64m"]).arg(self.folder.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg(self.folder.path()).status();
    }
}

#[test]
fn a_full_disk_is_reported_and_writing_goes_on_when_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: no file system may be mounted here, so no disk can be filled");
        return;
    };
    let path = disk.folder.path().join("db");
    fs::create_dir(&path).unwrap();
    let mut chain = Chain::new(32);
    // The list of readers alone would fill it.
    let growing = StorageOptions { growth: 1 << 16, max_readers: 64, ..options() };
    let storage = Storage::create(&path, growing, 1, chain.genesis()).unwrap();
    let failure = fill(&storage, &mut chain);
    assert!(matches!(cause(&failure), StorageError::DiskFull { .. }), "{failure}");
    check_full(&storage, &mut chain);
    disk.enlarge();
    storage.flush().unwrap();
    assert_eq!(storage.written(), chain.head());
    storage.commit(chain.grow()).unwrap();
    let written = chain.head().number;
    storage.shutdown().unwrap();
    check_reopened(&path, &mut chain, written);
}
