//! The parallel executor against the sequential oracle: same receipts, gas, logs, requests, state
//! changes and errors, for every named scenario and for generated blocks, on any number of
//! threads.

use alloy_evm::block::BlockExecutionResult;
use proptest::{prelude::*, test_runner::RngSeed};
use revm::context::TxEnv;
use std::sync::LazyLock;
use warpline_executor::{
    AnyFactory, BlockInput, Dialect, Ethereum, ExecuteError, ParallelConfig, ParallelExecutor,
    PreparedTx, execute_sequential,
};
use warpline_merger::diff_from_bundle;
use warpline_testing::evm::{Factory, GeneratedBlock, Transaction, plan, scenarios};
use warpline_types::StateDiff;

const THREADS: [usize; 5] = [1, 2, 3, 8, 32];

/// Executors that call helpers for every block, however small.
struct Executors {
    ethereum: Vec<ParallelExecutor<Ethereum>>,
    any: Vec<ParallelExecutor<AnyFactory>>,
}

static EXECUTORS: LazyLock<Executors> = LazyLock::new(|| {
    let config = |threads: usize, lead| ParallelConfig {
        threads,
        lead,
        min_gas: 0,
        min_remaining: core::time::Duration::ZERO,
        ..ParallelConfig::default()
    };
    let configs = || THREADS.map(|threads| config(threads, threads as u64 % 3 * 4));
    Executors {
        ethereum: configs()
            .map(|config| ParallelExecutor::ethereum(config).expect("threads start"))
            .into(),
        any: configs().map(|config| ParallelExecutor::new(config).expect("threads start")).into(),
    }
});

type Verdict<R> = Result<(BlockExecutionResult<R>, StateDiff), String>;

fn verdict<R>(result: Result<(BlockExecutionResult<R>, StateDiff), ExecuteError>) -> Verdict<R> {
    result.map_err(|error| error.to_string()).map(|(result, mut diff)| {
        diff.sort();
        (result, diff)
    })
}

fn assert_equal_to_oracle<D: Dialect<Factory>>(
    name: &str,
    block: &GeneratedBlock,
    executor: &ParallelExecutor<D>,
) {
    let factory = block.rules.factory();
    let txs: Vec<PreparedTx<TxEnv, Transaction>> =
        block.txs.iter().map(|(env, tx)| PreparedTx { env: env.clone(), tx: tx.clone() }).collect();
    let input = || BlockInput { env: block.env.clone(), ctx: block.ctx.as_eth(), txs: &txs };

    let expected = execute_sequential(&factory, input(), &block.parent)
        .map(|output| (output.result, diff_from_bundle(&output.bundle)));
    let actual = executor
        .execute_block(&factory, input(), &block.parent)
        .map(|output| (output.result, output.diff));
    let (expected, actual) = (verdict(expected), verdict(actual));
    let threads = executor.config().threads;
    match (&expected, &actual) {
        (Ok((expected, expected_diff)), Ok((actual, actual_diff))) => {
            let difference = actual_diff.first_difference(expected_diff);
            assert_eq!(difference, None, "{name}, {threads} threads");
            for (index, pair) in actual.receipts.iter().zip(&expected.receipts).enumerate() {
                assert_eq!(pair.0, pair.1, "{name}, {threads} threads, receipt {index}");
            }
            assert_eq!(actual, expected, "{name}, {threads} threads");
        }
        (expected, actual) => {
            assert_eq!(actual, expected, "{name}, {threads} threads");
        }
    }
}

fn assert_equal_on_all(name: &str, block: &GeneratedBlock) {
    for executor in &EXECUTORS.ethereum {
        assert_equal_to_oracle(name, block, executor);
    }
    for executor in &EXECUTORS.any {
        assert_equal_to_oracle(name, block, executor);
    }
}

#[test]
fn every_named_scenario_equals_the_oracle() {
    for (name, block) in scenarios::all() {
        for _ in 0..3 {
            assert_equal_on_all(name, &block);
        }
    }
}

#[test]
fn seeded_blocks_equal_the_oracle() {
    for seed in 0..400 {
        assert_equal_on_all(&format!("seed {seed}"), &plan::block_from_seed(seed));
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
        assert_equal_on_all("generated", &plan.build());
    }
}
