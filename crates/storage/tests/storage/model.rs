//! Random sequences of everything a storage can do, held against the model after each step.

use crate::{
    chain::{ADDRESSES, Chain, SLOTS, State, address, hashed_slot, storage_root, trie_changes},
    lists::check_lists,
};
use alloy_primitives::{B256, U256, keccak256};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path};
use warpline_storage::{
    BlockRef, CacheSizes, Finality, HashedState, PrunePolicy, StateReader, Storage, StorageError,
    StorageOptions, StoredAccount, Unwound,
};

/// Small limits, so that every one of them is met.
pub(crate) fn options() -> StorageOptions {
    StorageOptions {
        max_size: 64 << 20,
        growth: 1 << 20,
        index_stride: 3,
        max_pending_blocks: 5,
        max_batch_blocks: 3,
        commit_memory: 0,
        cache: CacheSizes { accounts: 256, slots: 256, code_bytes: 1 << 16 },
        ..Default::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit(u8),
    Flush,
    Unwind(u8),
    Finalize(u8),
    Prune,
    Reopen,
    ReadPast,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..6).prop_map(Step::Commit),
        1 => Just(Step::Flush),
        2 => (0u8..8).prop_map(Step::Unwind),
        2 => (0u8..8).prop_map(Step::Finalize),
        1 => Just(Step::Reopen),
        1 => Just(Step::Prune),
        2 => Just(Step::ReadPast),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..Default::default() })]

    #[test]
    fn whatever_happens_the_storage_agrees_with_the_model(
        seed: u64,
        keep in prop_oneof![Just(None), (2u64..9).prop_map(Some)],
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let prune = keep.map_or(PrunePolicy::ARCHIVE, PrunePolicy::full);
        run(seed, StorageOptions { prune, ..options() }, false, &steps);
        let gathered =
            StorageOptions { max_pending_blocks: 32, max_batch_blocks: 32, ..options() };
        run(seed, StorageOptions { prune, ..gathered }, true, &steps);
    }
}

fn run(seed: u64, options: StorageOptions, gather: bool, steps: &[Step]) {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = options.prune.access_lists;
    let mut chain = Chain::new(seed);
    let mut storage =
        Storage::create(folder.path(), options.clone(), 1, chain.genesis()).expect("a database");
    let mut gathering = gather.then(|| storage.gather());
    for step in steps {
        match step {
            Step::Commit(count) => {
                for _ in 0..*count {
                    storage.commit(chain.grow()).expect("the block follows");
                    check_head(&storage, &chain);
                }
            }
            Step::Flush => storage.flush().expect("there is room"),
            Step::Unwind(depth) => unwind(&storage, keep, &mut chain, u64::from(*depth)),
            Step::Finalize(depth) => finalize(&storage, &mut chain, u64::from(*depth)),
            Step::Reopen => {
                drop(gathering.take());
                storage = reopen(storage, folder.path(), &options);
                gathering = gather.then(|| storage.gather());
            }
            Step::Prune => prune(&storage, &chain, options.prune),
            Step::ReadPast => check_past(&storage, &chain),
        }
        check_head(&storage, &chain);
        check_walks(&storage, &chain);
    }
    check_past(&storage, &chain);
    storage.flush().expect("there is room");
    check_head(&storage, &chain);
    check_past(&storage, &chain);
    assert_eq!(storage.verify(10, |_| {}).expect("it can be read"), []);
    check_blocks(&storage, keep, &chain);
}

/// The safe block may be the head, which is hardly ever in the file yet.
fn finalize(storage: &Storage, chain: &mut Chain, depth: u64) {
    let finality =
        Finality { safe: chain.below_head(depth / 2), finalized: chain.below_head(depth) };
    storage.set_finality(finality).expect("the blocks are in the chain");
    chain.finality = finality;
    let head = chain.head();
    for wrong in [
        BlockRef { number: head.number + 1, ..head },
        BlockRef { hash: B256::repeat_byte(7), ..head },
    ] {
        let refused = storage.set_finality(Finality { finalized: Some(wrong), ..finality });
        assert!(matches!(refused, Err(StorageError::UnknownBlock { .. })));
    }
}

fn prune(storage: &Storage, chain: &Chain, policy: PrunePolicy) {
    let kept = storage.prune(|_| {}).expect("there is room");
    let first =
        |keep: Option<u64>| keep.map_or(0, |keep| (chain.head().number + 1).saturating_sub(keep));
    // The state before the first block is kept as well.
    assert!(kept.history_from + 1 >= first(policy.history), "{kept:?}");
    assert!(kept.receipts_from >= first(policy.receipts), "{kept:?}");
    assert!(kept.senders_from >= first(policy.senders), "{kept:?}");
    assert_eq!(storage.prune(|_| panic!("nothing is left")).expect("it can be read"), kept);
}

fn reopen(storage: Storage, path: &Path, options: &StorageOptions) -> Storage {
    let identity = storage.identity();
    storage.shutdown().expect("there is room");
    let storage = Storage::open(path, options.clone(), Some(&identity)).expect("it was closed");
    assert!(storage.was_clean());
    storage
}

pub(crate) fn unwind(storage: &Storage, keep: Option<u64>, chain: &mut Chain, depth: u64) {
    let to = chain.head().number.saturating_sub(depth);
    let (from, target) = (chain.states.last().unwrap().clone(), &chain.states[to as usize]);
    let unwound = storage.unwind(to, |unwound, view| {
        check_unwound(unwound, &from, target);
        check_state(view, target, false);
        Ok::<_, StorageError>(trie_changes(&from, target))
    });
    match unwound {
        Ok(block) => {
            assert_eq!(block.number, to);
            let gone = chain.blocks[to as usize + 1..].to_vec();
            chain.unwind(to);
            check_lists(storage, keep, &gone, chain.highest);
            assert_eq!(storage.verify(10, |_| {}).expect("it can be read"), []);
        }
        Err(StorageError::Pruned { earliest, .. }) => assert!(earliest > to),
        Err(error) => panic!("{error}"),
    }
}

/// Every key that differs is listed, with its old value.
fn check_unwound(unwound: &Unwound, from: &State, target: &State) {
    let listed: BTreeMap<_, _> = unwound.accounts.iter().copied().collect();
    for address in from.accounts.keys().chain(target.accounts.keys()) {
        let of = |state: &State| state.accounts.get(address).map(|(account, _)| *account);
        let listed = listed.get(&keccak256(address));
        assert!(listed == Some(&of(target)) || listed.is_none() && of(from) == of(target));
    }
}

/// Everything that can be read by hash: storage roots where they are known.
fn check_state(state: &dyn HashedState, model: &State, roots: bool) {
    for account in (0..ADDRESSES).map(address) {
        let hash = keccak256(account);
        let (expected, slots) = model.accounts.get(&account).cloned().unzip();
        let slots = slots.unwrap_or_default();
        match state.account_by_hash(&hash) {
            Err(StorageError::OnlyValues { .. }) => assert!(!roots),
            found => {
                let found = found.unwrap();
                assert_eq!(found.map(|found| found.state), expected, "{account}");
                let root = found.map(|found| found.storage_root).filter(|_| roots);
                assert!(root.is_none_or(|root| root == storage_root(&slots)), "{account}");
            }
        }
        for slot in (0..SLOTS).map(U256::from) {
            let value = state.slot_by_hash(&hash, &hashed_slot(slot)).unwrap();
            assert_eq!(value, slots.get(&slot).copied().unwrap_or_default(), "{account} {slot}");
        }
    }
}

/// The state by address, twice: what has been read is in the cache then.
fn check_reader(reader: &StateReader<'_>, model: &State, roots: bool) {
    for _ in 0..2 {
        for account in (0..ADDRESSES).map(address) {
            let (expected, slots) = model.accounts.get(&account).cloned().unzip();
            assert_eq!(reader.account(&account).unwrap(), expected, "{account}");
            if let Some(expected) = expected {
                assert_eq!(
                    keccak256(reader.code(&expected.code_hash).unwrap()),
                    expected.code_hash
                );
            }
            let slots = slots.unwrap_or_default();
            for slot in (0..SLOTS).map(U256::from) {
                let expected = slots.get(&slot).copied().unwrap_or_default();
                assert_eq!(reader.storage(&account, slot).unwrap(), expected, "{account} {slot}");
            }
        }
    }
    check_state(reader, model, roots);
}

fn check_head(storage: &Storage, chain: &Chain) {
    assert_eq!(storage.head(), chain.head());
    assert_eq!(storage.finality(), chain.finality);
    let snapshot = storage.snapshot(2).expect("it can be read");
    assert_eq!(snapshot.block(), chain.head());
    check_reader(&snapshot.reader().unwrap(), chain.states.last().unwrap(), true);
}

/// Ranges and nodes, in pieces of odd length.
fn check_walks(storage: &Storage, chain: &Chain) {
    let model = chain.states.last().unwrap();
    let snapshot = storage.snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    let expected: BTreeMap<_, _> = model
        .accounts
        .iter()
        .map(|(address, (state, slots))| {
            (keccak256(address), StoredAccount { state: *state, storage_root: storage_root(slots) })
        })
        .collect();
    let found = walk(|start| reader.accounts_from(start, 3).unwrap());
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    let with_storage = |(address, (_, slots)): (&_, &(_, BTreeMap<_, _>))| {
        (!slots.is_empty()).then(|| keccak256(address))
    };
    let mut with_storage: Vec<B256> = model.accounts.iter().filter_map(with_storage).collect();
    with_storage.sort_unstable();
    let mut start = B256::ZERO;
    for account in with_storage {
        assert_eq!(reader.account_with_storage(&start).unwrap(), Some(account));
        start = B256::from(U256::from_be_bytes(account.0) + U256::from(1));
    }
    assert_eq!(reader.account_with_storage(&start).unwrap(), None);
    for (address, (_, slots)) in &model.accounts {
        let expected: BTreeMap<_, _> =
            slots.iter().map(|(slot, value)| (hashed_slot(*slot), *value)).collect();
        let found = walk(|start| reader.slots_from(&keccak256(address), start, 3).unwrap());
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
    let states = chain.states.iter();
    for path in states.flat_map(|state| state.nodes.keys()) {
        assert_eq!(reader.account_node(path).unwrap().as_ref(), model.nodes.get(path));
    }
    for (account, nodes) in chain.states.iter().flat_map(|state| &state.storage_nodes) {
        for path in nodes.keys() {
            let expected = model.storage_nodes.get(account).and_then(|nodes| nodes.get(path));
            assert_eq!(reader.storage_node(account, path).unwrap().as_ref(), expected);
        }
    }
}

fn walk<V>(chunk: impl Fn(&B256) -> Vec<(B256, V)>) -> Vec<(B256, V)> {
    let (mut all, mut start) = (Vec::new(), B256::ZERO);
    loop {
        let found = chunk(&start);
        let end = found.len() < 3;
        let last = found.last().map(|(key, _)| U256::from_be_bytes(key.0));
        all.extend(found);
        match last.filter(|_| !end) {
            Some(last) => start = B256::from(last + U256::from(1)),
            None => return all,
        }
    }
}

/// The state after every block that is kept, and an error for every other.
fn check_past(storage: &Storage, chain: &Chain) {
    let earliest = storage.stats().expect("it can be read").progress.history_from;
    for (number, model) in (0u64..).zip(&chain.states) {
        match storage.snapshot_at(number, 1) {
            Ok(snapshot) => {
                assert_eq!(snapshot.block(), chain.blocks[number as usize].block());
                check_reader(&snapshot.reader().unwrap(), model, false);
            }
            // The writer may have pruned meanwhile.
            Err(StorageError::Pruned { earliest: now, .. }) => {
                assert!(now > number && now >= earliest);
            }
            Err(error) => panic!("{error}"),
        }
    }
    let unknown = storage.snapshot_at(chain.head().number + 1, 1);
    assert!(matches!(unknown, Err(StorageError::UnknownBlock { .. })));
}

/// Every record of every block.
fn check_blocks(storage: &Storage, keep: Option<u64>, chain: &Chain) {
    check_lists(storage, keep, &chain.blocks, chain.highest);
    let snapshot = storage.snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    for block in &chain.blocks {
        let (number, hash) = (block.header.number, block.header.seal());
        let (header, difficulty) = reader.header(number).unwrap().unwrap();
        assert_eq!((&header, difficulty), (block.header.inner(), block.total_difficulty));
        assert_eq!(reader.block_hash(number).unwrap(), Some(hash));
        assert_eq!(reader.block_number(&hash).unwrap(), Some(number));
        assert_eq!(reader.body(number).unwrap().as_ref(), Some(&block.body));
        for (index, tx) in block.body.transactions.iter().enumerate() {
            assert_eq!(reader.transaction(number, index).unwrap().as_ref(), Some(tx));
            let position = reader.transaction_position(tx.tx_hash()).unwrap();
            assert_eq!(position, Some((number, index as u64)));
        }
        match reader.receipts(number) {
            Err(StorageError::Pruned { .. }) => {}
            receipts => assert_eq!(receipts.unwrap().as_ref(), Some(&block.receipts)),
        }
        match reader.senders(number) {
            Err(StorageError::Pruned { .. }) => {}
            senders => assert_eq!(senders.unwrap().as_ref(), Some(&block.senders)),
        }
    }
    assert_eq!(reader.header(chain.head().number + 1).unwrap(), None);
}

#[test]
fn a_failing_root_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(5);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    for _ in 0..9 {
        storage.commit(chain.grow()).unwrap();
    }
    let refused = storage.unwind(4, |_, _| Err(StorageError::Closed));
    assert!(matches!(refused, Err(StorageError::Closed)));
    check_head(&storage, &chain);
    check_past(&storage, &chain);
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
}

#[test]
fn a_block_that_does_not_follow_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(6);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    let block = chain.grow();
    let after = chain.grow();
    assert!(matches!(storage.commit(after.clone()), Err(StorageError::NotNext { .. })));
    let mut senderless = block.clone();
    senderless.senders.push(address(1));
    assert!(matches!(storage.commit(senderless), Err(StorageError::BadCommit { .. })));
    storage.commit(block.clone()).unwrap();
    assert!(matches!(storage.commit(block), Err(StorageError::NotNext { .. })));
    storage.commit(after).unwrap();
    check_head(&storage, &chain);
}
