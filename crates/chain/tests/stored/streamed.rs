//! Blocks whose root is begun while they execute: of accounts that come and go, slots that are
//! written back, blocks that turn out invalid, proposals that nobody wants.

use crate::built::{
    Block, CHAIN_ID, ETHER, GAS_LIMIT, USERS, config, engine, options, user, verify,
};
use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, bytes, keccak256};
use std::{convert::Infallible, path::Path};
use warpline_chain::{
    BlockAttributes, ChainOptions, Engine, HashedGenesis, Incoming, RootStreaming, Rules, Stopped,
    StoredChain, genesis_header,
};
use warpline_executor::EthTransaction;
use warpline_types::AccountState;

type Transactions = Vec<Recovered<EthTransaction>>;

/// Stores the second word of its calldata in the slot that the first one says.
const STORE: Bytes = bytes!("6020356000355500");

/// Destroys itself.
const DOOMED: Bytes = bytes!("33ff");

/// Writes a slot and deploys the same.
const INIT: Bytes = bytes!("60016001556133ff6000526002601ef3");

const STORES: u64 = 3;
const DOOMED_ONES: u64 = 40;

fn contract(kind: u8, index: u64) -> Address {
    Address::from_word(keccak256([&[kind][..], &index.to_be_bytes()].concat()))
}

fn create(path: &Path, streaming: RootStreaming) -> StoredChain {
    let genesis = Genesis { config: config(), gas_limit: GAS_LIMIT, ..Genesis::default() };
    let rules = Rules::from_config(&genesis.config).unwrap();
    let header = genesis_header(&genesis, &rules).unwrap();
    let mut state = HashedGenesis::default();
    for index in 0..USERS {
        let rich = AccountState { balance: U256::from(ETHER), nonce: 0, code_hash: keccak256([]) };
        state.accounts.push((keccak256(user(index)), rich));
    }
    let stores = (0..STORES).map(|index| (contract(1, index), STORE));
    let doomed = (0..DOOMED_ONES).map(|index| (contract(2, index), DOOMED));
    for (address, code) in stores.chain(doomed) {
        let (hash, code_hash) = (keccak256(address), keccak256(&code));
        state.accounts.push((hash, AccountState { balance: U256::ZERO, nonce: 1, code_hash }));
        for slot in 0..30_u64 {
            let key = keccak256(B256::from(U256::from(slot)));
            state.slots.push((hash, key, U256::from(slot + 1)));
        }
    }
    state.codes = [STORE, DOOMED].map(|code| (keccak256(&code), code)).into();
    let options = ChainOptions { streaming, ..options() };
    StoredChain::create_large(path, options, rules, header, state).unwrap()
}

/// Transactions of users, each with its next nonce.
#[derive(Clone)]
struct Users {
    nonces: Vec<u64>,
    next: usize,
}

impl Users {
    fn new() -> Self {
        Self { nonces: vec![0; USERS as usize], next: 0 }
    }

    fn send(&mut self, to: TxKind, value: u64, input: Bytes) -> Recovered<EthTransaction> {
        self.next = (self.next + 1) % self.nonces.len();
        let nonce = self.nonces[self.next];
        self.nonces[self.next] += 1;
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 150_000,
            max_fee_per_gas: 2_000_000_000,
            to,
            value: U256::from(value),
            input,
            ..TxEip1559::default()
        };
        let signed = tx.into_signed(Signature::test_signature());
        Recovered::new_unchecked(signed.into(), user(self.next as u64))
    }

    fn store(&mut self, index: u64, slot: u64, value: u64) -> Recovered<EthTransaction> {
        let words = [B256::from(U256::from(slot)), B256::from(U256::from(value))].concat();
        self.send(TxKind::Call(contract(1, index % STORES)), 0, words.into())
    }

    /// A block of everything: `seed` decides what is touched.
    fn block(&mut self, seed: u64) -> Transactions {
        let mut txs = Vec::new();
        for step in 0..24_u64 {
            let slot = (seed * 7 + step * 3) % 50;
            // Written, and as often as not written back to what the genesis block has.
            txs.push(self.store(step, slot, seed + step));
            let fresh = contract(3, seed * 100 + step);
            txs.push(self.send(TxKind::Call(fresh), 1 + step, Bytes::new()));
            if step % 2 == 0 {
                let before = if slot < 30 { slot + 1 } else { 0 };
                txs.push(self.store(step, slot, before));
            }
            if step % 4 == 1 {
                let creation = self.send(TxKind::Create, step, INIT);
                let created = creation.signer().create(self.nonces[self.next] - 1);
                txs.push(creation);
                // Some are destroyed in the block that made them, after more of it.
                if step % 8 == 1 {
                    txs.push(self.store(step, slot + 1, 0));
                    txs.push(self.send(TxKind::Call(created), 5, Bytes::new()));
                }
            }
            if step % 8 == 3 {
                let doomed = contract(2, (seed * 3 + step / 8) % DOOMED_ONES);
                txs.push(self.send(TxKind::Call(doomed), 1, Bytes::new()));
            }
        }
        txs
    }
}

fn attributes(chain: &StoredChain) -> BlockAttributes {
    BlockAttributes {
        timestamp: 12 * (chain.head().number + 1),
        beneficiary: Address::repeat_byte(1),
        gas_limit: GAS_LIMIT,
        ..BlockAttributes::default()
    }
}

fn build(chain: &mut StoredChain, engine: &Engine, txs: &Transactions) -> Block {
    let attributes = attributes(chain);
    chain.build(engine, attributes, txs.clone()).unwrap()
}

/// Blocks made in order, their roots computed at their ends.
fn plain(path: &Path, count: u64) -> (Vec<Transactions>, Vec<Block>) {
    let (mut chain, mut users) = (create(path, RootStreaming::Never), Users::new());
    let txs: Vec<_> = (0..count).map(|seed| users.block(seed)).collect();
    let blocks = txs.iter().map(|txs| build(&mut chain, &Engine::Sequential, txs)).collect();
    (txs, blocks)
}

fn incoming(
    txs: &[Transactions],
    blocks: &[Block],
) -> impl Iterator<Item = Result<Incoming, Infallible>> + Send {
    let incoming = |(txs, block): (&Transactions, &Block)| {
        let senders = Some(txs.iter().map(Recovered::signer).collect());
        Ok(Incoming { block: block.clone(), senders })
    };
    txs.iter().zip(blocks).map(incoming).collect::<Vec<_>>().into_iter()
}

#[test]
fn blocks_are_the_same_whether_their_roots_are_begun_early_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let (txs, blocks) = plain(&folder.path().join("plain"), 12);
    let engine = engine();
    for (name, streaming) in [
        ("always", RootStreaming::Always),
        ("spare", RootStreaming::Spare { cores: 16 }),
        ("none spare", RootStreaming::Spare { cores: 1 }),
    ] {
        let mut chain = create(&folder.path().join(name), streaming);
        for (txs, block) in txs.iter().zip(&blocks) {
            assert_eq!(build(&mut chain, &engine, txs), *block, "{name}");
        }
        verify(&chain);
        let mut chain = create(&folder.path().join(format!("{name}, imported")), streaming);
        chain.import_all(&engine, incoming(&txs, &blocks), &|_| {}).unwrap();
        assert_eq!(chain.head().hash, blocks.last().unwrap().header.hash_slow());
        verify(&chain);
    }
}

/// Who is scheduled when decides how much of a block is early, so that many get a chance.
const ATTEMPTS: u64 = 200;

#[test]
fn the_trie_is_given_values_while_their_block_executes_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine();
    let chain = |name: &str, streaming| create(&folder.path().join(name), streaming);
    let (mut never, mut made) =
        (chain("never", RootStreaming::Never), chain("made", RootStreaming::Spare { cores: 16 }));
    let (mut users, mut txs, mut blocks) = (Users::new(), Vec::new(), Vec::new());
    while made.foreseen() == 0 && made.head().number < ATTEMPTS {
        let next = users.block(made.head().number);
        blocks.push(build(&mut made, &engine, &next));
        assert_eq!(build(&mut never, &engine, &next), blocks[blocks.len() - 1]);
        txs.push(next);
    }
    assert!(made.foreseen() > 0, "nothing in {} blocks", blocks.len());
    assert_eq!(never.foreseen(), 0);
    let mut imported = chain("imported", RootStreaming::Always);
    for _ in 0..ATTEMPTS {
        imported.import_all(&engine, incoming(&txs, &blocks), &|_| {}).unwrap();
        if imported.foreseen() > 0 {
            break;
        }
        imported.unwind(0).unwrap();
    }
    assert!(imported.foreseen() > 0, "nothing of {} blocks", blocks.len());
    verify(&made);
}

#[test]
fn a_block_that_turns_out_invalid_leaves_nothing_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (txs, blocks) = plain(&folder.path().join("plain"), 5);
    let engine = engine();
    let mut chain = create(&folder.path().join("streamed"), RootStreaming::Always);
    let wrong: [fn(&mut Block); 3] = [
        |block| block.header.gas_used += 1,
        |block| block.header.state_root = B256::ZERO,
        |block| block.header.receipts_root = B256::ZERO,
    ];
    for (at, wrong) in wrong.iter().enumerate() {
        let mut bad = blocks.clone();
        wrong(&mut bad[at + 1]);
        let stopped = chain.import_all(&engine, incoming(&txs, &bad).skip(at), &|_| {});
        assert!(matches!(stopped.unwrap_err(), Stopped::Block { .. }));
        assert_eq!(chain.head().hash, blocks[at].header.hash_slow());
    }
    // A transaction that cannot follow, after many that can.
    let mut cut_short = txs[3].clone();
    cut_short.extend(txs[0].last().cloned());
    let attributes = attributes(&chain);
    assert!(chain.build(&engine, attributes, cut_short).is_err());
    let next = &blocks[chain.head().number as usize..];
    assert_eq!(build(&mut chain, &engine, &txs[3]), next[0]);
    assert_eq!(build(&mut chain, &engine, &txs[4]), next[1]);
    verify(&chain);
}

#[test]
fn a_proposal_that_is_dropped_leaves_nothing_for_what_comes_instead() {
    let folder = tempfile::tempdir().unwrap();
    let (txs, blocks) = plain(&folder.path().join("plain"), 3);
    let engine = engine();
    let mut chain = create(&folder.path().join("streamed"), RootStreaming::Always);
    assert_eq!(build(&mut chain, &engine, &txs[0]), blocks[0]);
    let mut users = Users::new();
    users.block(0);
    let others = users.block(77).into_iter().map(Into::into).collect();
    drop(chain.propose_next(&engine, &attributes(&chain), others).unwrap());
    // Going back, and forth, is as exact as going on.
    chain.unwind(0).unwrap();
    verify(&chain);
    for (txs, block) in txs.iter().zip(&blocks) {
        let others = Users { next: 100, ..users.clone() }.block(55);
        let others = others.into_iter().map(Into::into).collect();
        drop(chain.propose_next(&engine, &attributes(&chain), others).unwrap());
        assert_eq!(build(&mut chain, &engine, txs), *block);
    }
    verify(&chain);
}
