//! Which transactions a block gets, and in what order.

use super::{Bench, CHAIN, address, legacy, tx};
use crate::{Origin, PoolConfig, PooledEnvelope};
use alloy_consensus::{SignableTransaction, transaction::Recovered};
use alloy_primitives::{Signature, U256};

fn chosen(bench: &Bench, min_tip: u128) -> Vec<(u8, u64)> {
    let best = bench.pool.best(min_tip);
    best.map(|tx| (tx.sender().as_slice()[19], tx.nonce())).collect()
}

#[test]
fn the_best_paying_come_first_and_ties_in_order_of_arrival() {
    let bench = Bench::new(PoolConfig::default());
    for (sender, tip) in [(1, 5), (2, 9), (3, 5), (4, 7)] {
        bench.add(&tx(sender, 0).fees(1000, tip)).unwrap();
    }
    assert_eq!(chosen(&bench, 0), [(2, 0), (4, 0), (1, 0), (3, 0)]);
}

#[test]
fn a_tip_counts_as_far_as_the_cap_leaves_it() {
    let bench = Bench::new(PoolConfig::default());
    // At a base fee of 100 these leave 5, 8 and 6.
    bench.add(&tx(1, 0).fees(105, 50)).unwrap();
    bench.add(&tx(2, 0).fees(1000, 8)).unwrap();
    bench.add(&tx(3, 0).fees(106, 106)).unwrap();
    assert_eq!(chosen(&bench, 0), [(2, 0), (3, 0), (1, 0)]);
    bench.pool.set_next_fees(10, 1);
    // Now 50, 8 and 96.
    assert_eq!(chosen(&bench, 0), [(3, 0), (1, 0), (2, 0)]);
    bench.pool.set_next_fees(106, 1);
    assert_eq!(chosen(&bench, 0), [(2, 0), (3, 0)]);
}

#[test]
fn nonces_of_a_sender_stay_in_order_whatever_they_pay() {
    let bench = Bench::new(PoolConfig::default());
    for (nonce, tip) in [(0, 1), (1, 900), (2, 4)] {
        bench.add(&tx(1, nonce).fees(1000, tip)).unwrap();
    }
    bench.add(&tx(2, 0).fees(1000, 3)).unwrap();
    assert_eq!(chosen(&bench, 0), [(2, 0), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn what_pays_too_little_keeps_its_successors_out() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&tx(1, 0).fees(99, 9)).unwrap();
    bench.add(&tx(1, 1).fees(1000, 900)).unwrap();
    bench.add(&tx(2, 0).fees(1000, 3)).unwrap();
    bench.add(&tx(2, 1).fees(1000, 2)).unwrap();
    bench.add(&tx(2, 2).fees(1000, 8)).unwrap();
    assert_eq!(chosen(&bench, 0), [(2, 0), (2, 1), (2, 2)]);
    assert_eq!(chosen(&bench, 3), [(2, 0)]);
    assert_eq!(chosen(&bench, 4), []);
}

#[test]
fn a_sender_is_skipped_for_the_rest_of_the_block() {
    let bench = Bench::new(PoolConfig::default());
    for nonce in 0..3 {
        bench.add(&tx(1, nonce).fees(1000, 9)).unwrap();
        bench.add(&tx(2, nonce).fees(1000, 8)).unwrap();
    }
    let mut best = bench.pool.best(0);
    assert_eq!(best.next().unwrap().sender(), address(1));
    best.skip_sender(address(1));
    let rest: Vec<_> = best.by_ref().map(|tx| (tx.sender(), tx.nonce())).collect();
    assert_eq!(rest, [(address(2), 0), (address(2), 1), (address(2), 2)]);

    let mut best = bench.pool.best(0);
    best.skip_sender(address(2));
    assert_eq!(best.count(), 3);
}

#[test]
fn a_block_is_filled_by_gas() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&super::Tx { gas: 60_000, ..tx(1, 0).fees(1000, 9) }).unwrap();
    bench.add(&super::Tx { gas: 60_000, ..tx(2, 0).fees(1000, 8) }).unwrap();
    bench.add(&tx(2, 1).fees(1000, 8)).unwrap();
    bench.add(&tx(3, 0).fees(1000, 7)).unwrap();
    let chosen = bench.pool.select(0, 100_000, 0);
    let chosen: Vec<_> = chosen.iter().map(|tx| (tx.sender(), tx.nonce())).collect();
    assert_eq!(chosen, [(address(1), 0), (address(3), 0)]);
    assert!(bench.pool.select(0, 20_999, 0).is_empty());
}

#[test]
fn all_senders_are_found_when_there_are_many() {
    let bench = Bench::new(PoolConfig::default());
    for sender in 0..250u8 {
        let fees =
            if sender % 2 == 0 { (1000, sender.into()) } else { (100 + u128::from(sender), 900) };
        let nonces = 1 + u64::from(sender % 3);
        for nonce in 0..nonces {
            bench
                .pool
                .add_recovered(
                    tx(sender, nonce).fees(fees.0, fees.1.max(1).min(fees.0)).unsigned(),
                    Origin::External,
                )
                .unwrap();
        }
    }
    let chosen = chosen(&bench, 0);
    assert_eq!(chosen.len(), bench.pool.status().0);
    assert_eq!(chosen.len(), (0..250).map(|sender| 1 + sender % 3).sum::<usize>());
}

#[test]
fn what_arrives_during_a_choice_does_no_harm() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&tx(1, 0).fees(1000, 9)).unwrap();
    bench.add(&tx(2, 0).fees(1000, 5)).unwrap();
    let mut best = bench.pool.best(0);
    assert_eq!(best.next().unwrap().sender(), address(1));
    // A replacement of what has been chosen, a follower, and a newcomer.
    bench.add(&tx(1, 0).fees(2000, 20)).unwrap();
    bench.add(&tx(1, 1).fees(1000, 7)).unwrap();
    bench.add(&tx(3, 0).fees(1000, 6)).unwrap();
    let rest: Vec<_> = best.map(|tx| (tx.sender(), tx.nonce())).collect();
    assert_eq!(rest, [(address(1), 1), (address(2), 0)]);
}

#[test]
fn a_legacy_price_is_cap_and_tip_in_one() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&tx(1, 0).fees(1000, 899)).unwrap();
    let signature = Signature::new(U256::from(9), U256::from(1), false);
    let legacy = PooledEnvelope::Legacy(legacy(0, Some(CHAIN)).into_signed(signature));
    let legacy = Recovered::new_unchecked(legacy, address(2));
    bench.pool.add_recovered(legacy, Origin::External).unwrap();
    assert_eq!(chosen(&bench, 0), [(2, 0), (1, 0)]);
}
