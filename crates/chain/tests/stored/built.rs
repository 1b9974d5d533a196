//! Blocks that are built here: large genesis states, production, branches deeper than any cache.

use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use std::{convert::Infallible, path::Path};
use warpline_chain::{
    BlockAttributes, Candidate, ChainOptions, Engine, HashedGenesis, Imported, Incoming, Rules,
    StoredChain, genesis_header, verify_state,
};
use warpline_executor::{EthTransaction, ParallelConfig};
use warpline_trie::TrieConfig;
use warpline_types::{AccountState, ExpectedAccesses, ExpectedSlot};

pub(crate) type Block = alloy_consensus::Block<EthTransaction>;

pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const USERS: u64 = 300;
pub(crate) const ETHER: u64 = 1_000_000_000_000_000_000;

pub(crate) fn user(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

pub(crate) fn config() -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        shanghai_time: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        ..ChainConfig::default()
    }
}

pub(crate) fn options() -> ChainOptions {
    let trie = TrieConfig { page_limit: 4, threads: 2, ..TrieConfig::default() };
    ChainOptions { trie, ..ChainOptions::default() }
}

fn create(path: &Path) -> StoredChain {
    create_with(path, options())
}

fn create_with(path: &Path, options: ChainOptions) -> StoredChain {
    let genesis = Genesis { config: config(), gas_limit: GAS_LIMIT, ..Genesis::default() };
    let rules = Rules::from_config(&genesis.config).unwrap();
    let header = genesis_header(&genesis, &rules).unwrap();
    let rich = AccountState { balance: U256::from(ETHER), nonce: 0, code_hash: keccak256([]) };
    let accounts = (0..USERS).map(|index| (keccak256(user(index)), rich)).collect();
    let state = HashedGenesis { accounts, ..HashedGenesis::default() };
    StoredChain::create_large(path, options, rules, header, state).unwrap()
}

pub(crate) fn engine() -> Engine {
    let config = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
    Engine::parallel(config).unwrap()
}

/// A payment between two users. Nobody asks for its signature.
fn payment(from: u64, nonce: u64, to: u64) -> Recovered<EthTransaction> {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        to: TxKind::Call(user(to)),
        value: U256::from(1_000 + nonce),
        ..TxEip1559::default()
    };
    let signed = tx.into_signed(Signature::test_signature());
    Recovered::new_unchecked(signed.into(), user(from))
}

/// Builds a block of ten payments.
fn build(chain: &mut StoredChain, engine: &Engine) -> Block {
    let number = chain.head().number + 1;
    let attributes = BlockAttributes {
        timestamp: 12 * number,
        beneficiary: Address::repeat_byte(1),
        gas_limit: GAS_LIMIT,
        ..BlockAttributes::default()
    };
    let pay = |index: u64| payment(index, number - 1, (number * 31 + index) % USERS);
    chain.build(engine, attributes, (0..10).map(pay).collect()).unwrap()
}

pub(crate) fn verify(chain: &StoredChain) {
    chain.flush().unwrap();
    let findings = chain.storage().verify(10, |_| {}).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    let report = verify_state(chain.storage(), &options().trie, 10).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

fn incoming(blocks: &[Block]) -> Vec<Result<Incoming, Infallible>> {
    let incoming = |block: &Block| {
        let senders = (0..10).map(user).collect();
        Ok(Incoming { block: block.clone(), senders: Some(senders) })
    };
    blocks.iter().map(incoming).collect()
}

#[test]
fn what_is_built_is_what_an_import_accepts() {
    let engine = engine();
    let (built, imported) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut chain = create(built.path());
    let blocks: Vec<_> = (0..40).map(|_| build(&mut chain, &engine)).collect();
    verify(&chain);
    for engine in [&engine, &Engine::Sequential] {
        let folder = imported.path().join(engine.threads().to_string());
        let mut other = create(&folder);
        other.import_all(engine, incoming(&blocks).into_iter(), &|_| {}).unwrap();
        assert_eq!(other.head(), chain.head());
        verify(&other);
    }
}

/// Builds a block that changes the state by withdrawals alone, which nobody has to sign.
fn withdraw(chain: &mut StoredChain, engine: &Engine, branch: u64) -> Block {
    let number = chain.head().number + 1;
    let withdrawal = |index: u64| Withdrawal {
        index,
        validator_index: branch,
        address: user((number * 17 + branch * 5 + index * 3) % (2 * USERS)),
        amount: number + index,
    };
    let attributes = BlockAttributes {
        timestamp: 12 * number + branch,
        gas_limit: GAS_LIMIT,
        withdrawals: (0..16).map(withdrawal).collect(),
        ..BlockAttributes::default()
    };
    chain.build(engine, attributes, Vec::new()).unwrap()
}

/// Each thread of each block that is on its way reads for itself, and so do those of a branch.
#[test]
fn a_thousand_threads_find_room_to_read() {
    let threads = 1024;
    let config = ParallelConfig { threads, min_gas: 0, ..ParallelConfig::default() };
    let engine = Engine::parallel(config).unwrap();
    let trie = TrieConfig { threads, ..options().trie };
    let with_threads = || ChainOptions { trie: trie.clone(), ..options() };
    let (built, imported) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut chain = create_with(built.path(), with_threads());
    let blocks: Vec<_> = (0..4).map(|_| build(&mut chain, &engine)).collect();
    let mut other = create_with(imported.path(), with_threads());
    other.import_all(&engine, incoming(&blocks).into_iter(), &|_| {}).unwrap();
    assert_eq!(other.head(), chain.head());
    chain.unwind(1).unwrap();
    for block in (0..5).map(|_| withdraw(&mut chain, &engine, 1)) {
        other.insert(&engine, block).unwrap();
    }
    other.set_forkchoice(&engine, chain.head().hash, None, None).unwrap();
    assert_eq!(other.head(), chain.head());
}

#[test]
fn branches_far_back_are_judged_before_and_after_a_restart() {
    let engine = engine();
    let folder = tempfile::tempdir().unwrap();
    let mut chain = create(folder.path());
    (0..150).for_each(|_| drop(withdraw(&mut chain, &engine, 0)));
    let main = chain.head();
    chain.unwind(5).unwrap();
    let branch: Vec<_> = (0..160).map(|_| withdraw(&mut chain, &engine, 1)).collect();
    assert_eq!(chain.head().number, 165);
    verify(&chain);

    // The blocks of the first branch are known, and come back without being brought again.
    chain.set_forkchoice(&engine, main.hash, None, None).unwrap();
    assert_eq!(chain.head(), main);
    verify(&chain);
    chain.shutdown().unwrap();

    // After a restart they have to be brought again, and are judged 145 blocks below the head.
    let rules = Rules::from_config(&config()).unwrap();
    let mut chain = StoredChain::open(folder.path(), options(), rules, None).unwrap();
    let mut wrong = branch[0].clone();
    wrong.header.state_root = B256::ZERO;
    let error = chain.insert(&engine, wrong).unwrap_err().to_string();
    assert!(error.contains("state root"), "{error}");
    for block in &branch {
        assert_eq!(chain.insert(&engine, block.clone()).unwrap(), Imported::Aside);
        assert_eq!(chain.head(), main);
    }
    let tip = branch.last().unwrap().header.hash_slow();
    let safe = branch[100].header.hash_slow();
    chain.set_forkchoice(&engine, tip, Some(safe), Some(safe)).unwrap();
    assert_eq!((chain.head().hash, chain.finalized().unwrap().hash), (tip, safe));
    verify(&chain);

    // What is finalized stays.
    let error = chain.set_forkchoice(&engine, main.hash, None, None).unwrap_err().to_string();
    assert!(error.contains("finalized"), "{error}");
    assert_eq!(chain.head().hash, tip);
}

#[test]
fn a_view_shows_the_blocks_beside_the_chain_as_long_as_they_are_not_in_it() {
    let engine = engine();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut chain, mut elsewhere) = (create(folder.path()), create(other.path()));
    let view = chain.view();
    let left = withdraw(&mut chain, &engine, 0);
    let brought = withdraw(&mut elsewhere, &engine, 1);
    let [left, brought] = [left, brought].map(|block| (block.header.hash_slow(), block));
    assert!(!view.is_beside(&left.0) && view.beside(&brought.0).is_none());
    // One that came beside it was executed; of one that was in it nothing but itself is at hand.
    chain.insert(&engine, brought.1.clone()).unwrap();
    let found = view.beside(&brought.0).unwrap();
    assert_eq!((found.block, found.receipts.map(|of| of.len())), (brought.1, Some(0)));
    chain.set_forkchoice(&engine, brought.0, None, None).unwrap();
    assert!(!view.is_beside(&brought.0));
    let found = view.beside(&left.0).unwrap();
    assert_eq!((found.block, found.receipts), (left.1, None));
}

#[test]
fn what_is_safe_and_finalized_outlives_a_restart_but_not_going_back_below_it() {
    let engine = engine();
    let rules = || Rules::from_config(&config()).unwrap();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let reopen = |chain: StoredChain| {
        chain.shutdown().unwrap();
        StoredChain::open(folder.path(), options(), rules(), None).unwrap()
    };
    let numbers = |chain: &StoredChain| {
        [chain.safe(), chain.finalized()].map(|block| block.map(|block| block.number))
    };
    let mut chain = create(folder.path());
    let blocks: Vec<_> = (0..20).map(|_| withdraw(&mut chain, &engine, 0)).collect();
    let hash = |number: usize| Some(blocks[number - 1].header.hash_slow());
    chain.set_forkchoice(&engine, hash(20).unwrap(), hash(15), hash(10)).unwrap();
    let mut chain = reopen(chain);
    assert_eq!(numbers(&chain), [Some(15), Some(10)]);
    verify(&chain);

    // A branch from block 8, made elsewhere, is no choice any more.
    let mut elsewhere = create(other.path());
    (0..8).for_each(|_| drop(withdraw(&mut elsewhere, &engine, 0)));
    let branch: Vec<_> = (0..4).map(|_| withdraw(&mut elsewhere, &engine, 1)).collect();
    for block in &branch {
        chain.insert(&engine, block.clone()).unwrap();
    }
    let tip = branch[3].header.hash_slow();
    let error = chain.set_forkchoice(&engine, tip, None, None).unwrap_err().to_string();
    assert!(error.contains("finalized"), "{error}");
    // Neither is a finalized block that is not in the chain.
    let error = chain.set_forkchoice(&engine, hash(20).unwrap(), None, Some(tip));
    assert!(error.unwrap_err().to_string().contains("not in the chain of the head"));
    assert_eq!(numbers(&chain), [Some(15), Some(10)]);

    chain.unwind(12).unwrap();
    assert_eq!(numbers(&chain), [None, Some(10)]);
    let mut chain = reopen(chain);
    assert_eq!(numbers(&chain), [None, Some(10)]);
    chain.unwind(8).unwrap();
    let mut chain = reopen(chain);
    assert_eq!(numbers(&chain), [None, None]);
    for block in branch {
        assert_eq!(chain.import(&engine, block).unwrap(), Imported::Head);
    }
    assert_eq!(chain.head().hash, tip);
    verify(&chain);
}

#[test]
fn a_failed_build_leaves_the_head() {
    let engine = engine();
    let folder = tempfile::tempdir().unwrap();
    let mut chain = create(folder.path());
    build(&mut chain, &engine);
    let head = chain.head();
    let attributes =
        BlockAttributes { timestamp: 24, gas_limit: GAS_LIMIT, ..BlockAttributes::default() };
    let wrong = vec![payment(50, 0, 1), payment(51, 7, 1)];
    let error = chain.build(&engine, attributes.clone(), wrong).unwrap_err().to_string();
    assert!(error.contains("transaction 1: nonce too high"), "{error}");
    let late = BlockAttributes { timestamp: 12, ..attributes };
    let error = chain.build(&engine, late, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("timestamp"), "{error}");
    assert_eq!(chain.head(), head);
    let next = build(&mut chain, &engine);
    assert_eq!(chain.import(&engine, next).unwrap(), Imported::Known);
    verify(&chain);
}

/// What is said of a transaction that is not true.
fn guess(index: u64) -> ExpectedAccesses {
    let slot = ExpectedSlot { address: user(7), slot: U256::from(index % 3), written: true };
    ExpectedAccesses { accounts: vec![user(index)], slots: vec![slot] }
}

#[test]
fn a_proposal_is_the_same_whatever_is_expected_of_its_candidates() {
    let engine = engine();
    let folder = tempfile::tempdir().unwrap();
    let chain = create(folder.path());
    let attributes =
        BlockAttributes { timestamp: 12, gas_limit: GAS_LIMIT, ..BlockAttributes::default() };
    // One that is invalid shows in the execution, many are found in one pass.
    for wrong in [vec![], vec![4], vec![1, 3, 6, 7, 11]] {
        let propose = |expects: bool| {
            let candidate = |index: u64| {
                let nonce = u64::from(wrong.contains(&index));
                let known = expects && index % 5 != 2;
                Candidate {
                    expected: known.then(|| guess(index)),
                    ..payment(index, nonce, index + 1).into()
                }
            };
            let candidates = (0..12).map(candidate).collect();
            let mut proposal = chain.propose(&engine, &attributes, candidates).unwrap();
            chain.seal(&mut proposal).unwrap();
            let dropped: Vec<_> =
                proposal.dropped.iter().map(|dropped| dropped.index as u64).collect();
            (proposal.block, proposal.receipts, dropped)
        };
        let (plain, guessed) = (propose(false), propose(true));
        assert_eq!(plain.2, wrong);
        assert_eq!(guessed, plain);
    }
}
