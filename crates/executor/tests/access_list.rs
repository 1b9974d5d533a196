//! The block access list that comes of a parallel execution against the one that revm's own
//! builder makes, entry for entry; and the list as a hint.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail loudly")]

mod support;

use proptest::{prelude::*, test_runner::RngSeed};
use std::sync::LazyLock;
use support::{Case, any, conflicts, eager, ethereum, independent};
use warpline_executor::{
    AnyFactory, Dialect, Ethereum, Guidance, ParallelConfig, ParallelExecutor,
};
use warpline_testing::evm::{Factory, GeneratedBlock, plan, scenarios};

const THREADS: [usize; 4] = [1, 2, 3, 8];

struct Executors {
    ethereum: [ParallelExecutor<Ethereum>; 4],
    any: [ParallelExecutor<AnyFactory>; 4],
}

static EXECUTORS: LazyLock<Executors> =
    LazyLock::new(|| Executors { ethereum: THREADS.map(ethereum), any: THREADS.map(any) });

/// Executors whose schedules these numbers decide.
fn rehearsed(seed: u64) -> (ParallelExecutor<Ethereum>, ParallelExecutor<AnyFactory>) {
    let config = ParallelConfig { rehearse: Some(seed), ..eager(1) };
    let ethereum = ParallelExecutor::ethereum(config).expect("no threads to start");
    (ethereum, ParallelExecutor::new(config).expect("no threads to start"))
}

fn assert_lists_as_revm_does<D: Dialect<Factory>>(
    name: &str,
    case: &Case,
    executor: &ParallelExecutor<D>,
) {
    let Some((done, expected)) = case.listed() else { return };
    let guidance = Guidance { list_accesses: true, ..Guidance::default() };
    let actual = case.guided(executor, guidance).expect("the oracle accepts it");
    let list = actual.access_list.expect("it was asked for");
    let config = executor.config();
    for (actual, expected) in list.iter().zip(&expected) {
        assert_eq!(actual, expected, "{name}, {config:?}");
    }
    assert_eq!(list.len(), expected.len(), "{name}, {config:?}");
    assert!(actual.done == done, "{name}, {config:?}: another outcome");
}

fn assert_lists_on_all(name: &str, case: &Case, seed: u64) {
    for executor in &EXECUTORS.ethereum {
        assert_lists_as_revm_does(name, case, executor);
    }
    for executor in &EXECUTORS.any {
        assert_lists_as_revm_does(name, case, executor);
    }
    for seed in [seed, seed ^ 0x5eed] {
        let (ethereum, any) = rehearsed(seed);
        assert_lists_as_revm_does(name, case, &ethereum);
        assert_lists_as_revm_does(name, case, &any);
    }
}

fn generated(block: GeneratedBlock) -> Case {
    Case::new("generated", block)
}

#[test]
fn no_list_is_made_unless_it_is_asked_for() {
    let case = conflicts();
    let output = case.guided(&ethereum(2), Guidance::default()).expect("it is sound");
    assert!(output.access_list.is_none());
}

#[test]
fn the_list_of_every_named_scenario_is_revms() {
    for (name, block) in scenarios::all() {
        assert_lists_on_all(name, &Case::new("scenario", block), 1);
    }
}

#[test]
fn the_lists_of_seeded_blocks_are_revms() {
    for seed in 0..150 {
        let block = plan::block_from_seed(seed);
        assert_lists_on_all(&format!("seed {seed}"), &generated(block), seed);
    }
}

#[test]
fn the_lists_of_conflicting_and_of_independent_calls_are_revms() {
    for case in [conflicts(), independent()] {
        for seed in 0..10 {
            assert_lists_on_all(case.name, &case, seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_lists_of_generated_blocks_are_revms(plan in plan::plans(80), seed in 0_u64..) {
        assert_lists_on_all("generated", &generated(plan.build()), seed);
    }
}
