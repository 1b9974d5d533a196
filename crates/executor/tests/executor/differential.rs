//! The parallel executor against the sequential oracle: same receipts, gas, logs, requests, state
//! changes and errors, for every named scenario and for generated blocks, on any number of
//! threads.

use crate::support::{Case, Done, eager};
use proptest::{prelude::*, test_runner::RngSeed};
use std::sync::LazyLock;
use warpline_executor::{AnyFactory, Dialect, Ethereum, ParallelConfig, ParallelExecutor};
use warpline_testing::evm::{Factory, GeneratedBlock, plan, scenarios};

const THREADS: [usize; 5] = [1, 2, 3, 8, 32];

/// Executors whose leads differ too.
struct Executors {
    ethereum: Vec<ParallelExecutor<Ethereum>>,
    any: Vec<ParallelExecutor<AnyFactory>>,
}

static EXECUTORS: LazyLock<Executors> = LazyLock::new(|| {
    let config = |threads| ParallelConfig { lead: threads as u64 % 3 * 4, ..eager(threads) };
    let configs = || THREADS.map(config);
    Executors {
        ethereum: configs()
            .map(|config| ParallelExecutor::ethereum(config).expect("threads start"))
            .into(),
        any: configs().map(|config| ParallelExecutor::new(config).expect("threads start")).into(),
    }
});

/// What came of a block, or the words of the error.
type Verdict = Result<Done, String>;

fn assert_equal_to_oracle<D: Dialect<Factory>>(
    name: &str,
    case: &Case,
    expected: &Verdict,
    executor: &ParallelExecutor<D>,
) {
    let output = executor.execute_block(&case.factory, case.input(), &case.block.parent);
    let actual: Verdict = output.map_err(|error| error.to_string()).map(|mut output| {
        output.diff.sort();
        (output.result, output.diff)
    });
    let threads = executor.config().threads;
    if let (Ok((expected, expected_diff)), Ok((actual, actual_diff))) = (expected, &actual) {
        let difference = actual_diff.first_difference(expected_diff);
        assert_eq!(difference, None, "{name}, {threads} threads");
        for (index, pair) in actual.receipts.iter().zip(&expected.receipts).enumerate() {
            assert_eq!(pair.0, pair.1, "{name}, {threads} threads, receipt {index}");
        }
    }
    assert_eq!(actual, *expected, "{name}, {threads} threads");
}

fn assert_equal_on_all(name: &str, block: GeneratedBlock) {
    let case = &Case::new("differential", block);
    let expected = case.sequential(&case.block.parent).map_err(|error| error.to_string());
    for executor in &EXECUTORS.ethereum {
        assert_equal_to_oracle(name, case, &expected, executor);
    }
    for executor in &EXECUTORS.any {
        assert_equal_to_oracle(name, case, &expected, executor);
    }
}

#[test]
fn every_named_scenario_equals_the_oracle() {
    for (name, block) in scenarios::all() {
        for _ in 0..3 {
            assert_equal_on_all(name, block.clone());
        }
    }
}

#[test]
fn seeded_blocks_equal_the_oracle() {
    for seed in 0..400 {
        assert_equal_on_all(&format!("seed {seed}"), plan::block_from_seed(seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn generated_blocks_equal_the_oracle(plan in plan::plans(80)) {
        assert_equal_on_all("generated", plan.build());
    }
}
