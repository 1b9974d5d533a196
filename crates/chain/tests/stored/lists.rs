//! Access lists that are kept: what they say, and what they are good for.

use crate::built::{Block, CHAIN_ID, GAS_LIMIT, config, options, verify};
use alloy_consensus::{
    SignableTransaction, TxEip1559,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip7928::BlockAccessList;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use std::{convert::Infallible, path::Path};
use warpline_chain::{
    BlockAttributes, ChainOptions, Engine, Executions, HashedGenesis, Incoming, Rules, StoredChain,
    genesis_header,
};
use warpline_executor::{EthTransaction, ParallelConfig};
use warpline_storage::{
    BlockCommit, BlockRef, HashedDiff, Storage, StorageError, StorageOptions, TrieUpdates,
};
use warpline_types::AccountState;

const BLOCKS: u64 = 6;
const SIZE: u64 = 10;
const COUNTER: Address = Address::repeat_byte(0xc0);

/// Counts slot 0 up: `sload`, `add`, `sstore`. Whoever runs ahead finds it too low.
const COUNTS: [u8; 8] = [0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00];

fn rules() -> (Genesis, Rules) {
    let genesis = Genesis { config: config(), gas_limit: GAS_LIMIT, ..Genesis::default() };
    let rules = Rules::from_config(&genesis.config).unwrap();
    (genesis, rules)
}

fn listing(access_lists: bool) -> ChainOptions {
    ChainOptions { access_lists, ..options() }
}

fn create(path: &Path, access_lists: bool) -> StoredChain {
    let (genesis, rules) = rules();
    let header = genesis_header(&genesis, &rules).unwrap();
    let code = Bytes::from_static(&COUNTS);
    let balance = U256::MAX >> 64;
    let rich = AccountState { balance, nonce: 0, code_hash: keccak256([]) };
    let counter = AccountState { code_hash: keccak256(&code), ..rich };
    let calls = (1..=BLOCKS).flat_map(|block| (0..SIZE).map(move |at| counting_up(block, at)));
    let senders = calls.map(|tx| (keccak256(tx.recover_signer().unwrap()), rich));
    let state = HashedGenesis {
        accounts: senders.chain([(keccak256(COUNTER), counter)]).collect(),
        codes: vec![(keccak256(&code), code)],
        ..HashedGenesis::default()
    };
    StoredChain::create_large(path, listing(access_lists), rules, header, state).unwrap()
}

fn open(path: &Path, access_lists: bool) -> StoredChain {
    StoredChain::open(path, listing(access_lists), rules().1, None).unwrap()
}

/// Runs transactions ahead in an order that is the same every time.
fn engine() -> Engine {
    let config = ParallelConfig { lead: 0, min_gas: 0, rehearse: Some(7), ..Default::default() };
    Engine::parallel(config).unwrap()
}

/// A call of the counter. No two are alike, and each is from whoever its signature is of.
fn counting_up(block: u64, index: u64) -> EthTransaction {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 2_000_000_000,
        to: TxKind::Call(COUNTER),
        input: (block * SIZE + index).to_be_bytes().to_vec().into(),
        ..TxEip1559::default()
    };
    tx.into_signed(Signature::test_signature()).into()
}

/// Builds a block of calls.
fn build(chain: &mut StoredChain, engine: &Engine) -> Block {
    let number = chain.head().number + 1;
    let attributes = BlockAttributes {
        timestamp: 12 * number,
        gas_limit: GAS_LIMIT,
        ..BlockAttributes::default()
    };
    let count = |index| {
        let tx = counting_up(number, index);
        let sender = tx.recover_signer().unwrap();
        Recovered::new_unchecked(tx, sender)
    };
    chain.build(engine, attributes, (0..SIZE).map(count).collect()).unwrap()
}

/// Blocks, and their lists as revm's builder makes them.
fn counting() -> (Vec<Block>, Vec<BlockAccessList>) {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = create(folder.path(), false);
    let blocks: Vec<_> = (0..BLOCKS).map(|_| build(&mut chain, &Engine::Sequential)).collect();
    let list = |block: &Block| {
        let block = BlockRef { number: block.header.number, hash: block.header.hash_slow() };
        chain.view().access_list(block).unwrap().unwrap()
    };
    let lists = blocks.iter().map(list).collect();
    assert_eq!(kept(&chain), [const { None }; BLOCKS as usize]);
    (blocks, lists)
}

fn import(chain: &mut StoredChain, engine: &Engine, blocks: &[Block]) {
    let incoming =
        |block: &Block| Ok::<_, Infallible>(Incoming { block: block.clone(), senders: None });
    let incoming: Vec<_> = blocks.iter().map(incoming).collect();
    chain.import_all(engine, incoming.into_iter(), &|_| {}).unwrap();
    assert_eq!(chain.head().hash, blocks.last().unwrap().header.hash_slow());
    verify(chain);
}

/// The lists in the database.
fn kept(chain: &StoredChain) -> Vec<Option<BlockAccessList>> {
    let snapshot = chain.storage().snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    let list = |number| {
        let hash = reader.block_hash(number).unwrap().unwrap();
        let block = BlockRef { number, hash };
        reader.access_list(block).unwrap().map(|list| list.into_inner())
    };
    (1..=chain.head().number).map(list).collect()
}

fn all_kept(lists: &[BlockAccessList]) -> Vec<Option<BlockAccessList>> {
    lists.iter().cloned().map(Some).collect()
}

#[test]
fn a_chain_that_is_imported_again_has_no_conflicts() {
    let (blocks, lists) = counting();
    let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
    let mut chain = create(folder.path(), true);
    import(&mut chain, &engine, &blocks);
    assert!(chain.executions().in_vain > BLOCKS, "{:?}", chain.executions());
    assert_eq!(kept(&chain), all_kept(&lists));
    for access_lists in [true, false] {
        chain.unwind(0).unwrap();
        verify(&chain);
        chain.shutdown().unwrap();
        chain = open(folder.path(), access_lists);
        import(&mut chain, &engine, &blocks);
        assert_eq!(chain.executions(), Executions { all: BLOCKS * SIZE, in_vain: 0 });
        assert_eq!(kept(&chain), all_kept(&lists));
    }
}

#[test]
fn a_branch_that_becomes_the_chain_again_has_no_conflicts() {
    let (blocks, lists) = counting();
    let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
    let mut chain = create(folder.path(), true);
    import(&mut chain, &engine, &blocks);
    let before = chain.executions();
    let head = chain.head();
    chain.unwind(2).unwrap();
    // What is executed on the way is executed beside the chain first.
    chain.set_forkchoice(&engine, head.hash, None, None).unwrap();
    assert_eq!(chain.head(), head);
    let after = chain.executions();
    assert_eq!((after.all - before.all, after.in_vain), ((BLOCKS - 2) * SIZE, before.in_vain));
    assert_eq!(kept(&chain), all_kept(&lists));
    verify(&chain);
}

#[test]
fn blocks_that_come_one_by_one_or_are_built_here_keep_their_lists() {
    let (blocks, lists) = counting();
    for engine in [engine(), Engine::Sequential] {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = create(&folder.path().join("built"), true);
        let built: Vec<_> = blocks.iter().map(|_| build(&mut chain, &engine)).collect();
        assert_eq!(built, blocks);
        assert_eq!(kept(&chain), all_kept(&lists));
        verify(&chain);
        let mut chain = create(&folder.path().join("imported"), true);
        let (first, rest) = blocks.split_at(2);
        import(&mut chain, &engine, first);
        for block in rest {
            import(&mut chain, &engine, core::slice::from_ref(block));
        }
        assert_eq!(kept(&chain), all_kept(&lists));
    }
}

/// Puts a list in the place of that of the first block, which the chain has gone back from.
fn replace(path: &Path, block: &BlockCommit, list: BlockAccessList) {
    let storage = Storage::open(path, StorageOptions::default(), None).unwrap();
    storage.commit(BlockCommit { access_list: Some(list), ..block.clone() }).unwrap();
    storage.unwind(0, |_, _| Ok::<_, StorageError>(TrieUpdates::default())).unwrap();
    storage.shutdown().unwrap();
}

/// The first block as if it had changed nothing.
fn first(chain: &StoredChain) -> BlockCommit {
    let snapshot = chain.storage().snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    let (header, total_difficulty) = reader.header(1).unwrap().unwrap();
    BlockCommit {
        header: alloy_primitives::Sealable::seal_slow(header),
        total_difficulty,
        body: reader.body(1).unwrap().unwrap(),
        senders: reader.senders(1).unwrap().unwrap(),
        receipts: reader.receipts(1).unwrap().unwrap(),
        access_list: None,
        diff: HashedDiff::default(),
        trie: TrieUpdates::default(),
    }
}

#[test]
fn a_wrong_list_costs_time_and_is_replaced() {
    let (blocks, lists) = counting();
    let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
    let mut chain = create(folder.path(), true);
    import(&mut chain, &engine, &blocks);
    let block = first(&chain);
    let mut counts_too_far = lists[0].clone();
    let counter = counts_too_far.iter_mut().find(|account| account.address == COUNTER).unwrap();
    for change in &mut counter.storage_changes[0].changes {
        change.new_value += U256::from(1);
    }
    for wrong in [counts_too_far, Vec::new(), lists[1].clone()] {
        chain.unwind(0).unwrap();
        chain.shutdown().unwrap();
        replace(folder.path(), &block, wrong);
        chain = open(folder.path(), true);
        import(&mut chain, &engine, &blocks);
        assert!(chain.executions().in_vain > 0, "{:?}", chain.executions());
        assert_eq!(kept(&chain), all_kept(&lists));
    }
}
