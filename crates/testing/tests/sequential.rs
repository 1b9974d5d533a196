//! Every scenario and many generated blocks, executed in order by alloy-evm on revm's own state:
//! what the blocks say they come to is what they come to.

#![allow(clippy::expect_used, reason = "tests")]

use alloy_consensus::TxReceipt;
use alloy_evm::{
    Evm, EvmFactory,
    block::{BlockExecutionError, BlockExecutor, BlockExecutorFactory},
};
use alloy_primitives::Address;
use proptest::{prelude::*, test_runner::RngSeed};
use revm::{
    Database,
    database::{State, WrapDatabaseRef},
    state::AccountInfo,
};
use warpline_testing::evm::{Fact, GeneratedBlock, MemoryParent, Rejection, plan, scenarios};

type SequentialState<'a> = State<WrapDatabaseRef<&'a MemoryParent>>;

/// Executes the block and compares with what it expects; returns what is wrong.
fn disagreement(block: &GeneratedBlock) -> Result<(), String> {
    let factory = block.rules.factory();
    let mut state =
        State::builder().with_database(WrapDatabaseRef(&block.parent)).with_bundle_update().build();
    let evm = factory.evm_factory().create_evm(&mut state, block.env.clone());
    let mut executor = factory.create_executor(evm, block.ctx.as_eth());
    executor.apply_pre_execution_changes().map_err(|error| format!("pre-execution: {error}"))?;

    for (index, (env, tx)) in block.txs.iter().enumerate() {
        match (executor.execute_transaction((env.clone(), tx)), block.expected.rejected) {
            (Ok(_), Some((bad, reason))) if bad == index => {
                return Err(format!("transaction {index} should be rejected: {reason:?}"));
            }
            (Ok(_), _) => {}
            (Err(error), Some((bad, reason))) if bad == index => {
                return match Rejection::of(&error) {
                    Some(found) if found == reason => statuses(executor.receipts(), block),
                    _ => Err(format!("transaction {index}: not {reason:?} but {error}")),
                };
            }
            (Err(error), _) => return Err(format!("transaction {index}: {error}")),
        }
    }
    statuses(executor.receipts(), block)?;
    let finished: Result<_, BlockExecutionError> = executor.finish();
    match (finished, block.expected.fails_at_end) {
        (Ok((evm, _)), false) => drop(evm.into_db()),
        (Ok(_), true) => return Err("the end of the block should fail".into()),
        (Err(_), true) => return Ok(()),
        (Err(error), false) => return Err(format!("post-execution: {error}")),
    }
    block.expected.facts.iter().try_for_each(|fact| {
        holds(&mut state, fact).map_err(|found| format!("{fact:?} does not hold: {found}"))
    })
}

fn statuses<R: TxReceipt>(receipts: &[R], block: &GeneratedBlock) -> Result<(), String> {
    let found: Vec<bool> = receipts.iter().map(TxReceipt::status).collect();
    if found == block.expected.statuses {
        return Ok(());
    }
    let expected = &block.expected.statuses;
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected);
    Err(match at {
        Some(index) => format!("transaction {index}: success is {}", found[index]),
        None => format!("{} receipts, expected {}", found.len(), expected.len()),
    })
}

fn holds(state: &mut SequentialState<'_>, fact: &Fact) -> Result<(), String> {
    match *fact {
        Fact::Balance(address, wei) => same(account(state, address).balance, wei),
        Fact::Nonce(address, nonce) => same(account(state, address).nonce, nonce),
        Fact::Slot(address, slot, value) => {
            account(state, address);
            same(state.storage(address, slot).expect("reads from memory work"), value)
        }
        Fact::HasCode(address, has) => same(!account(state, address).is_empty_code_hash(), has),
        Fact::Delegation(address, to) => {
            let info = account(state, address);
            let mut by_hash = |hash| state.code_by_hash(hash).expect("reads from memory work");
            let code = info.code.unwrap_or_else(|| by_hash(info.code_hash));
            same(code.eip7702_address(), to)
        }
        Fact::Absent(address) => same(state.basic(address).expect("reads from memory work"), None),
    }
}

fn account(state: &mut SequentialState<'_>, address: Address) -> AccountInfo {
    state.basic(address).expect("reads from memory work").unwrap_or_default()
}

fn same<T: PartialEq + core::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}")) }
}

#[test]
fn every_scenario_comes_to_what_it_says() {
    let wrong: Vec<_> = scenarios::all()
        .into_iter()
        .filter_map(|(name, block)| Some(format!("{name}: {}", disagreement(&block).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} scenarios are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn generated_blocks_come_to_what_their_shadow_says() {
    let wrong: Vec<_> = (0..300)
        .filter_map(|seed| {
            let block = plan::block_from_seed(seed);
            Some(format!("seed {seed} ({:?}): {}", block.spec, disagreement(&block).err()?))
        })
        .collect();
    assert!(wrong.is_empty(), "{} blocks are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(7_702),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn planned_blocks_come_to_what_their_shadow_says(plan in plan::plans(30)) {
        prop_assert_eq!(disagreement(&plan.build()), Ok(()));
    }
}
