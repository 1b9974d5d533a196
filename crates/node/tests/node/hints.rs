//! Blocks are executed by what their transactions are expected to touch, and are the same without.

use crate::setup::{Dev, call, create, signed, start_with, transfer};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, bytes};
use std::time::{Duration, Instant};
use warpline_node::{MineOptions, Mining, PredictorConfig};
use warpline_txpool::Origin;

/// Deploys a contract that counts calls in the slot that they name: 0, `calldataload`, `dup1`,
/// `sload`, 1, `add`, `swap1`, `sstore`.
const COUNTER: Bytes = bytes!("600a8060095f395ff35f358054600101905500");

const SOON: Duration = Duration::from_secs(60);

fn node(hints: bool) -> Dev {
    let folder = tempfile::tempdir().unwrap();
    let chain = create(&folder.path().join("db"), true);
    let predictor = PredictorConfig { hints, rest: 0, ..PredictorConfig::default() };
    start_with(chain, folder, Mining::Manual, Some(predictor))
}

/// A chain whose blocks have times of their own, the same on every node.
struct Chain {
    dev: Dev,
    time: u64,
}

impl Chain {
    fn new(hints: bool) -> Self {
        Self { dev: node(hints), time: 2_000_000_000 }
    }

    fn mine(&mut self) -> B256 {
        self.time += 12;
        let options = MineOptions { timestamp: Some(self.time) };
        self.dev.node.mine(&options).unwrap().hash
    }

    fn submit(&self, from: usize, nonce: u64, to: TxKind, input: Bytes) {
        let raw = signed(&self.dev.signer(from), TxEip1559 { nonce, to, input, ..call() });
        self.dev.node.submit(&raw, Origin::Local).unwrap();
    }

    fn deploy(&mut self) -> Address {
        let from = self.dev.signer(0).address();
        let nonce = self.dev.nonce(from);
        self.submit(0, nonce, TxKind::Create, COUNTER);
        self.mine();
        from.create(nonce)
    }

    fn learned(&self, blocks: u64) {
        let end = Instant::now() + SOON;
        while self.dev.node.predictor().unwrap().stats().blocks < blocks {
            assert!(Instant::now() < end, "nothing was learned");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn expected(&self) -> u64 {
        self.dev.node.predictor().unwrap().stats().expected
    }
}

fn slot(number: usize) -> Bytes {
    U256::from(number).to_be_bytes::<32>().into()
}

#[test]
fn blocks_are_the_same_with_and_without_hints() {
    let (mut with, mut without) = (Chain::new(true), Chain::new(false));
    let contract = with.deploy();
    assert_eq!(without.deploy(), contract);
    for round in 0..8_u64 {
        for chain in [&with, &without] {
            for from in 1..10 {
                let first = chain.dev.nonce(chain.dev.signer(from).address());
                // All meet at one slot in one round, and at a few in the next.
                let places = 1 + round as usize % 4;
                for nonce in first..first + 3 {
                    chain.submit(from, nonce, TxKind::Call(contract), slot(from % places));
                }
            }
        }
        assert_eq!(with.mine(), without.mine(), "round {round}");
        with.learned(round + 2);
    }
    assert_eq!((with.expected(), without.expected()), (8 * 27, 0));
    with.dev.close();
    without.dev.close();
}

#[test]
fn what_cannot_meet_is_not_predicted() {
    let mut chain = Chain::new(true);
    let contract = chain.deploy();
    chain.submit(1, 0, TxKind::Call(contract), slot(0));
    let raw = transfer(&chain.dev.signer(2), 0, contract, U256::ZERO);
    chain.dev.node.submit(&raw, Origin::Local).unwrap();
    chain.mine();
    for from in 3..8 {
        let raw = transfer(&chain.dev.signer(from), 0, Address::repeat_byte(9), U256::ONE);
        chain.dev.node.submit(&raw, Origin::Local).unwrap();
    }
    chain.mine();
    assert_eq!(chain.expected(), 0);
    chain.submit(1, 1, TxKind::Call(contract), slot(0));
    chain.submit(2, 1, TxKind::Call(contract), slot(1));
    chain.mine();
    assert_eq!(chain.expected(), 2);
    chain.dev.close();
}
