//! The pending block is the block that is made next.

use crate::setup::{Dev, ETHER, create_on, genesis, start, start_on, transfer};
use alloy_primitives::{Address, B256, U256};
use revm::Database;
use std::sync::Arc;
use warpline_chain::ProposedBlock;
use warpline_executor::ParentState;
use warpline_node::{DevAccountEdit, MineOptions, Mining, Node};
use warpline_txpool::Origin;

const A: Address = Address::repeat_byte(0xa1);
const B: Address = Address::repeat_byte(0xb2);

fn pending(node: &Node) -> Arc<ProposedBlock> {
    node.pending().unwrap().unwrap()
}

fn balance(node: &Node, address: Address) -> U256 {
    let state = node.view().after(&pending(node)).unwrap().unwrap();
    let account = state.open().basic(address).unwrap();
    account.map_or(U256::ZERO, |account| account.balance)
}

fn send(dev: &Dev, from: usize, nonce: u64, value: U256) -> B256 {
    let raw = transfer(&dev.signer(from), nonce, A, value);
    dev.node.submit(&raw, Origin::External).unwrap().hash
}

fn give(dev: &Dev, address: Address, balance: U256) {
    let edit = DevAccountEdit { balance: Some(balance), ..DevAccountEdit::default() };
    dev.node.edit_accounts([(address, edit)]).unwrap();
}

#[test]
fn what_is_pending_is_mined_to_the_last_bit() {
    let dev = start(Mining::Manual);
    for round in 0..4_u64 {
        give(&dev, B, U256::from(round) * ETHER);
        for from in 0..5 {
            send(&dev, from, 2 * round, ETHER);
            send(&dev, from, 2 * round + 1, U256::from(from));
        }
        dev.node.set_next_timestamp(2_000_000_000 + round).unwrap();
        let pending = pending(&dev.node);
        assert_eq!(pending.body.transactions.len(), 10);
        let state = dev.node.view().after(&pending).unwrap().unwrap();
        assert_eq!(state.block(), pending.parent());
        let mined = dev.node.mine(&MineOptions::default()).unwrap();
        assert_eq!((mined.hash, mined.number), (pending.hash, pending.header.number));
        // The state is held open, and still that after the block.
        let (mut before, latest) = (state.open(), dev.node.view().latest().unwrap());
        for address in [A, B, dev.signer(0).address(), Address::ZERO] {
            assert_eq!(before.basic(address).unwrap(), latest.open().basic(address).unwrap());
        }
        let stored = latest.reader().unwrap().receipts(mined.number).unwrap().unwrap();
        assert_eq!(stored, pending.receipts);
        assert!(dev.node.view().after(&pending).unwrap().is_none(), "it is of the chain now");
    }
}

#[test]
fn it_follows_the_pool_and_whatever_the_next_block_is_to_be_like() {
    let dev = start(Mining::Manual);
    let node = &dev.node;
    node.set_next_timestamp(2_000_000_000).unwrap();
    let mut last = pending(node);
    assert!(last.body.transactions.is_empty());
    let mut changed = |what: &str| {
        let now = pending(node);
        assert_ne!(now.hash, last.hash, "{what}");
        last = now;
        Arc::clone(&last)
    };
    let hash = send(&dev, 0, 0, ETHER);
    assert_eq!(changed("a transaction").body.transactions.len(), 1);
    assert_eq!(balance(node, A), ETHER);
    assert_eq!(dev.balance(A), U256::ZERO, "the latest state has nothing of it");
    send(&dev, 1, 0, ETHER);
    assert_eq!(changed("another").body.transactions.len(), 2);
    node.pool().remove(&hash).unwrap();
    assert_eq!(changed("one that left").body.transactions.len(), 1);
    give(&dev, B, ETHER);
    changed("an account");
    assert_eq!(balance(node, B), ETHER);
    node.set_next_timestamp(2_000_000_007).unwrap();
    assert_eq!(changed("the time").header.timestamp, 2_000_000_007);
    node.set_coinbase(B).unwrap();
    assert_eq!(changed("who gets the fees").header.beneficiary, B);
    assert!(balance(node, B) > ETHER);
    node.set_next_base_fee(7).unwrap();
    assert_eq!(changed("the base fee").header.base_fee_per_gas, Some(7));
    node.set_gas_limit(1_000_000).unwrap();
    assert_eq!(changed("the gas limit").header.gas_limit, 1_000_000);
    node.set_prev_randao(B256::repeat_byte(5)).unwrap();
    assert_eq!(changed("the randomness").header.mix_hash, B256::repeat_byte(5));
    node.set_min_tip(u128::MAX).unwrap();
    assert!(changed("the smallest tip").body.transactions.is_empty());
    node.mine(&MineOptions::default()).unwrap();
    assert_eq!(changed("the head").parent(), node.view().head());
    assert!(node.snapshot().is_ok() && node.set_min_tip(0).is_ok());
    node.reset(0).unwrap();
    assert_eq!(changed("the way back").header.number, 1);
}

#[test]
fn many_who_ask_at_once_see_one_block_each_time() {
    let dev = start(Mining::Manual);
    for round in 0..20 {
        send(&dev, 0, round, ETHER);
        std::thread::scope(|scope| {
            let ask = || balance(&dev.node, A);
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            for asking in asking {
                assert_eq!(asking.join().unwrap(), ETHER * U256::from(round + 1));
            }
        });
    }
}

#[test]
fn it_is_seen_while_blocks_are_made() {
    let dev = start(Mining::Instant);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for nonce in 0..100 {
                send(&dev, 0, nonce, U256::from(1));
            }
        });
        let mut most = U256::ZERO;
        while !sending.is_finished() || most < U256::from(100) {
            let block = pending(&dev.node);
            // The chain may have moved on between the two.
            if let Some(state) = dev.node.view().after(&block).unwrap() {
                let account = state.open().basic(A).unwrap();
                let now = account.map_or(U256::ZERO, |account| account.balance);
                assert!(now >= most, "what was pending is pending or mined: {now} after {most}");
                most = now;
            }
        }
        sending.join().unwrap();
    });
    assert_eq!(balance(&dev.node, A), U256::from(100));
}

#[test]
fn before_the_merge_nothing_is_pending() {
    let mut genesis = genesis();
    genesis.config.terminal_total_difficulty = Some(U256::from(1_000_000));
    genesis.config.terminal_total_difficulty_passed = false;
    for time in [
        &mut genesis.config.shanghai_time,
        &mut genesis.config.cancun_time,
        &mut genesis.config.prague_time,
        &mut genesis.config.osaka_time,
        &mut genesis.config.bpo1_time,
        &mut genesis.config.bpo2_time,
    ] {
        *time = None;
    }
    let folder = tempfile::tempdir().unwrap();
    let chain = create_on(genesis, &folder.path().join("db"), true);
    let dev = start_on(chain, folder, Mining::Manual);
    assert!(dev.node.pending().unwrap().is_none());
}
