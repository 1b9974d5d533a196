//! Every interleaving of small cases, on the production code: `make loom`.
//!
//! Data that the scheduler hands from one thread to another is written and read `Relaxed` here,
//! so that only the scheduler's own ordering can make it visible.

use super::{
    Key, MockBlock, MockTx, Op,
    actors::{Front, Helper, Shared, drive},
};
use crate::{Ahead, FrontStep, Plan, Scheduler, TxPlan, VersionedMap};
use loom::{
    model::Builder,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// Explores all interleavings with at most `preemptions` switches away from a thread that could
/// have gone on.
fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn scheduler(txs: usize) -> Arc<Scheduler> {
    let txs = vec![TxPlan::Ahead { group: 0 }; txs];
    Arc::new(Scheduler::new(&Plan { txs, groups: 1, ..Plan::default() }))
}

/// What the front finds when it waits for its turn with `tx`.
fn step_for(scheduler: &Scheduler, tx: usize) -> FrontStep {
    loop {
        match scheduler.front_step(tx) {
            FrontStep::Busy => scheduler.wait_for_outcome(tx),
            step => return step,
        }
    }
}

#[test]
fn loom_either_the_helper_or_the_front_runs_a_transaction_and_its_outcome_arrives() {
    explore(3, || {
        let s = scheduler(2);
        let outcome = Arc::new(AtomicU64::new(0));
        let helper = {
            let (s, outcome) = (s.clone(), outcome.clone());
            thread::spawn(move || {
                let mine = s.claim();
                if let Some(tx) = mine {
                    assert_eq!(tx, 1, "the front has the first one");
                    outcome.store(7, Relaxed);
                    s.finish(tx);
                }
                mine.is_some()
            })
        };
        assert_eq!(step_for(&s, 0), FrontStep::Execute);
        s.advance(0);
        let step = step_for(&s, 1);
        if step == FrontStep::Validate {
            assert_eq!(outcome.load(Relaxed), 7);
        }
        s.advance(1);
        let helped = helper.join().expect("the helper ends");
        assert_eq!(helped, step == FrontStep::Validate);
    });
}

#[test]
fn loom_two_helpers_and_the_front_never_get_the_same_transaction() {
    explore(2, || {
        let s = scheduler(3);
        let runs: Arc<[AtomicUsize; 3]> = Arc::default();
        let helpers = [(); 2].map(|()| {
            let (s, runs) = (s.clone(), runs.clone());
            thread::spawn(move || {
                if let Some(tx) = s.claim() {
                    runs[tx].fetch_add(1, Relaxed);
                    s.finish(tx);
                }
            })
        });
        for tx in 0..3 {
            if step_for(&s, tx) == FrontStep::Execute {
                runs[tx].fetch_add(1, Relaxed);
            }
            s.advance(tx);
        }
        for helper in helpers {
            helper.join().expect("the helper ends");
        }
        assert!(runs.iter().all(|runs| runs.load(Relaxed) == 1));
    });
}

#[test]
fn loom_an_abandoned_transaction_reaches_the_waiting_front() {
    explore(3, || {
        let s = scheduler(2);
        assert_eq!(s.claim(), Some(1));
        let helper = {
            let s = s.clone();
            thread::spawn(move || s.abandon(1))
        };
        assert_eq!(step_for(&s, 1), FrontStep::Execute);
        helper.join().expect("the helper ends");
    });
}

#[test]
fn loom_a_transaction_given_back_is_run_again_by_one_of_both() {
    explore(3, || {
        let s = scheduler(2);
        assert_eq!(s.claim(), Some(1));
        let helper = {
            let s = s.clone();
            thread::spawn(move || {
                s.give_back(1);
                let again = s.claim();
                if let Some(tx) = again {
                    s.finish(tx);
                }
                again
            })
        };
        let step = step_for(&s, 1);
        match helper.join().expect("the helper ends") {
            Some(tx) => assert_eq!((tx, step), (1, FrontStep::Validate)),
            None => assert_eq!(step, FrontStep::Execute),
        }
    });
}

#[test]
fn loom_a_recalled_outcome_is_never_validated_meanwhile() {
    explore(3, || {
        let s = scheduler(3);
        assert_eq!(s.claim(), Some(1));
        assert_eq!(s.claim(), Some(2));
        s.finish(2);
        let inside = Arc::new(AtomicUsize::new(0));
        let outcome = Arc::new(AtomicU64::new(1));
        let helper = {
            let (s, inside, outcome) = (s.clone(), inside.clone(), outcome.clone());
            thread::spawn(move || {
                let recalled = s.recall(2);
                if recalled {
                    assert_eq!(inside.fetch_add(1, Relaxed), 0, "the front is at it");
                    outcome.store(2, Relaxed);
                    inside.fetch_sub(1, Relaxed);
                    s.finish(2);
                }
                recalled
            })
        };
        assert_eq!(step_for(&s, 2), FrontStep::Validate);
        assert_eq!(inside.fetch_add(1, Relaxed), 0, "a helper is at it");
        let seen = outcome.load(Relaxed);
        let recalled = helper.join().expect("the helper ends");
        assert_eq!(seen, if recalled { 2 } else { 1 });
    });
}

#[test]
fn loom_a_recalled_transaction_can_be_given_back_under_the_waiting_front() {
    explore(3, || {
        let s = scheduler(2);
        assert_eq!(s.claim(), Some(1));
        s.finish(1);
        let helper = {
            let s = s.clone();
            thread::spawn(move || {
                let recalled = s.recall(1);
                if recalled {
                    s.give_back(1);
                }
                recalled
            })
        };
        let step = step_for(&s, 1);
        let recalled = helper.join().expect("the helper ends");
        let expected = if recalled { FrontStep::Execute } else { FrontStep::Validate };
        assert_eq!(step, expected);
    });
}

/// Somebody waits for transaction 1, which another thread has, until `end` is called there.
fn wakes(end: fn(&Scheduler)) {
    explore(3, move || {
        let s = scheduler(3);
        assert_eq!(s.claim(), Some(1));
        let other = {
            let s = s.clone();
            thread::spawn(move || end(&s))
        };
        s.wait_for(1);
        other.join().expect("the other thread ends");
    });
}

#[test]
fn loom_a_finish_wakes_the_reader_that_waits_for_it() {
    wakes(|s| s.finish(1));
}

#[test]
fn loom_an_abandonment_wakes_the_reader_that_waits_for_it() {
    wakes(|s| s.abandon(1));
}

#[test]
fn loom_a_transaction_given_back_wakes_the_reader_that_waits_for_it() {
    wakes(|s| s.give_back(1));
}

#[test]
fn loom_the_end_of_the_block_wakes_the_reader() {
    wakes(Scheduler::stop);
}

#[test]
fn loom_a_finish_wakes_two_readers() {
    explore(2, || {
        let s = scheduler(4);
        assert_eq!(s.claim(), Some(1));
        let reader = {
            let s = s.clone();
            thread::spawn(move || s.wait_for(1))
        };
        let other = {
            let s = s.clone();
            thread::spawn(move || s.finish(1))
        };
        s.wait_for(1);
        reader.join().expect("the reader ends");
        other.join().expect("the helper ends");
    });
}

#[test]
fn loom_a_commit_wakes_the_reader_that_sees_its_writes() {
    explore(3, || {
        let s = scheduler(2);
        let map = Arc::new(VersionedMap::new());
        assert_eq!(s.front_step(0), FrontStep::Execute);
        let reader = {
            let (s, map) = (s.clone(), map.clone());
            thread::spawn(move || {
                s.wait_for(0);
                map.read(&Key(0), 2).map(|found| found.value)
            })
        };
        map.commit(Key(0), 1, 0, 7);
        s.advance(0);
        assert_eq!(reader.join().expect("the reader ends"), Some(7));
    });
}

#[test]
fn loom_who_finds_a_transaction_finished_sees_its_writes() {
    explore(3, || {
        let s = scheduler(3);
        let map = Arc::new(VersionedMap::new());
        assert_eq!(s.front_step(0), FrontStep::Execute);
        s.advance(0);
        assert_eq!(s.claim(), Some(2));
        assert_eq!(s.claim_near(1), None, "the front is at transaction 1");
        let helper = {
            let (s, map) = (s.clone(), map.clone());
            thread::spawn(move || {
                map.write(Key(0), 3, 0, 7);
                s.finish(2);
            })
        };
        if s.front_step(2) == FrontStep::Validate {
            assert_eq!(map.read(&Key(0), 4).map(|found| found.value), Some(7));
        }
        helper.join().expect("the helper ends");
    });
}

/// The reader saw an old version, and asks whether anyone may yet write a newer one. If it is
/// told to go on because the writer is through, reading again shows the write.
#[test]
fn loom_a_reader_told_to_go_on_has_missed_nothing() {
    explore(3, || {
        let s = scheduler(3);
        let map = Arc::new(VersionedMap::new());
        map.commit(Key(0), 0, 0, 1);
        assert_eq!(s.front_step(0), FrontStep::Execute);
        s.advance(0);
        let writer = {
            let (s, map) = (s.clone(), map.clone());
            thread::spawn(move || {
                assert_eq!(s.front_step(1), FrontStep::Execute);
                map.commit(Key(0), 2, 0, 7);
                s.advance(1);
            })
        };
        if s.ahead_of(2, 0, 0) == Ahead::Clear {
            assert_eq!(map.read(&Key(0), 3).map(|found| found.value), Some(7));
        }
        writer.join().expect("the front ends");
    });
}

#[test]
fn loom_writes_of_two_threads_to_one_key_are_both_kept() {
    explore(3, || {
        let map = Arc::new(VersionedMap::new());
        let other = {
            let map = map.clone();
            thread::spawn(move || map.write(Key(0), 1, 0, 10))
        };
        map.write(Key(0), 2, 0, 20);
        let mine = map.read(&Key(0), 3).map(|found| found.value);
        assert_eq!(mine, Some(20));
        other.join().expect("the writer ends");
        assert_eq!(map.read(&Key(0), 2).map(|found| found.value), Some(10));
    });
}

/// A front and a helper take a whole block through all phases.
fn whole_block(
    preemptions: usize,
    ops: &'static [&'static [Op]],
    needs: &'static [&'static [u32]],
) {
    explore(preemptions, move || {
        let tx = |ops: &&[Op]| MockTx {
            plan: TxPlan::Ahead { group: 0 },
            ops: ops.to_vec(),
            fails_ahead: false,
        };
        let block: &'static MockBlock = Box::leak(Box::new(MockBlock {
            txs: ops.iter().map(tx).collect(),
            needs: needs.iter().map(|needs| needs.to_vec()).collect(),
            ..MockBlock::default()
        }));
        let shared = Arc::new(Shared::new(block));
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || drive(&shared.scheduler, &mut Helper::new(&shared), || ()))
        };
        let mut front = Front::new(&shared);
        drive(&shared.scheduler, &mut front, || ());
        helper.join().expect("the helper ends");
        front.assert_serial();
    });
}

#[test]
fn loom_two_dependent_transactions_equal_the_serial_fold() {
    const COUNT: &[Op] = &[Op::Read(1), Op::Write(1)];
    whole_block(3, &[COUNT, COUNT], &[]);
}

#[test]
fn loom_two_transactions_that_are_expected_to_meet_equal_the_serial_fold() {
    const COUNT: &[Op] = &[Op::Read(1), Op::Write(1)];
    whole_block(2, &[COUNT, COUNT], &[&[], &[0]]);
}

#[test]
fn loom_three_transactions_with_a_conflict_equal_the_serial_fold() {
    whole_block(2, &[&[Op::Write(1)], &[Op::Read(1), Op::Write(2)], &[Op::Read(2)]], &[]);
}
