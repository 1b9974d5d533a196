//! Commits that change far more pages than a commit may hold in memory.

use crate::model::options;
use alloy_consensus::{BlockBody, Header, Sealable};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};
use std::{fs, path::Path};
use warpline_storage::{
    BlockCommit, GenesisLoader, HashedDiff, OpenError, Storage, StorageError, StoredAccount,
    TrieUpdates,
};
use warpline_types::{AccountDiff, AccountState, StateDiff};

const ACCOUNTS: u64 = 30_000;

fn address(index: u64) -> Address {
    Address::left_padding_from(&index.to_be_bytes())
}

/// The account after a block: every block changes every second one.
fn account(index: u64, block: u64) -> AccountState {
    let nonce = block.saturating_sub((block + index) % 2);
    AccountState { nonce, balance: U256::from(index * 1_000_003), code_hash: KECCAK256_EMPTY }
}

fn block(number: u64, parent: B256) -> BlockCommit {
    let changed = (0..ACCOUNTS).filter(|index| number > 0 && (number + index).is_multiple_of(2));
    let change = |index| AccountDiff {
        address: address(index),
        before: Some(account(index, number - 1)),
        after: Some(account(index, number)),
        storage_cleared: false,
        storage: Vec::new(),
    };
    let diff = StateDiff { accounts: changed.map(change).collect(), codes: Vec::new() };
    BlockCommit {
        header: Header { number, parent_hash: parent, ..Header::default() }.seal_slow(),
        total_difficulty: U256::ZERO,
        body: BlockBody::default(),
        senders: Vec::new(),
        receipts: Vec::new(),
        access_list: None,
        diff: HashedDiff::new(&diff),
        trie: TrieUpdates::default(),
    }
}

fn create(folder: &Path, genesis: BlockCommit) -> Storage {
    let loader = GenesisLoader::new(folder, options()).unwrap();
    let mut accounts: Vec<_> = (0..ACCOUNTS)
        .map(|index| (keccak256(address(index)), StoredAccount::from(account(index, 0))))
        .collect();
    accounts.sort_unstable_by_key(|(hash, _)| *hash);
    loader.accounts(accounts).unwrap();
    loader.finish(1, genesis).unwrap()
}

fn check(storage: &Storage, number: u64) {
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
    for number in 0..=number {
        let snapshot = storage.snapshot_at(number, 1).unwrap();
        let reader = snapshot.reader().unwrap();
        for index in (0..ACCOUNTS).step_by(7) {
            let found = reader.account(&address(index)).unwrap();
            assert_eq!(found, Some(account(index, number)), "{index} after {number}");
        }
    }
}

#[test]
fn a_commit_may_change_more_pages_than_it_may_hold() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = block(0, B256::ZERO);
    let mut parent = genesis.header.seal();
    let storage = create(folder.path(), genesis);
    for number in 1..=4 {
        let block = block(number, parent);
        parent = block.header.seal();
        storage.commit(block).unwrap();
    }
    storage.flush().unwrap();
    check(&storage, 4);
    storage.shutdown().unwrap();

    let storage = Storage::open(folder.path(), options(), None).unwrap();
    let unwound = storage.unwind(1, |_, _| Ok::<_, StorageError>(TrieUpdates::default()));
    assert_eq!(unwound.unwrap().number, 1);
    check(&storage, 1);
}

/// MDBX alone would take the older commit, and cut the file to its size.
#[test]
fn a_file_cut_off_within_its_last_commit_is_damaged_though_an_older_one_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mdbx.dat");
    let pages =
        |file: &[u8]| file.chunks(4096).rposition(|page| page.iter().any(|byte| *byte != 0));
    let genesis = block(0, B256::ZERO);
    let first = block(1, genesis.header.seal());
    create(folder.path(), genesis).shutdown().unwrap();
    let before = pages(&fs::read(&file).unwrap()).unwrap();

    let open = || Storage::open(folder.path(), options(), None);
    let storage = open().unwrap();
    storage.commit(first).unwrap();
    storage.flush().unwrap();
    let whole = fs::read(&file).unwrap();
    storage.shutdown().unwrap();
    let after = pages(&whole).unwrap();
    assert!(after > before + 100, "{after} pages after {before}");

    for kept in [before + 2, usize::midpoint(before, after)] {
        fs::write(&file, &whole[..kept * 4096]).unwrap();
        let refused = open().map(|storage| storage.head());
        assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{kept} pages: {refused:?}");
        assert!(
            fs::read(&file).unwrap() == whole[..kept * 4096],
            "{kept} pages are not left alone"
        );
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(open().unwrap().head().number, 1);
}
