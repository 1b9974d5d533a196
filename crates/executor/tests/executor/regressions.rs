//! What fuzzing and review found, each under a name, on every schedule of many.

use crate::support::{Case, eager};
use alloy_primitives::U256;
use revm::{context_interface::cfg::gas_params::GasId, primitives::hardfork::SpecId};
use warpline_executor::{Dialect, ParallelConfig, ParallelExecutor};
use warpline_testing::evm::{
    BENEFICIARY, Factory,
    asm::{word_and, words},
    builder::BlockBuilder,
    contracts::Contract,
    tx::{Delegate, Request},
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

/// A transfer fails where the recipient's balance would overflow, so close to that it matters what
/// the balance is. geth's developer chain gives its account 2²⁵⁶ − 9 wei.
#[test]
fn a_balance_that_may_overflow_is_looked_at() {
    for to_contract in [true, false] {
        let mut block = BlockBuilder::new(SpecId::PRAGUE);
        block.world().fund(BENEFICIARY, U256::ONE);
        let brim = Contract::Sink.at(0);
        block.world().fund(brim, U256::MAX - U256::from(1_700));
        let send = words(&[&brim, &300_u64]);
        block.ok(Request::call(user(0), Contract::Spender.at(0)).data(send));
        if to_contract {
            let send = word_and(&brim, &[]);
            block.ok(Request::call(user(1), Contract::Forwarder.at(0)).data(send).value(500));
        } else {
            block.fails(Request::call(user(1), brim).data(words(&[&1_u64])).value(500));
        }
        holds_on_every_schedule(&Case::new("overflow", block.finish()));
    }
}

/// revm's `State` does not ask the parent for the storage of an account that does not exist.
#[test]
fn an_account_that_does_not_exist_has_no_storage_whatever_the_parent_says() {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.world().fund(BENEFICIARY, U256::ONE);
    let absent = user(950);
    block.world().set_slot(absent, U256::ZERO, U256::from(7));
    block.ok(Request::call(user(0), Contract::Counter.at(0)).data(words(&[&0_u64])));
    let delegate = Delegate::new(absent, Contract::Counter.at(0), 0);
    let count = Request::call(user(1), absent).data(words(&[&0_u64]));
    block.ok(count.delegates(&[delegate]));
    holds_on_every_schedule(&Case::new("absent", block.finish()));
}

/// A native transfer costs what the configuration says, or is none.
#[test]
fn a_chain_with_its_own_price_of_a_transfer_is_charged_that() {
    for id in [GasId::tx_base_stipend(), GasId::tx_floor_cost_base_gas()] {
        let mut block = BlockBuilder::new(SpecId::PRAGUE);
        block.env().cfg_env.gas_params.override_gas([(id, 30_000)]);
        block.world().fund(BENEFICIARY, U256::ONE);
        block.ok(Request::transfer(user(0), user(1), 5).gas(50_000));
        block.ok(Request::call(user(2), Contract::Counter.at(0)).data(words(&[&0_u64])));
        block.ok(Request::call(user(3), Contract::Cell.at(0)).data(words(&[&0_u64, &1_u64])));
        let case = Case::new("price", block.finish());
        assert!(case.expected().0.receipts[0].cumulative_gas_used() >= 30_000);
        holds_on_every_schedule(&case);
    }
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
