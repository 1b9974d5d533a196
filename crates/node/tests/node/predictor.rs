//! The predictor learns from blocks and from what waits, in the background, and remembers.

use crate::setup::{Dev, call, create, signed, start_on, start_with, transfer};
use alloy_consensus::TxEip1559;
use alloy_eips::eip2718::Decodable2718;
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, Bytes, TxKind, U256, bytes};
use revm::context::TxEnv;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use warpline_executor::EthTransaction;
use warpline_node::{MineOptions, Mining, Predictor, PredictorConfig, PredictorStats};
use warpline_predictor::{AccessHint, Source};
use warpline_txpool::Origin;

/// Deploys a contract that counts the calls of everybody in a slot of their own, whatever they
/// say: `caller`, `sload`, 1, `add`, `caller`, `sstore`.
const TALLY: Bytes = bytes!("60088060095f395ff33354600101335500");

const SOON: Duration = Duration::from_secs(60);

fn learning(memory: usize, file: Option<PathBuf>) -> Option<PredictorConfig> {
    // Without a rest, so that tests need not wait.
    Some(PredictorConfig { memory, file, rest: 0, ..PredictorConfig::default() })
}

/// A node on the chain in a folder, which makes blocks when asked to.
fn node(folder: TempDir, predictor: Option<PredictorConfig>) -> Dev {
    let chain = create(&folder.path().join("db"), true);
    start_with(chain, folder, Mining::Manual, predictor)
}

fn fresh() -> Dev {
    node(tempfile::tempdir().unwrap(), learning(1 << 20, None))
}

fn predictor(dev: &Dev) -> &Predictor {
    dev.node.predictor().unwrap()
}

fn tally_call(dev: &Dev, from: usize, contract: Address, input: Bytes) -> Bytes {
    let from = dev.signer(from);
    let nonce = dev.nonce(from.address());
    signed(&from, TxEip1559 { nonce, to: TxKind::Call(contract), input, ..call() })
}

fn submit(dev: &Dev, raw: &[u8]) {
    dev.node.submit(raw, Origin::Local).unwrap();
}

fn mine(dev: &Dev) {
    dev.node.mine(&MineOptions::default()).unwrap();
}

fn deploy(dev: &Dev) -> Address {
    let from = dev.signer(0);
    let nonce = dev.nonce(from.address());
    submit(dev, &signed(&from, TxEip1559 { nonce, to: TxKind::Create, input: TALLY, ..call() }));
    mine(dev);
    from.address().create(nonce)
}

/// Waits for something to show in the statistics.
#[track_caller]
fn until(dev: &Dev, holds: impl Fn(&PredictorStats) -> bool) -> PredictorStats {
    let end = Instant::now() + SOON;
    loop {
        let stats = predictor(dev).stats();
        if holds(&stats) {
            return stats;
        }
        assert!(Instant::now() < end, "{stats:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn predicted(dev: &Dev, raw: &[u8]) -> AccessHint {
    let tx = EthTransaction::decode_2718_exact(raw).unwrap();
    let sender = alloy_consensus::transaction::SignerRecoverable::recover_signer(&tx).unwrap();
    let tx = TxEnv::from_recovered_tx(&tx, sender);
    let state = dev.node.view().latest().unwrap();
    predictor(dev).predict_next(&tx, dev.node.view(), &state).unwrap()
}

/// Where it is known from that the caller's own slot is written, and nothing else.
#[track_caller]
fn source_of_slot(dev: &Dev, from: usize, contract: Address, hint: &AccessHint) -> Source {
    let own = U256::from_be_bytes(dev.signer(from).address().into_word().0);
    let [slot] = hint.slots() else { panic!("{hint:?}") };
    assert_eq!((slot.address, slot.slot, slot.written), (contract, own, true));
    slot.source
}

/// Whether an execution taught that, and not the bytecode alone.
fn knows_the_slot(dev: &Dev, from: usize, contract: Address, hint: &AccessHint) -> bool {
    matches!(source_of_slot(dev, from, contract, hint), Source::Template(_))
}

#[test]
fn what_a_block_did_is_expected_of_others_afterwards() {
    let dev = fresh();
    let contract = deploy(&dev);
    until(&dev, |stats| stats.blocks == 1);
    let later = tally_call(&dev, 3, contract, Bytes::new());
    let before = predicted(&dev, &later);
    assert!(matches!(source_of_slot(&dev, 3, contract, &before), Source::Bytecode(_)));
    assert_eq!(before.gaps.unseen_code, 1);
    submit(&dev, &tally_call(&dev, 1, contract, Bytes::new()));
    submit(&dev, &tally_call(&dev, 2, contract, Bytes::new()));
    mine(&dev);
    let stats = until(&dev, |stats| stats.blocks == 2);
    assert!(knows_the_slot(&dev, 3, contract, &predicted(&dev, &later)));
    // The second caller was predicted from what the first taught, the first from the bytecode that
    // was read when somebody asked.
    assert_eq!(
        (stats.score.transactions, stats.score.slots.hits, stats.score.slots.missed),
        (3, 2, 0)
    );
    assert_eq!((stats.functions, stats.scored_blocks, stats.failures), (1, 2, 0));
    dev.close();
}

#[test]
fn blocks_of_plain_transfers_are_not_looked_at() {
    let dev = fresh();
    for nonce in 0..3 {
        submit(&dev, &transfer(&dev.signer(5), nonce, Address::repeat_byte(7), U256::ONE));
        mine(&dev);
    }
    mine(&dev);
    deploy(&dev);
    let stats = until(&dev, |stats| stats.blocks > 0);
    assert_eq!((stats.blocks, stats.score.transactions, stats.dropped_blocks), (1, 1, 0));
    dev.close();
}

#[test]
fn what_waits_is_tried_out_where_its_prediction_has_gaps() {
    let dev = fresh();
    let contract = deploy(&dev);
    submit(&dev, &tally_call(&dev, 1, contract, bytes!("01020304")));
    until(&dev, |stats| stats.trials == 1);
    let later = tally_call(&dev, 2, contract, bytes!("01020304"));
    let end = Instant::now() + SOON;
    while !knows_the_slot(&dev, 2, contract, &predicted(&dev, &later)) {
        assert!(Instant::now() < end, "the trial taught nothing");
    }
    assert_eq!(dev.node.view().head().number, 1);
    // Known now, and not tried out again.
    submit(&dev, &later);
    submit(&dev, &tally_call(&dev, 3, contract, bytes!("05")));
    mine(&dev);
    until(&dev, |stats| stats.blocks == 2);
    assert_eq!(predictor(&dev).stats().trials, 1);
    dev.close();
}

/// A node that has learned, ended, and its folder.
fn taught(file: &Path) -> (TempDir, Address) {
    let dev = node(tempfile::tempdir().unwrap(), learning(1 << 20, Some(file.to_owned())));
    let contract = deploy(&dev);
    submit(&dev, &tally_call(&dev, 1, contract, Bytes::new()));
    mine(&dev);
    until(&dev, |stats| stats.blocks == 2);
    (dev.close(), contract)
}

#[test]
fn knowledge_outlives_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictor");
    let (chain, contract) = taught(&file);
    let dev = reopened(chain, learning(1 << 20, Some(file)));
    let stats = predictor(&dev).stats();
    assert_eq!((stats.functions, stats.blocks), (1, 0));
    let later = tally_call(&dev, 4, contract, Bytes::new());
    assert!(knows_the_slot(&dev, 4, contract, &predicted(&dev, &later)));
    dev.close();
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["predictor"], "nothing is left of writing it");
}

fn reopened(folder: TempDir, predictor: Option<PredictorConfig>) -> Dev {
    let chain = crate::setup::open(&folder.path().join("db"));
    start_with(chain, folder, Mining::Manual, predictor)
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_the_node_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictor");
    let (chain, _) = taught(&file);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let damaged = [&whole[..whole.len() - 5], flipped.as_slice(), b"something else", b""];
    let mut chain = Some(chain);
    for content in damaged {
        fs::write(&file, content).unwrap();
        let dev = reopened(chain.take().unwrap(), learning(1 << 20, Some(file.clone())));
        assert_eq!(predictor(&dev).stats().functions, 0);
        assert_eq!(fs::read(folder.path().join("predictor.unreadable")).unwrap(), content);
        chain = Some(dev.close());
        assert!(!file.exists(), "nothing was learned, so nothing is written");
    }
}

#[test]
fn without_a_predictor_nothing_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let chain = create(&folder.path().join("db"), true);
    let dev = start_on(chain, folder, Mining::Manual);
    assert!(dev.node.predictor().is_none());
    deploy(&dev);
    dev.close();
}
