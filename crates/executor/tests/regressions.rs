//! What fuzzing and review found, each under a name, on every schedule of many.

#![allow(clippy::expect_used, reason = "tests")]

mod support;

use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;
use support::{Case, eager};
use warpline_executor::{Dialect, ParallelConfig, ParallelExecutor};
use warpline_testing::evm::{
    BENEFICIARY, Factory,
    asm::{word_and, words},
    builder::BlockBuilder,
    contracts::Contract,
    tx::Request,
    user,
};

/// The block, under schedules in which outcomes are computed before, between and after the
/// commits of the transactions they depend on, equals the oracle in both dialects.
#[track_caller]
fn holds_on_every_schedule(case: &Case) {
    let config = |seed| ParallelConfig { rehearse: Some(seed), ..eager(1) };
    let mut speculations = 0;
    for seed in 0..64 {
        let ethereum = ParallelExecutor::ethereum(config(seed)).expect("there are no threads");
        let any = ParallelExecutor::new(config(seed)).expect("there are no threads");
        speculations += equals_oracle(case, &ethereum) + equals_oracle(case, &any);
    }
    assert!(speculations > 30, "{}: only {speculations} speculations", case.name);
}

#[track_caller]
fn equals_oracle<D: Dialect<Factory>>(case: &Case, executor: &ParallelExecutor<D>) -> u64 {
    let (actual, stats) = case.parallel(executor, &case.block.parent).expect("it is valid");
    assert!(actual == case.expected(), "{} differs, {:?}", case.name, executor.config().rehearse);
    stats.speculations
}

/// From Amsterdam a creation that its creator cannot endow fails before there is a frame that an
/// inspector would see (EIP-8037).
#[test]
fn a_creation_that_cannot_be_endowed_looks_at_the_balance() {
    for spec in [SpecId::HOMESTEAD, SpecId::OSAKA, SpecId::AMSTERDAM] {
        for endowment in [1_200_u64, 500] {
            let mut block = BlockBuilder::new(spec);
            block.gas_limit(1_000_000_000);
            // Or the first fee would bring it to life, which every outcome looks at.
            block.world().fund(BENEFICIARY, U256::ONE);
            let endower = Contract::Endower.at(0);
            let send = words(&[&endower, &600_u64]);
            let send = Request::call(user(0), Contract::Spender.at(0)).data(send);
            block.ok(send.gas(1_000_000));
            let data = word_and(&endowment, &Contract::Counter.init_code());
            block.ok(Request::call(user(1), endower).data(data).gas(2_000_000));
            holds_on_every_schedule(&Case::new("endowment", block.finish()));
        }
    }
}
