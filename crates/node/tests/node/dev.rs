//! What callers of a development chain do to it holds, ends where it should, and verifies.

use crate::setup::{ETHER, start, transfer};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::Database;
use warpline_chain::verify_state;
use warpline_executor::ParentState;
use warpline_node::{DevAccountEdit, MineOptions, Mining};
use warpline_trie::TrieConfig;
use warpline_txpool::Origin;

const A: Address = Address::repeat_byte(0xa1);
const B: Address = Address::repeat_byte(0xb2);

fn rich(balance: U256) -> DevAccountEdit {
    DevAccountEdit { balance: Some(balance), ..DevAccountEdit::default() }
}

#[test]
fn edits_are_seen_at_once_and_are_part_of_the_next_block() {
    let dev = start(Mining::Manual);
    let code = Bytes::from_static(&[0x60, 0x00, 0x54, 0x60, 0x01, 0x01, 0x60, 0x00, 0x55]);
    let counter = DevAccountEdit {
        nonce: Some(1),
        code: Some(code.clone()),
        slots: vec![(U256::ZERO, U256::from(41))],
        ..DevAccountEdit::default()
    };
    dev.node.edit_accounts([(A, counter), (B, rich(ETHER))]).unwrap();
    assert_eq!(dev.balance(B), ETHER);
    // The contract counts on from what was set.
    let raw = transfer(&dev.signer(0), 0, A, U256::ZERO);
    dev.node.submit(&raw, Origin::Local).unwrap();
    dev.node.mine(&MineOptions::default()).unwrap();
    let state = dev.node.view().latest().unwrap();
    let mut db = state.open();
    assert_eq!(db.storage(A, U256::ZERO).unwrap(), U256::from(42));
    let hash = db.basic(A).unwrap().unwrap().code_hash;
    assert_eq!(db.code_by_hash(hash).unwrap().original_bytes(), code);
    // The state before the block knows nothing of it.
    let before = dev.node.view().at(0).unwrap();
    assert!(before.open().basic(A).unwrap().is_none());
    drop(db);
    drop((state, before));
    let folder = dev.close();
    let options = warpline_storage::StorageOptions::default();
    let path = folder.path().join("db");
    let storage = warpline_storage::Storage::open(&path, options, None).unwrap();
    let report = verify_state(&storage, &TrieConfig::default(), 8).unwrap();
    assert_eq!((report.problems, report.block.number), (Vec::new(), 1));
}

#[test]
fn a_snapshot_brings_back_state_head_pool_and_time() {
    let dev = start(Mining::Manual);
    dev.node.edit_accounts([(A, rich(ETHER))]).unwrap();
    let waiting = transfer(&dev.signer(1), 0, B, U256::from(5));
    let waiting = dev.node.submit(&waiting, Origin::Local).unwrap();
    let (head, outer) = (dev.node.view().head(), dev.node.snapshot().unwrap());
    dev.node.mine(&MineOptions::default()).unwrap();
    let inner = dev.node.snapshot().unwrap();
    dev.node.edit_accounts([(A, rich(U256::ZERO))]).unwrap();
    for nonce in 0..3 {
        let raw = transfer(&dev.signer(0), nonce, B, ETHER);
        dev.node.submit(&raw, Origin::Local).unwrap();
        dev.node.mine(&MineOptions::default()).unwrap();
    }
    assert_eq!(dev.balance(B), U256::from(3) * ETHER + U256::from(5));
    assert!(dev.node.revert(inner).unwrap());
    assert_eq!((dev.balance(B), dev.balance(A)), (U256::from(5), ETHER));
    assert!(dev.node.revert(outer).unwrap());
    assert_eq!((dev.node.view().head(), dev.balance(A), dev.balance(B)), (head, ETHER, U256::ZERO));
    assert!(dev.node.pool().contains(&waiting.hash));
    assert!(!dev.node.revert(outer).unwrap() && !dev.node.revert(inner).unwrap());
    dev.node.mine(&MineOptions::default()).unwrap();
    assert_eq!(dev.balance(B), U256::from(5));
}

#[test]
fn anybody_can_be_impersonated_even_a_contract() {
    let dev = start(Mining::Manual);
    let contract = DevAccountEdit {
        balance: Some(ETHER),
        code: Some(Bytes::from_static(&[0x00])),
        ..DevAccountEdit::default()
    };
    dev.node.edit_accounts([(A, contract)]).unwrap();
    dev.node.impersonate(A, true).unwrap();
    assert!(dev.node.is_impersonated(&A).unwrap() && !dev.node.is_impersonated(&B).unwrap());
    let raw = transfer(&dev.signer(0), 0, B, U256::from(9));
    let tx = warpline_txpool::decode(&raw).unwrap();
    let tx = Recovered::new_unchecked(tx, A);
    dev.node.pool().add_recovered(tx, Origin::Impersonated).unwrap();
    dev.node.mine(&MineOptions::default()).unwrap();
    assert_eq!((dev.balance(B), dev.nonce(A)), (U256::from(9), 1));
}

#[test]
fn callers_choose_time_fee_limit_and_randomness_of_the_next_block() {
    let dev = start(Mining::Manual);
    dev.node.set_next_timestamp(5_000_000_000).unwrap();
    assert!(dev.node.set_next_timestamp(1).is_err());
    dev.node.set_next_base_fee(7).unwrap();
    dev.node.set_gas_limit(123_456_789).unwrap();
    dev.node.set_prev_randao(B256::repeat_byte(3)).unwrap();
    dev.node.set_coinbase(B).unwrap();
    dev.node.mine(&MineOptions::default()).unwrap();
    let header = |number| {
        let state = dev.node.view().latest().unwrap();
        state.reader().unwrap().header(number).unwrap().unwrap().0
    };
    let first = header(1);
    assert_eq!((first.timestamp, first.base_fee_per_gas), (5_000_000_000, Some(7)));
    assert_eq!((first.gas_limit, first.beneficiary), (123_456_789, B));
    assert_eq!(first.mix_hash, B256::repeat_byte(3));
    dev.node.increase_time(100).unwrap();
    dev.node.mine(&MineOptions::default()).unwrap();
    let second = header(2);
    assert!(second.timestamp >= 5_000_000_100 && second.timestamp < 5_000_010_000);
    assert_eq!(second.gas_limit, 123_456_789);
    assert_ne!(second.mix_hash, B256::repeat_byte(3));
}

#[test]
fn a_reset_leaves_the_genesis_block_only() {
    let dev = start(Mining::Manual);
    let genesis = dev.node.view().head();
    for nonce in 0..3 {
        let raw = transfer(&dev.signer(0), nonce, B, ETHER);
        dev.node.submit(&raw, Origin::Local).unwrap();
        dev.node.mine(&MineOptions::default()).unwrap();
    }
    dev.node.edit_accounts([(A, rich(ETHER))]).unwrap();
    let mut heads = dev.node.new_heads();
    dev.node.reset(0).unwrap();
    assert_eq!(
        (dev.node.view().head(), dev.balance(A), dev.balance(B)),
        (genesis, U256::ZERO, U256::ZERO)
    );
    assert_eq!(heads.try_recv().unwrap().dropped.len(), 3);
    assert_eq!(dev.nonce(dev.signer(0).address()), 0);
}
