//! A chain with a contract that counts, whose blocks are the same on every node.

use crate::setup::{Dev, call, create, signed, start_as};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U256, bytes};
use revm::Database;
use std::time::{Duration, Instant};
use warpline_executor::{ExecStats, ParentState};
use warpline_node::{MineOptions, NodeConfig};
use warpline_storage::BlockRef;
use warpline_txpool::Origin;

/// Deploys a contract that counts calls in the slot that they name: 0, `calldataload`, `dup1`,
/// `sload`, 1, `add`, `swap1`, `sstore`.
const COUNTER: Bytes = bytes!("600a8060095f395ff35f358054600101905500");

const SOON: Duration = Duration::from_secs(60);

/// Its blocks have times of their own.
pub(crate) struct Chain {
    pub(crate) dev: Dev,
    time: u64,
}

impl Chain {
    pub(crate) fn new(config: NodeConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = create(&folder.path().join("db"), true);
        Self { dev: start_as(chain, folder, config), time: 2_000_000_000 }
    }

    pub(crate) fn mine(&mut self) -> BlockRef {
        self.time += 12;
        self.dev.node.mine(&MineOptions { timestamp: Some(self.time) }).unwrap()
    }

    pub(crate) fn submit(&self, from: usize, tx: TxEip1559) {
        let raw = signed(&self.dev.signer(from), tx);
        self.dev.node.submit(&raw, Origin::Local).unwrap();
    }

    /// Has a sender count once in a slot.
    pub(crate) fn count(&self, from: usize, nonce: u64, contract: Address, slot: u64) {
        self.submit(from, counting(nonce, contract, slot));
    }

    pub(crate) fn deploy(&mut self) -> Address {
        let from = self.dev.signer(0).address();
        let nonce = self.dev.nonce(from);
        let create = TxEip1559 { nonce, to: TxKind::Create, input: COUNTER, ..call() };
        self.submit(0, create);
        self.mine();
        from.create(nonce)
    }

    /// How often was counted in a slot.
    pub(crate) fn counted(&self, contract: Address, slot: u64) -> U256 {
        let state = self.dev.node.view().latest().unwrap();
        state.open().storage(contract, U256::from(slot)).unwrap()
    }

    /// How a block was executed.
    pub(crate) fn stats(&self, block: &BlockRef) -> ExecStats {
        self.dev.node.report(block).unwrap().unwrap().stats
    }
}

/// A call that counts in a slot.
pub(crate) fn counting(nonce: u64, contract: Address, slot: u64) -> TxEip1559 {
    let input = U256::from(slot).to_be_bytes::<32>().into();
    TxEip1559 { nonce, to: TxKind::Call(contract), input, ..call() }
}

/// Waits for something that happens in the background.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
