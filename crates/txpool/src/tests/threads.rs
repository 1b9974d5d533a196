//! Many threads at once.

use super::{Bench, address, key_address, tx};
use crate::{Head, HeadChange, Origin, PoolConfig, PoolError};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

#[test]
fn a_batch_recovers_senders_and_keeps_the_order() {
    let bench = Bench::new(PoolConfig::default());
    let mut raw: Vec<_> = (0..20u8).flat_map(|s| (0..3).map(move |n| tx(s, n).signed())).collect();
    raw.insert(7, vec![0x05].into());
    raw.push(raw[0].clone());
    let results = bench.pool.add_batch(&raw, Origin::External);
    bench.verify();
    assert_eq!(results.len(), raw.len());
    for (index, result) in results.iter().enumerate() {
        match index {
            7 => assert!(matches!(result, Err(PoolError::Decode(_)))),
            61 => assert!(matches!(result, Err(PoolError::AlreadyKnown { .. }))),
            _ => {
                assert_eq!(result.as_ref().unwrap().hash, alloy_primitives::keccak256(&raw[index]))
            }
        }
    }
    assert_eq!(bench.pool.pending_nonce(&key_address(19)), Some(3));
    let stats = bench.pool.stats();
    assert_eq!((stats.added, stats.refused), (60, 2));
}

#[test]
fn heads_arrivals_and_choices_do_not_disturb_each_other() {
    let bench = Bench::new(PoolConfig::dev());
    let done = AtomicBool::new(false);
    let (pool, done) = (&bench.pool, &done);
    thread::scope(|scope| {
        let adders = [1u8, 2, 3].map(|sender| {
            scope.spawn(move || {
                for nonce in 0..2000 {
                    match pool.add_recovered(tx(sender, nonce).local().unsigned(), Origin::Local) {
                        Ok(_) | Err(PoolError::NonceTooLow { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let builder = scope.spawn(move || {
            let mut number = 0;
            let world = super::World::default();
            let mut world = std::sync::Arc::new(world);
            let mut mined_nonces = [0u64; 4];
            while !done.load(Ordering::Relaxed) || pool.status().0 > 0 {
                let txs = pool.select(0, 100 * 21_000, 0);
                for tx in &txs {
                    let sender = usize::from(tx.sender().as_slice()[19]);
                    assert_eq!(tx.nonce(), mined_nonces[sender], "a gap or a repetition");
                    mined_nonces[sender] += 1;
                }
                number += 1;
                world = world.copy();
                for sender in 1..=3u8 {
                    let nonce = mined_nonces[usize::from(sender)];
                    world.change(address(sender), |account| account.nonce = nonce);
                }
                let mined: Vec<_> = (txs.iter())
                    .map(|tx| crate::Mined { hash: tx.hash(), sender: tx.sender() })
                    .collect();
                let head = Head { base_fee: 50 + number % 100, ..super::head(number) };
                let accounts = world.clone();
                let dropped = Vec::new();
                let changed = (number % 2 == 0).then_some(&[][..]);
                pool.on_head(HeadChange { head, accounts, mined: &mined, dropped, changed })
                    .expect("accounts are readable");
            }
            mined_nonces
        });
        for adder in adders {
            adder.join().expect("no panic");
        }
        done.store(true, Ordering::Relaxed);
        let mined = builder.join().expect("no panic");
        assert_eq!(mined[1..], [2000; 3]);
    });
    bench.verify();
    assert_eq!(bench.pool.status(), (0, 0));
    assert_eq!(bench.pool.stats().mined, 6000);
}
