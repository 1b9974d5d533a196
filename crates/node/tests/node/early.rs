//! What waits is executed before its block is made, and blocks are the same without that.

use crate::{
    counter::{Chain, counting, until},
    setup::config,
};
use alloy_consensus::TxEip1559;
use alloy_primitives::U256;
use std::time::Duration;
use warpline_node::{DevAccountEdit, EarlyStats, Mining, NodeConfig};

fn chain(early: bool) -> Chain {
    Chain::new(NodeConfig { early, ..config() })
}

fn early(chain: &Chain) -> EarlyStats {
    chain.dev.node.early().unwrap()
}

#[test]
fn what_was_executed_while_it_waited_is_not_executed_again() {
    let (mut with, mut without) = (chain(true), chain(false));
    assert!(without.dev.node.early().is_none());
    let contract = with.deploy();
    assert_eq!(without.deploy(), contract);
    for round in 0..4 {
        for chain in [&with, &without] {
            for from in 1..10 {
                for nonce in 2 * round..2 * round + 2 {
                    chain.count(from, nonce, contract, 2 * from as u64 + nonce % 2);
                }
            }
        }
        until("all are executed early", || early(&with).kept == 18);
        let block = with.mine();
        assert_eq!(without.mine(), block, "round {round}");
        let (stats, plain) = (with.stats(&block), without.stats(&block));
        assert_eq!((stats.committed_early, stats.outdated_early, stats.executions), (18, 0, 0));
        assert_eq!((plain.committed_early, plain.outdated_early), (0, 0));
        assert_eq!((early(&with).kept, early(&with).bytes), (0, 0));
    }
    with.dev.close();
    without.dev.close();
}

#[test]
fn an_outcome_that_an_earlier_transaction_of_the_block_changes_is_not_used() {
    let (mut with, mut without) = (chain(true), chain(false));
    let contract = with.deploy();
    without.deploy();
    for chain in [&with, &without] {
        (1..10).for_each(|from| chain.count(from, 0, contract, 0));
    }
    until("all are executed early", || early(&with).kept == 9);
    let block = with.mine();
    assert_eq!(without.mine(), block);
    let stats = with.stats(&block);
    assert_eq!((stats.committed_early, stats.outdated_early), (1, 8));
    assert_eq!(with.counted(contract, 0), U256::from(9));
}

#[test]
fn an_outcome_on_a_state_that_has_changed_is_not_used() {
    let (mut with, mut without) = (chain(true), chain(false));
    let contract = with.deploy();
    without.deploy();
    for chain in [&with, &without] {
        chain.count(1, 0, contract, 0);
        chain.count(2, 0, contract, 1);
    }
    until("both are executed early", || early(&with).kept == 2);
    for chain in [&with, &without] {
        let slots = vec![(U256::ZERO, U256::from(41))];
        let edit = DevAccountEdit { slots, ..DevAccountEdit::default() };
        chain.dev.node.edit_accounts([(contract, edit)]).unwrap();
    }
    let block = with.mine();
    assert_eq!(without.mine(), block);
    let stats = with.stats(&block);
    assert_eq!((stats.committed_early, stats.outdated_early), (1, 1));
    assert_eq!(with.counted(contract, 0), U256::from(42));
}

#[test]
fn what_a_block_in_between_changes_is_executed_early_once_more() {
    let (mut with, mut without) = (chain(true), chain(false));
    let contract = with.deploy();
    without.deploy();
    for chain in [&mut with, &mut without] {
        // So low that it stays the same.
        chain.dev.node.set_next_base_fee(7).unwrap();
        chain.mine();
        // Room for one of two.
        chain.dev.node.set_gas_limit(150_000).unwrap();
    }
    until("the deployment is forgotten", || early(&with).kept == 0);
    let before = early(&with).executions;
    with.count(2, 0, contract, 5);
    without.count(2, 0, contract, 5);
    until("the cheap one is executed early", || early(&with).kept == 1);
    let dear = TxEip1559 { max_priority_fee_per_gas: 5_000_000_000, ..counting(0, contract, 5) };
    with.submit(1, dear.clone());
    without.submit(1, dear);
    until("the dear one is executed early", || early(&with).kept == 2);
    assert_eq!(early(&with).executions, before + 2);
    let block = with.mine();
    assert_eq!(without.mine(), block);
    assert_eq!((with.stats(&block).transactions, with.stats(&block).committed_early), (1, 1));
    until("the cheap one is executed once more", || early(&with).executions == before + 3);
    until("its outcome is there", || early(&with).kept == 1);
    let block = with.mine();
    assert_eq!(without.mine(), block);
    let stats = with.stats(&block);
    assert_eq!((stats.committed_early, stats.outdated_early), (1, 0));
    assert_eq!(with.counted(contract, 5), U256::from(2));
}

#[test]
fn a_node_that_makes_blocks_at_intervals_executes_early() {
    let mut chain = chain(true);
    let contract = chain.deploy();
    let mut heads = chain.dev.node.new_heads();
    chain.dev.node.set_mining(Mining::Interval(Duration::from_millis(100)));
    for nonce in 0.. {
        assert!(nonce < 100, "no outcome was ever used");
        chain.count(1, nonce, contract, nonce);
        until("the next block", || chain.dev.nonce(chain.dev.signer(1).address()) > nonce);
        let mut reports = std::iter::from_fn(|| heads.try_recv().ok());
        if reports.any(|head| head.report.is_some_and(|report| report.stats.committed_early > 0)) {
            break;
        }
    }
    chain.dev.close();
}
