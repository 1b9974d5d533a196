//! Who may stay when there are more transactions than there may be.

use super::{Bench, Tx, address, tx};
use crate::{Origin, PoolConfig, PoolError};
use std::time::{Duration, Instant};

fn small() -> PoolConfig {
    PoolConfig {
        account_slots: 2,
        global_slots: 6,
        account_queue: 3,
        global_queue: 4,
        ..PoolConfig::default()
    }
}

#[test]
fn the_sender_with_the_most_yields_to_those_with_fewer() {
    let bench = Bench::new(small());
    for nonce in 0..6 {
        bench.add(&tx(1, nonce)).unwrap();
    }
    assert!(matches!(bench.add(&tx(1, 6)), Err(PoolError::Full)));
    bench.add(&tx(2, 0)).unwrap();
    bench.add(&tx(2, 1)).unwrap();
    bench.add(&tx(2, 2)).unwrap();
    assert_eq!(bench.nonces(1).0, [0, 1, 2]);
    assert!(matches!(bench.add(&tx(2, 3)), Err(PoolError::Full)));
}

#[test]
fn everybody_has_their_share_while_there_are_slots() {
    let bench = Bench::new(small());
    for sender in 1..=5 {
        for nonce in 0..2 {
            bench.add(&tx(sender, nonce)).unwrap();
        }
    }
    assert_eq!(bench.pool.status(), (10, 0));
    assert!(matches!(bench.add(&tx(6, 0)), Err(PoolError::Underpriced)));
    bench.add(&tx(6, 0).fees(1001, 10)).unwrap();
    assert_eq!(bench.pool.status(), (10, 0));
}

#[test]
fn the_cheapest_leaves_a_full_pool_for_a_better_one() {
    let bench = Bench::new(small());
    let fees = [500, 900, 400, 800, 700, 600, 450, 550, 650, 750];
    for (sender, fee) in (1u8..).zip(fees) {
        bench.add(&tx(sender, 0).fees(fee, 10)).unwrap();
    }
    assert!(matches!(bench.add(&tx(20, 0).fees(400, 10)), Err(PoolError::Underpriced)));
    bench.add(&tx(20, 0).fees(401, 10)).unwrap();
    assert_eq!(bench.pool.pending_nonce(&address(3)), None);
    bench.add(&tx(21, 0).fees(900, 10)).unwrap();
    assert_eq!(bench.pool.pending_nonce(&address(20)), None);
}

#[test]
fn an_expensive_transaction_behind_a_cheap_one_is_worth_what_the_cheap_one_is() {
    let bench = Bench::new(PoolConfig { account_slots: 8, ..small() });
    bench.add(&tx(1, 0).fees(200, 10)).unwrap();
    bench.add(&tx(1, 1).fees(90_000, 10)).unwrap();
    for sender in 2..=9 {
        bench.add(&tx(sender, 0).fees(1000, 10)).unwrap();
    }
    bench.add(&tx(10, 0).fees(300, 10)).unwrap();
    assert_eq!(bench.nonces(1).0, [0]);
    // Its own followers are no better than what they wait for.
    assert!(matches!(bench.add(&tx(1, 1).fees(90_000, 10)), Err(PoolError::Underpriced)));
}

#[test]
fn local_transactions_push_out_others_and_are_not_pushed_out() {
    let bench = Bench::new(small());
    for sender in 1..=10 {
        bench.add(&tx(sender, 0).fees(9000, 10)).unwrap();
    }
    for nonce in 0..10 {
        bench.add(&tx(30, nonce).fees(101, 0).local()).unwrap();
    }
    assert_eq!(bench.pool.status(), (10, 0));
    assert_eq!(bench.nonces(30).0.len(), 10);
    assert!(matches!(bench.add(&tx(1, 0).fees(90_000, 10)), Err(PoolError::Full)));
    assert!(matches!(bench.add(&tx(30, 10).local()), Err(PoolError::Full)));
}

#[test]
fn without_locals_nobody_is_exempt() {
    let bench = Bench::new(PoolConfig { no_locals: true, ..small() });
    for nonce in 0..6 {
        bench.add(&tx(30, nonce).local()).unwrap();
    }
    assert!(matches!(bench.add(&tx(30, 6).local()), Err(PoolError::Full)));
    assert!(matches!(
        bench.add(&tx(31, 0).fees(1000, 0).local()),
        Err(PoolError::TipTooLow { .. })
    ));
}

#[test]
fn listed_senders_are_local_wherever_they_come_from() {
    let bench = Bench::new(PoolConfig { locals: vec![address(1)], ..small() });
    for nonce in 0..8 {
        bench.add(&tx(1, nonce).fees(1000, 0)).unwrap();
    }
    assert!(matches!(bench.add(&tx(2, 0).fees(1000, 0)), Err(PoolError::TipTooLow { .. })));
    let origin = bench.pool.get_by_nonce(&address(1), 0).unwrap().origin();
    assert_eq!(origin, Origin::Local);
}

#[test]
fn a_queue_is_limited_by_sender_and_in_total() {
    let bench = Bench::new(small());
    for nonce in [5, 6, 8] {
        assert!(!bench.add(&tx(1, nonce)).unwrap().pending);
    }
    assert!(matches!(bench.add(&tx(1, 9)), Err(PoolError::AccountLimit { pooled: 3 })));
    // A lower nonce is closer to being of use.
    bench.add(&tx(1, 7)).unwrap();
    assert_eq!(bench.nonces(1).1, [5, 6, 7]);
    bench.add(&tx(2, 5)).unwrap();
    bench.add(&tx(3, 5)).unwrap();
    assert_eq!(bench.nonces(1).1, [5, 6]);
}

#[test]
fn queued_transactions_make_room_first_and_push_nobody_out() {
    let bench = Bench::new(PoolConfig { account_slots: 8, global_queue: 2, ..small() });
    bench.add(&tx(1, 5).fees(90_000, 10)).unwrap();
    for sender in 2..=8 {
        bench.add(&tx(sender, 0)).unwrap();
    }
    bench.add(&tx(9, 0)).unwrap();
    assert_eq!(bench.pool.status(), (8, 0));
    assert!(matches!(bench.add(&tx(10, 5).fees(90_000, 10)), Err(PoolError::Full)));
}

#[test]
fn a_large_transaction_takes_the_room_of_several_small_ones() {
    let bench = Bench::new(PoolConfig { account_slots: 1, ..small() });
    for sender in 1..=10 {
        bench.add(&tx(sender, 0).fees(1000 + u128::from(sender), 10)).unwrap();
    }
    let large = Tx { input: 70_000, ..tx(20, 0) };
    assert!(matches!(bench.add(&large.fees(1003, 10)), Err(PoolError::Underpriced)));
    assert_eq!(bench.pool.status(), (10, 0));
    bench.add(&large.fees(1004, 10)).unwrap();
    assert_eq!(bench.pool.status(), (8, 0));
    assert_eq!(bench.pool.stats().slots, 10);
}

#[test]
fn memory_is_limited() {
    let bytes = 20 * (30_000 + 1000);
    let bench = Bench::new(PoolConfig { global_bytes: bytes, ..PoolConfig::default() });
    for sender in 0..40 {
        let result = bench.add(&Tx { input: 30_000, ..tx(sender, 0).local() });
        assert_eq!(result.is_ok(), sender < 20, "{sender}: {result:?}");
    }
}

#[test]
fn a_queue_expires_when_its_sender_is_silent() {
    let lifetime = Duration::from_secs(100);
    let bench = Bench::new(PoolConfig { lifetime, ..PoolConfig::default() });
    let start = Instant::now();
    bench.add(&tx(1, 0)).unwrap();
    bench.add(&tx(1, 2)).unwrap();
    bench.add(&tx(1, 3)).unwrap();
    bench.add(&tx(2, 2).local()).unwrap();
    assert_eq!(bench.pool.maintain(start + lifetime / 2).unwrap(), 0);
    assert_eq!(bench.pool.maintain(start + lifetime * 2).unwrap(), 2);
    bench.verify();
    assert_eq!(bench.nonces(1), (vec![0], vec![]));
    assert_eq!(bench.nonces(2), (vec![], vec![2]));
    assert_eq!(bench.pool.stats().expired, 2);
}

#[test]
fn a_development_chain_takes_many_from_one_sender() {
    let bench = Bench::new(PoolConfig::dev());
    for nonce in 0..20_000 {
        bench.pool.add_recovered(tx(1, nonce).local().unsigned(), Origin::Local).unwrap();
    }
    for nonce in (20_001..30_000).rev() {
        bench.pool.add_recovered(tx(1, nonce).local().unsigned(), Origin::Local).unwrap();
    }
    assert_eq!(bench.pool.status(), (20_000, 9_999));
    bench.add(&tx(1, 20_000).local()).unwrap();
    assert_eq!(bench.pool.status(), (30_000, 0));
}
