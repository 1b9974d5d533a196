//! Blocks come and go.

use super::{Bench, Tx, World, address, head, tx};
use crate::{Head, HeadChange, Mined, Origin, PoolConfig, PoolError};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{U256, map::HashSet};
use parking_lot::Mutex;
use revm::primitives::hardfork::SpecId;
use std::sync::{Arc, atomic::Ordering};
use warpline_executor::EthTransaction;

fn for_blocks(tx: &Tx) -> Recovered<EthTransaction> {
    let (tx, sender) = tx.unsigned().into_parts();
    Recovered::new_unchecked(tx.map_eip4844(|tx| tx.tx().clone()), sender)
}

#[test]
fn mined_transactions_leave_and_the_rest_stays_pending() {
    let mut bench = Bench::new(PoolConfig::default());
    for nonce in 0..5 {
        bench.add(&tx(1, nonce)).unwrap();
    }
    let mined: Vec<Mined> = (0..3).map(|nonce| tx(1, nonce).mined()).collect();
    bench.advance(&mined, |world| world.change(address(1), |account| account.nonce = 3));
    assert_eq!(bench.nonces(1), (vec![3, 4], vec![]));
    assert_eq!(bench.pool.stats().mined, 3);
    assert_eq!(bench.pool.pending_nonce(&address(1)), Some(5));
    let mined: Vec<Mined> = (3..5).map(|nonce| tx(1, nonce).mined()).collect();
    bench.advance(&mined, |world| world.change(address(1), |account| account.nonce = 5));
    assert_eq!(bench.pool.pending_nonce(&address(1)), None);
    assert_eq!(bench.pool.stats().senders, 0);
}

#[test]
fn a_transaction_with_the_same_nonce_in_a_block_removes_the_pooled_one() {
    let mut bench = Bench::new(PoolConfig::default());
    bench.add(&tx(1, 0)).unwrap();
    bench.add(&tx(1, 2)).unwrap();
    let other = tx(1, 0).fees(5000, 50).mined();
    bench.advance(&[other], |world| world.change(address(1), |account| account.nonce = 2));
    assert_eq!(bench.nonces(1), (vec![2], vec![]));
}

#[test]
fn transactions_come_back_with_the_blocks_that_leave() {
    let mut bench = Bench::new(PoolConfig::default());
    for nonce in 0..4 {
        bench.add(&tx(1, nonce)).unwrap();
    }
    let before = bench.world.clone();
    let mined: Vec<Mined> = (0..3).map(|nonce| tx(1, nonce).mined()).collect();
    bench.advance(&mined, |world| world.change(address(1), |account| account.nonce = 3));
    bench.add(&tx(1, 5)).unwrap();
    // The other branch has the first of the three.
    let after = before.copy();
    after.change(address(1), |account| account.nonce = 1);
    let dropped = (0..3).map(|nonce| for_blocks(&tx(1, nonce))).collect();
    let mined = [tx(1, 0).mined()];
    bench.move_to(head(1), after, &mined, dropped, Some(&[]));
    assert_eq!(bench.nonces(1), (vec![1, 2, 3], vec![5]));
    assert_eq!(bench.pool.stats().returned, 2);
}

#[test]
fn what_returns_need_not_pay_the_minimum_tip() {
    let mut bench = Bench::new(PoolConfig { refuse_unpayable: true, ..PoolConfig::default() });
    bench.pool.set_min_tip(500);
    let cheap = tx(1, 0).fees(50, 1);
    let world = bench.world.clone();
    bench.move_to(head(1), world, &[], vec![for_blocks(&cheap)], Some(&[]));
    assert_eq!(bench.nonces(1).0, [0]);
}

#[test]
fn a_sender_that_became_poor_loses_what_it_cannot_pay() {
    let mut bench = Bench::new(PoolConfig::default());
    for (nonce, max_fee, value) in [(0, 1000, 10), (1, 1000, 6_000_000), (2, 100, 10)] {
        bench.add(&Tx { value, ..tx(1, nonce).fees(max_fee, 10) }).unwrap();
    }
    bench.advance(&[], |world| {
        world.change(address(1), |account| account.balance = U256::from(26_000_000));
    });
    assert_eq!(bench.nonces(1), (vec![0], vec![2]));
    bench.add(&tx(1, 1).fees(100, 10)).unwrap();
    assert_eq!(bench.nonces(1), (vec![0, 1, 2], vec![]));
}

#[test]
fn only_changed_accounts_are_read() {
    let mut bench = Bench::new(PoolConfig::default());
    for sender in 1..=3 {
        bench.add(&tx(sender, 0)).unwrap();
    }
    let world = bench.world.copy();
    for sender in 1..=3 {
        world.change(address(sender), |account| account.nonce = 1);
    }
    bench.move_to(head(1), world, &[tx(1, 0).mined()], Vec::new(), Some(&[address(2)]));
    assert_eq!([1, 2, 3].map(|s| bench.nonces(s).0.len()), [0, 0, 1]);
}

#[test]
fn a_state_that_cannot_be_read_leaves_the_pool_where_it_was() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&tx(1, 0)).unwrap();
    let world = Arc::new(World::default());
    world.broken.store(true, Ordering::Relaxed);
    let (head, mined) = (head(1), [tx(1, 0).mined()]);
    let change =
        HeadChange { head, accounts: world, mined: &mined, dropped: Vec::new(), changed: None };
    bench.pool.on_head(change).unwrap_err();
    bench.verify();
    assert_eq!(bench.pool.head().number, 0);
    assert_eq!(bench.nonces(1).0, [0]);
}

#[test]
fn new_rules_remove_what_they_forbid() {
    let prague = Head { spec: SpecId::PRAGUE, max_tx_gas: None, ..head(0) };
    let mut bench = Bench::at(PoolConfig::default(), prague);
    bench.add(&tx(1, 0)).unwrap();
    bench.add(&Tx { gas: 20_000_000, ..tx(1, 1) }).unwrap();
    bench.add(&tx(1, 2)).unwrap();
    let world = bench.world.clone();
    bench.move_to(head(1), world.clone(), &[], Vec::new(), Some(&[]));
    assert_eq!(bench.nonces(1), (vec![0], vec![2]));
    bench.add(&Tx { gas: 10_000_000, ..tx(2, 0) }).unwrap();
    let smaller = Head { gas_limit: 9_999_999, ..head(2) };
    bench.move_to(smaller, world, &[], Vec::new(), Some(&[]));
    assert_eq!(bench.nonces(2), (vec![], vec![]));
}

#[test]
fn rules_that_change_before_a_transaction_is_admitted_apply_to_it() {
    let prague = Head { spec: SpecId::PRAGUE, max_tx_gas: None, ..head(0) };
    let mut bench = Bench::at(PoolConfig::default(), prague);
    let prepare = |tx: Tx| bench.pool.prepare_recovered(tx.unsigned(), tx.origin).unwrap();
    let prepared = vec![prepare(tx(1, 0)), prepare(Tx { gas: 20_000_000, ..tx(2, 0) })];
    let world = bench.world.clone();
    bench.move_to(head(1), world, &[], Vec::new(), Some(&[]));
    let results = bench.pool.admit(prepared);
    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(PoolError::GasLimitTooHigh { .. })));
}

#[test]
fn listeners_hear_of_every_pending_transaction_once() {
    let mut bench = Bench::new(PoolConfig::default());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    bench.pool.listen(Box::new(move |txs| {
        hear.lock().extend(txs.iter().map(|tx| (tx.sender(), tx.nonce())));
    }));
    for nonce in [0, 2, 3, 1, 6] {
        bench.add(&tx(1, nonce)).unwrap();
    }
    let one = address(1);
    assert_eq!(*heard.lock(), [(one, 0), (one, 1), (one, 2), (one, 3)]);
    bench.advance(&[], |world| world.change(one, |account| account.nonce = 6));
    assert_eq!(heard.lock().last(), Some(&(one, 6)));
    assert_eq!(heard.lock().len(), 5);
}

#[test]
fn transactions_are_taken_out_by_name() {
    let bench = Bench::new(PoolConfig::default());
    for nonce in 0..3 {
        bench.add(&tx(1, nonce)).unwrap();
        bench.add(&tx(2, nonce)).unwrap();
    }
    assert!(bench.pool.remove(&tx(1, 1).hash()).is_some());
    bench.verify();
    assert_eq!(bench.nonces(1), (vec![0], vec![2]));
    assert!(bench.pool.remove(&tx(1, 1).hash()).is_none());
    assert_eq!(bench.pool.remove_sender(address(1)).len(), 2);
    bench.verify();
    assert_eq!(bench.pool.pending_hashes().into_iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(bench.pool.content().len(), 1);
    assert_eq!(bench.pool.clear(), 3);
    bench.verify();
    assert_eq!(bench.pool.status(), (0, 0));
    let stats = bench.pool.stats();
    assert_eq!((stats.added, stats.dropped, stats.bytes), (6, 6, 0));
}

#[test]
fn transactions_are_put_back_as_they_were() {
    let mut bench = Bench::new(PoolConfig::default());
    for tx in [tx(1, 0), tx(1, 1).local(), tx(1, 3), Tx { gas: 9_000_000, ..tx(2, 0) }] {
        bench.add(&tx).unwrap();
    }
    let content = bench.pool.content().into_values();
    let pooled: Vec<_> = content.flat_map(|of| of.pending.into_iter().chain(of.queued)).collect();
    bench.pool.clear();
    let world = bench.world.clone();
    bench.move_to(Head { gas_limit: 8_000_000, ..head(1) }, world, &[], Vec::new(), None);
    let results = bench.pool.readmit(pooled);
    bench.verify();
    assert_eq!(
        results.iter().map(|result| result.is_ok()).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    assert_eq!(bench.nonces(1), (vec![0, 1], vec![3]));
    let origin = |nonce| bench.pool.get_by_nonce(&address(1), nonce).unwrap().origin();
    assert_eq!([origin(0), origin(1)], [Origin::External, Origin::Local]);
}

#[test]
fn an_impersonated_sender_is_mined_like_any_other() {
    let mut bench = Bench::new(PoolConfig::default());
    let sent = Tx { origin: Origin::Impersonated, ..tx(1, 0) };
    bench.add(&sent).unwrap();
    bench.advance(&[sent.mined()], |world| world.change(address(1), |account| account.nonce = 1));
    assert_eq!(bench.pool.status(), (0, 0));
}
