//! Blocks are executed by what their transactions are expected to touch, and are the same without.

use crate::{
    counter::{Chain, until},
    setup::{config, transfer},
};
use alloy_primitives::{Address, U256};
use warpline_node::{NodeConfig, PredictorConfig};
use warpline_txpool::Origin;

fn chain(hints: bool) -> Chain {
    let predictor = PredictorConfig { hints, rest: 0, ..PredictorConfig::default() };
    Chain::new(NodeConfig { predictor: Some(predictor), early: false, ..config() })
}

fn expected(chain: &Chain) -> u64 {
    chain.dev.node.predictor().unwrap().stats().expected
}

#[test]
fn blocks_are_the_same_with_and_without_hints() {
    let (mut with, mut without) = (chain(true), chain(false));
    let contract = with.deploy();
    assert_eq!(without.deploy(), contract);
    for round in 0..8 {
        for chain in [&with, &without] {
            for from in 1..10 {
                let first = chain.dev.nonce(chain.dev.signer(from).address());
                // All meet at one slot in one round, and at a few in the next.
                let slot = from as u64 % (1 + round % 4);
                for nonce in first..first + 3 {
                    chain.count(from, nonce, contract, slot);
                }
            }
        }
        assert_eq!(with.mine(), without.mine(), "round {round}");
        let learned = || with.dev.node.predictor().unwrap().stats().blocks;
        until("the predictor learns", || learned() >= round + 2);
    }
    assert_eq!((expected(&with), expected(&without)), (8 * 27, 0));
    with.dev.close();
    without.dev.close();
}

#[test]
fn what_was_executed_early_is_expected_to_do_the_same_and_not_predicted() {
    let predictor = Some(PredictorConfig { rest: 0, ..PredictorConfig::default() });
    let mut with = Chain::new(NodeConfig { predictor, early: true, ..config() });
    let mut without = chain(false);
    let contract = with.deploy();
    assert_eq!(without.deploy(), contract);
    for chain in [&with, &without] {
        (1..10).for_each(|from| chain.count(from, 0, contract, from as u64 % 2));
    }
    until("all are executed early", || with.dev.node.early().unwrap().kept == 9);
    let block = with.mine();
    assert_eq!(without.mine(), block);
    assert_eq!(expected(&with), 0);
    let stats = with.stats(&block);
    assert_eq!((stats.committed_early, stats.outdated_early, stats.re_executions), (2, 7, 0));
    with.dev.close();
    without.dev.close();
}

#[test]
fn what_cannot_meet_is_not_predicted() {
    let mut chain = chain(true);
    let contract = chain.deploy();
    chain.count(1, 0, contract, 0);
    let raw = transfer(&chain.dev.signer(2), 0, contract, U256::ZERO);
    chain.dev.node.submit(&raw, Origin::Local).unwrap();
    chain.mine();
    for from in 3..8 {
        let raw = transfer(&chain.dev.signer(from), 0, Address::repeat_byte(9), U256::ONE);
        chain.dev.node.submit(&raw, Origin::Local).unwrap();
    }
    chain.mine();
    assert_eq!(expected(&chain), 0);
    chain.count(1, 1, contract, 0);
    chain.count(2, 1, contract, 1);
    chain.mine();
    assert_eq!(expected(&chain), 2);
    chain.dev.close();
}
