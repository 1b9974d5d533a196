//! That helpers really help, that the schedule does not show in the output, and that one
//! executor serves several callers.

use crate::support::{self, any, conflicts, ethereum, independent, within};
use core::time::Duration;
use warpline_testing::{
    evm::plan,
    faults::{Fault, FaultyParent},
};

const LIMIT: Duration = Duration::from_secs(200);

/// A slow parent makes the front wait, so helpers get their turn even on one core.
#[test]
fn helpers_run_transactions_ahead_and_their_outcomes_are_committed() {
    within(LIMIT, || {
        let case = independent();
        let expected = case.expected();
        for threads in [2, 3, 8] {
            let executor = ethereum(threads);
            let slow = Fault::DelayAll(Duration::from_micros(100));
            let (mut speculations, mut committed) = (0, 0);
            for _ in 0..5 {
                let parent = FaultyParent::new(&case.block.parent, slow, 0);
                let (done, stats) = case.parallel(&executor, &parent).expect("it is sound");
                assert!(done == expected, "{threads} threads");
                assert_eq!(stats.threads, threads as u64);
                assert!(stats.executions >= stats.transactions);
                assert!(stats.speculations >= stats.committed_ahead);
                speculations += stats.speculations;
                committed += stats.committed_ahead;
            }
            assert!(speculations > 5, "{threads} threads: {speculations} speculations");
            assert!(committed > 5, "{threads} threads: {committed} outcomes committed");
        }
    });
}

#[test]
fn one_thread_speculates_on_nothing() {
    let case = conflicts();
    let (done, stats) = case.parallel(&ethereum(1), &case.block.parent).expect("it is sound");
    assert!(done == case.expected());
    assert_eq!((stats.speculations, stats.committed_ahead, stats.re_executions), (0, 0, 0));
    assert_eq!(stats.executions, stats.transactions);
}

#[test]
fn a_block_full_of_conflicts_gives_the_same_every_time() {
    within(LIMIT, || {
        let case = conflicts();
        let expected = case.expected();
        for threads in [2, 3, 8] {
            let (ethereum, any) = (ethereum(threads), any(threads));
            let mut speculations = 0;
            for repetition in 0..50 {
                let (done, stats) =
                    case.parallel(&ethereum, &case.block.parent).expect("it is sound");
                assert!(done == expected, "{threads} threads, repetition {repetition}");
                speculations += stats.speculations;
                let (done, stats) = case.parallel(&any, &case.block.parent).expect("it is sound");
                assert!(done == expected, "{threads} threads, repetition {repetition}");
                speculations += stats.speculations;
            }
            assert!(speculations > 0, "{threads} threads: no helper ever ran");
        }
    });
}

#[test]
fn two_callers_share_an_executor() {
    within(LIMIT, || {
        let executor = ethereum(3);
        std::thread::scope(|scope| {
            for case in [conflicts(), independent()] {
                let executor = &executor;
                scope.spawn(move || {
                    let expected = case.expected();
                    for repetition in 0..60 {
                        let done = case.parallel(executor, &case.block.parent);
                        let (done, _) = done.expect("it is sound");
                        assert!(done == expected, "{}, repetition {repetition}", case.name);
                    }
                });
            }
        });
    });
}

/// What one block leaves behind in the executor must not show in the next, also after an error.
#[test]
fn blocks_that_follow_each_other_do_not_mix() {
    within(LIMIT, || {
        let executor = ethereum(3);
        let cases: Vec<_> = (0..40)
            .map(|seed| support::Case::new("generated", plan::block_from_seed(seed)))
            .collect();
        for round in 0..3 {
            for (seed, case) in cases.iter().enumerate() {
                let expected = case.sequential(&case.block.parent).map_err(|e| e.to_string());
                let actual = case.parallel(&executor, &case.block.parent);
                let actual = actual.map(|(done, _)| done).map_err(|e| e.to_string());
                assert!(actual == expected, "seed {seed}, round {round}");
            }
        }
    });
}
