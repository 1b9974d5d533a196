//! Random blocks on real threads against a serial fold.

use super::{
    GROUPS, KEYS, MockBlock, MockTx, Op,
    actors::{Front, Helper, Shared, drive},
    within,
};
use crate::{TxPlan, WorkerPool};
use core::time::Duration;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..KEYS).prop_map(Op::Read),
        1 => Just(Op::ReadPicked),
        2 => (0..KEYS).prop_map(Op::Write),
        1 => Just(Op::WritePicked),
    ]
}

fn tx() -> impl Strategy<Value = MockTx> {
    let plan = prop_oneof![
        1 => Just(TxPlan::Front),
        6 => (0..GROUPS).prop_map(|group| TxPlan::Ahead { group }),
    ];
    let ops = prop::collection::vec(op(), 0..8);
    (plan, ops, prop::bool::weighted(0.05)).prop_map(|(plan, ops, fails_ahead)| MockTx {
        plan,
        ops,
        fails_ahead,
    })
}

fn block() -> impl Strategy<Value = MockBlock> {
    let txs = prop::collection::vec(tx(), 0..40);
    let first = prop::collection::vec(0..45_usize, 0..4);
    let work = prop_oneof![Just(Vec::new()), prop::collection::vec(0..100_u64, 40)];
    let needs = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(prop::collection::vec(0..40_u32, 0..3), 40),
    ];
    let stops_at = prop::option::weighted(0.1, 0..40_usize);
    let families = prop_oneof![
        Just(Vec::new()),
        Just(vec![0; GROUPS as usize]),
        Just((0..GROUPS).map(|group| group / 2).collect()),
    ];
    (txs, families, 0..6_u64, work, first, needs, stops_at).prop_map(
        |(txs, families, lead, work, first, needs, stops_at)| MockBlock {
            txs,
            families,
            lead,
            work,
            first,
            needs,
            stops_at,
        },
    )
}

/// Now and then lets the others go first, so that short transactions meet on few cores.
fn dawdle(seed: u64) -> impl FnMut() {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match state >> 60 {
            0..4 => std::thread::yield_now(),
            4..8 => (0..state >> 56).for_each(|_| core::hint::spin_loop()),
            _ => {}
        }
    }
}

/// Runs a block on the pool and holds it against the serial fold; how many outcomes of helpers
/// were accepted and refused.
fn run(pool: &WorkerPool, helpers: usize, block: &MockBlock, seed: u64) -> (u64, u64) {
    let shared = Shared::new(block);
    let started = AtomicUsize::new(0);
    let job = |number: usize| {
        started.fetch_add(1, Ordering::SeqCst);
        let dawdle = dawdle(seed.wrapping_add(number as u64));
        drive(&shared.scheduler, &mut Helper::new(&shared), dawdle);
    };
    pool.run(helpers, &job, |help| {
        help.summon();
        while started.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let mut front = Front::new(&shared);
        drive(&shared.scheduler, &mut front, dawdle(seed));
        front.assert_serial();
    });
    (shared.counts.accepted.into_inner(), shared.counts.refused.into_inner())
}

#[test]
fn any_block_on_any_number_of_threads_equals_the_serial_fold() {
    static RUN: AtomicU64 = AtomicU64::new(0);
    within(Duration::from_secs(120), &RUN, || {
        let pool = WorkerPool::new(4).expect("threads start");
        let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        let config = ProptestConfig { cases: 600, ..ProptestConfig::default() };
        proptest!(config, |(block in block(), seed in any::<u64>())| {
            RUN.fetch_add(1, Ordering::Relaxed);
            for helpers in 1..=4 {
                let (yes, no) = run(&pool, helpers, &block, seed);
                accepted.fetch_add(yes, Ordering::Relaxed);
                refused.fetch_add(no, Ordering::Relaxed);
            }
        });
        let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
        assert!(accepted > 500, "helpers were of use {accepted} times only");
        assert!(refused > 20, "outcomes were refused {refused} times only");
    });
}

/// Every transaction reads and writes the same key: nothing can run ahead, and nothing may hang.
#[test]
fn one_chain_of_dependent_transactions_equals_the_serial_fold() {
    static RUN: AtomicU64 = AtomicU64::new(0);
    within(Duration::from_secs(60), &RUN, || {
        let pool = WorkerPool::new(4).expect("threads start");
        let tx = MockTx {
            plan: TxPlan::Ahead { group: 0 },
            ops: vec![Op::Read(1), Op::Write(1)],
            fails_ahead: false,
        };
        let block = MockBlock { txs: vec![tx; 200], ..MockBlock::default() };
        for seed in 0..50 {
            RUN.store(seed, Ordering::Relaxed);
            run(&pool, 1 + seed as usize % 4, &block, seed);
        }
    });
}

/// Transactions that touch a key each: whatever helpers finish is accepted.
#[test]
fn outcomes_of_independent_transactions_are_all_accepted() {
    static RUN: AtomicU64 = AtomicU64::new(0);
    within(Duration::from_secs(60), &RUN, || {
        let pool = WorkerPool::new(2).expect("threads start");
        let tx = |index: usize| MockTx {
            plan: TxPlan::Ahead { group: index as u32 % GROUPS },
            ops: vec![Op::Read(index as u8 % 3), Op::Write(3 + index as u8 % 3)],
            fails_ahead: false,
        };
        let block = MockBlock { txs: (0..200).map(tx).collect(), ..MockBlock::default() };
        let mut accepted = 0;
        for seed in 0..50 {
            RUN.store(seed, Ordering::Relaxed);
            let (yes, no) = run(&pool, 2, &block, seed);
            assert_eq!(no, 0, "nobody wrote what was read");
            accepted += yes;
        }
        assert!(accepted > 500, "helpers were of use {accepted} times only");
    });
}
