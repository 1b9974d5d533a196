//! Blocks come when they should, with what they should, and any other node accepts them.

use crate::setup::{CHAIN_ID, ETHER, call, create, signed, start, transfer};
use alloy_consensus::{Block, TxEip1559};
use alloy_primitives::{Address, Bytes, TxHash, TxKind, U256};
use std::{
    sync::mpsc,
    time::{Duration, Instant},
};
use warpline_chain::{Engine, Imported, verify_state};
use warpline_node::{DevAccountEdit, MineOptions, Mining, ProposeOptions};
use warpline_trie::TrieConfig;
use warpline_txpool::Origin;

const TO: Address = Address::repeat_byte(0x77);
const SOON: Duration = Duration::from_secs(60);

#[test]
fn what_arrives_is_mined_at_once_and_found_by_everybody() {
    let dev = start(Mining::Instant);
    let mut heads = dev.node.new_heads();
    let mut pending = dev.node.new_pending();
    let raw = transfer(&dev.signer(0), 0, TO, ETHER);
    let added = dev.node.submit(&raw, Origin::Local).unwrap();
    assert!(dev.node.wait_mined(&added.hash, SOON));
    assert_eq!(dev.balance(TO), ETHER);
    assert_eq!(pending.try_recv().unwrap().0[0].hash(), added.hash);
    let head = heads.try_recv().unwrap();
    assert_eq!((head.block.number, head.block), (1, dev.node.view().head()));
    let state = dev.node.view().at(1).unwrap();
    let found = state.reader().unwrap().transaction_position(&added.hash).unwrap();
    assert_eq!(found, Some((1, 0)));
    dev.node.shutdown().unwrap();
    assert!(dev.node.mine(&MineOptions::default()).is_err());
}

#[test]
fn every_sender_has_all_transactions_in_order_whatever_order_they_arrive_in() {
    let dev = start(Mining::Instant);
    let mut hashes: Vec<TxHash> = Vec::new();
    std::thread::scope(|scope| {
        let sender = |from: usize| {
            let dev = &dev;
            move || {
                let mut hashes = Vec::new();
                for nonce in (0..60).map(|at: u64| at ^ 3) {
                    let raw = transfer(&dev.signer(from), nonce, TO, U256::from(1));
                    hashes.push(dev.node.submit(&raw, Origin::Local).unwrap().hash);
                }
                hashes
            }
        };
        let senders: Vec<_> = (0..4).map(|from| scope.spawn(sender(from))).collect();
        senders.into_iter().for_each(|sender| hashes.extend(sender.join().unwrap()));
    });
    for hash in &hashes {
        assert!(dev.node.wait_mined(hash, SOON));
    }
    assert_eq!(dev.balance(TO), U256::from(240));
    assert!((0..4).all(|from| dev.nonce(dev.signer(from).address()) == 60));
    let state = dev.node.view().latest().unwrap();
    let reader = state.reader().unwrap();
    let mut seen: Vec<_> =
        hashes.iter().map(|hash| reader.transaction_position(hash).unwrap().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 240);
}

#[test]
fn what_is_taken_in_is_waited_for_without_a_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let dev = start(Mining::Instant);
    let (reply, replies) = mpsc::channel();
    for (from, nonce) in (0..10).flat_map(|from| (0..5).map(move |nonce| (from, nonce))) {
        let raw = transfer(&dev.signer(from), nonce, TO, U256::from(1));
        let reply = reply.clone();
        let reply = Box::new(move |result| reply.send(result).unwrap());
        dev.node.take_in(raw, Origin::Local, reply).unwrap();
    }
    drop(reply);
    let hashes: Vec<TxHash> = replies.iter().map(|added| added.unwrap().hash).collect();
    assert_eq!(hashes.len(), 50);
    for hash in &hashes {
        assert!(runtime.block_on(dev.node.mined(hash, SOON)));
    }
    assert_eq!(dev.balance(TO), U256::from(50));

    dev.node.set_mining(Mining::Manual);
    let raw = transfer(&dev.signer(0), 5, TO, U256::from(1));
    let hash = dev.node.submit(&raw, Origin::Local).unwrap().hash;
    assert!(!runtime.block_on(dev.node.mined(&hash, Duration::from_millis(1))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime.block_on(dev.node.mined(&hash, SOON)));
        dev.node.pool().remove(&hash);
        assert!(waiting.join().unwrap(), "it has left the pool without a block");
    });
}

#[test]
fn the_blocks_are_valid_to_any_other_node_and_the_database_verifies() {
    let dev = start(Mining::Manual);
    for round in 0..5_u64 {
        for from in 0..10 {
            let raw = transfer(&dev.signer(from), round, TO, U256::from(round));
            dev.node.submit(&raw, Origin::External).unwrap();
        }
        dev.node.mine(&MineOptions::default()).unwrap();
    }
    let mut blocks = Vec::new();
    let state = dev.node.view().latest().unwrap();
    let reader = state.reader().unwrap();
    for number in 1..=5 {
        let (header, _) = reader.header(number).unwrap().unwrap();
        let body = reader.body(number).unwrap().unwrap();
        assert_eq!(body.transactions.len(), 10);
        blocks.push(Block { header, body });
    }
    let folder = tempfile::tempdir().unwrap();
    let mut other = create(&folder.path().join("db"), false);
    for block in blocks {
        assert_eq!(other.import(&Engine::Sequential, block).unwrap(), Imported::Head);
    }
    assert_eq!(other.head(), dev.node.view().head());
    drop(reader);
    drop(state);
    let folder = dev.close();
    let options = warpline_storage::StorageOptions::default();
    let path = folder.path().join("db");
    let storage = warpline_storage::Storage::open(&path, options, None).unwrap();
    let report = verify_state(&storage, &TrieConfig::default(), 8).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.block.number, 5);
}

/// Sends all that it has to whoever calls it.
const EMPTIES_ITSELF: [u8; 11] = [0x5f, 0x5f, 0x5f, 0x5f, 0x47, 0x33, 0x61, 0xff, 0xff, 0xf1, 0x00];

#[test]
fn transactions_that_become_invalid_in_a_block_drop_out_without_spoiling_it() {
    // One victim is found by executing again, many by executing in order.
    for victims in [1, 6] {
        let dev = start(Mining::Manual);
        let code = [&[0xef, 0x01, 0x00][..], Address::repeat_byte(0xcc).as_slice()].concat();
        let delegated = |_| DevAccountEdit {
            balance: Some(ETHER),
            code: Some(code.clone().into()),
            ..DevAccountEdit::default()
        };
        let keys: Vec<_> =
            (0..victims).map(|_| alloy_signer_local::PrivateKeySigner::random()).collect();
        let accounts = keys.iter().enumerate().map(|(at, key)| (key.address(), delegated(at)));
        let contract = DevAccountEdit {
            code: Some(Bytes::from_static(&EMPTIES_ITSELF)),
            ..DevAccountEdit::default()
        };
        let contract = (Address::repeat_byte(0xcc), contract);
        dev.node.edit_accounts(accounts.chain([contract])).unwrap();
        let send = |from: &_, tx| dev.node.submit(&signed(from, tx), Origin::Local).unwrap().hash;
        let (mut lost, mut mined) = (Vec::new(), Vec::new());
        for (victim, nonce) in keys.iter().zip(0..) {
            let to = TxKind::Call(TO);
            lost.push(send(victim, TxEip1559 { to, ..call() }));
            let to = TxKind::Call(victim.address());
            let max_priority_fee_per_gas = 2_000_000_000;
            let thief = TxEip1559 { to, nonce, max_priority_fee_per_gas, ..call() };
            mined.push(send(&dev.signer(0), thief));
        }
        let tx = TxEip1559 { to: TxKind::Call(TO), value: ETHER, ..call() };
        mined.push(send(&dev.signer(1), tx));
        dev.node.mine(&MineOptions::default()).unwrap();
        let state = dev.node.view().latest().unwrap();
        let reader = state.reader().unwrap();
        for hash in mined {
            assert!(reader.transaction_position(&hash).unwrap().is_some());
        }
        for hash in lost {
            assert_eq!(reader.transaction_position(&hash).unwrap(), None);
            assert!(!dev.node.pool().contains(&hash));
        }
        assert_eq!(dev.balance(TO), ETHER);
    }
}

#[test]
fn a_block_holds_no_more_gas_than_its_limit_and_the_rest_follows() {
    let dev = start(Mining::Manual);
    for nonce in 0..8 {
        let tx = TxEip1559 { nonce, gas_limit: 8_000_000, to: TxKind::Call(TO), ..call() };
        dev.node.submit(&signed(&dev.signer(0), tx), Origin::Local).unwrap();
    }
    let mut counts = Vec::new();
    for number in 1..=3 {
        dev.node.mine(&MineOptions::default()).unwrap();
        let state = dev.node.view().latest().unwrap();
        counts.push(state.reader().unwrap().body(number).unwrap().unwrap().transactions.len());
    }
    assert_eq!(counts, [3, 3, 2]);
}

#[test]
fn blocks_come_at_intervals_with_or_without_transactions() {
    let dev = start(Mining::Interval(Duration::from_millis(50)));
    let start = Instant::now();
    while dev.node.view().head().number < 4 {
        assert!(start.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(start.elapsed() >= Duration::from_millis(150));
    dev.node.set_mining(Mining::Manual);
    std::thread::sleep(Duration::from_millis(120));
    let head = dev.node.view().head();
    std::thread::sleep(Duration::from_millis(120));
    assert_eq!(dev.node.view().head(), head);
}

#[test]
fn a_proposal_changes_nothing_and_has_the_root_that_the_block_gets() {
    let dev = start(Mining::Manual);
    let raw = transfer(&dev.signer(3), 0, TO, ETHER);
    dev.node.submit(&raw, Origin::Local).unwrap();
    let options = ProposeOptions { timestamp: Some(4_000_000_000), ..Default::default() };
    let proposal = dev.node.propose(options).unwrap();
    assert_eq!(proposal.block.body.transactions.len(), 1);
    assert_eq!((dev.node.view().head().number, dev.node.pool().status()), (0, (1, 0)));
    dev.node.mine(&MineOptions { timestamp: Some(4_000_000_000) }).unwrap();
    assert_eq!(dev.node.view().head().hash, proposal.block.header.hash_slow());
}

#[test]
fn words_for_wrong_transactions_come_from_the_pool() {
    let dev = start(Mining::Manual);
    let wrong_chain = TxEip1559 { chain_id: CHAIN_ID + 1, to: TxKind::Call(TO), ..call() };
    let raw = signed(&dev.signer(0), wrong_chain);
    let error = dev.node.submit(&raw, Origin::Local).unwrap_err().to_string();
    assert!(error.contains("invalid chain id"), "{error}");
    assert!(dev.node.submit(&Bytes::from_static(&[1, 2, 3]), Origin::Local).is_err());
}
