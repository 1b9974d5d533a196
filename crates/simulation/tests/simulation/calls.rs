//! Calls, estimates and access lists.

use crate::world::{A, B, C, LIMITS, World, request, returning, transfer, word};
use alloy_primitives::{Bytes, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_sol_types::{Revert, SolError};
use core::time::Duration;
use proptest::prelude::*;
use revm::{
    bytecode::opcode::*,
    context_interface::result::{ExecutionResult, HaltReason},
    database::WrapDatabaseRef,
};
use std::time::Instant;
use warpline_simulation::{
    InvalidCall, Limits, Overrides, SimulationError, call, create_access_list, estimate_gas,
};
use warpline_testing::{
    evm::{MemoryParent, asm::Asm, contracts::Contract, plan},
    faults::{Fault, FaultyParent},
};

const NONE: Overrides<'static> = Overrides { state: None, block: None };

/// Every transaction of a generated block as a call on the state before it.
pub(crate) fn calls_of(seed: u64) -> (World, Vec<TransactionRequest>) {
    let block = plan::block_from_seed(seed);
    let requests = block.txs.iter().map(|(tx, _)| TransactionRequest {
        to: Some(tx.kind),
        value: Some(tx.value),
        access_list: Some(tx.access_list.clone()),
        ..request(tx.caller, Default::default(), tx.data.clone())
    });
    let requests = requests.collect();
    (World::new(block.parent), requests)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn calls_return_what_revm_returns(seed: u64) {
        let (world, requests) = calls_of(seed);
        for request in requests {
            let affordable = revm::DatabaseRef::basic_ref(&world.state, request.from.unwrap());
            let balance = affordable.unwrap().map_or(U256::ZERO, |info| info.balance);
            let got = call(world.below(), world.block(), &request, NONE, &LIMITS);
            if balance < request.value.unwrap() {
                let refused = matches!(
                    got,
                    Err(SimulationError::Invalid { reason: InvalidCall::InsufficientFunds { .. }, .. })
                );
                prop_assert!(refused);
                continue;
            }
            match world.plainly(&request) {
                ExecutionResult::Success { output, .. } => prop_assert_eq!(&got.unwrap(), output.data()),
                ExecutionResult::Revert { output, .. } => {
                    let same = matches!(&got, Err(SimulationError::Reverted(data)) if *data == output);
                    prop_assert!(same, "{:?}", got);
                }
                ExecutionResult::Halt { .. } => {
                    prop_assert!(matches!(got, Err(SimulationError::Failed(_))), "{:?}", got);
                }
            }
        }
    }

    #[test]
    fn an_estimate_suffices(seed: u64) {
        let (world, requests) = calls_of(seed);
        for mut request in requests {
            let estimate = estimate_gas(world.below(), world.block(), &request, NONE, &LIMITS);
            let Ok(gas) = estimate else { continue };
            request.gas = Some(gas);
            prop_assert!(call(world.below(), world.block(), &request, NONE, &LIMITS).is_ok());
        }
    }

    #[test]
    fn a_list_of_accesses_is_complete(seed: u64) {
        let (world, requests) = calls_of(seed);
        // Some programs access more whenever more has been paid for.
        let limits = Limits { timeout: Some(Duration::from_secs(5)), ..LIMITS };
        for mut request in requests {
            let accesses = create_access_list(world.below(), world.block(), &request, NONE, &limits);
            let Ok(accesses) = accesses else { continue };
            request.access_list = Some(accesses.list.clone());
            let again = create_access_list(world.below(), world.block(), &request, NONE, &limits);
            prop_assert_eq!(again.unwrap(), accesses.clone());
            let plainly = world.plainly(&request);
            prop_assert_eq!(plainly.tx_gas_used(), accesses.gas_used);
            prop_assert_eq!(plainly.is_success(), accesses.error.is_none());
        }
    }
}

pub(crate) fn world(code: Bytes) -> World {
    let mut state = MemoryParent::default();
    state.fund(A, U256::from(1_000_000_000_u64));
    state.deploy(C, code);
    World::new(state)
}

#[test]
fn a_transfer_is_estimated_to_the_unit() {
    let world = world(Bytes::new());
    let gas = estimate_gas(world.below(), world.block(), &transfer(A, B, 5), NONE, &LIMITS);
    assert_eq!(gas.unwrap(), 21_000);
}

#[test]
fn what_no_gas_helps_is_told() {
    let estimate = |world: &World, request: &TransactionRequest| {
        let gas = estimate_gas(world.below(), world.block(), request, NONE, &LIMITS);
        gas.unwrap_err().to_string()
    };
    let reason: Bytes = Revert::from("no").abi_encode().into();
    let revert = Asm::new().data_to_memory(&reason).push(reason.len() as u64).push(0u64).op(REVERT);
    let reverting = world(revert.finish());
    assert_eq!(estimate(&reverting, &request(A, C, [])), "execution reverted: no");
    let invalid = world(Asm::new().op(INVALID).finish());
    assert_eq!(estimate(&invalid, &request(A, C, [])), "invalid opcode: INVALID");
    let endless = world(Asm::new().label("again").jump("again").finish());
    let cap = "gas required exceeds allowance (16777216)";
    assert_eq!(estimate(&endless, &request(A, C, [])), cap);
    let paying = TransactionRequest { gas_price: Some(2_000), ..request(A, C, []) };
    assert_eq!(estimate(&endless, &paying), "gas required exceeds allowance (500000)");
    let poor = transfer(B, A, 5);
    assert!(estimate(&endless, &poor).contains("insufficient funds for gas * price + value"));
    let poor = TransactionRequest { gas_price: Some(2_000), ..poor };
    assert_eq!(estimate(&endless, &poor), "insufficient funds for transfer");
}

#[test]
fn fees_are_held_against_the_block_when_there_are_any() {
    let world = world(returning(Asm::new().op(GASPRICE)));
    let with = |price: Option<u128>, cap: Option<u128>, tip: Option<u128>| {
        let request = TransactionRequest {
            gas: Some(50_000),
            gas_price: price,
            max_fee_per_gas: cap,
            max_priority_fee_per_gas: tip,
            ..request(A, C, [])
        };
        let got = call(world.below(), world.block(), &request, NONE, &LIMITS);
        got.map(|output| word(&output).to::<u64>()).map_err(|error| error.to_string())
    };
    assert_eq!(with(None, None, None), Ok(0));
    assert_eq!(with(Some(1_500), None, None), Ok(1_500));
    assert_eq!(with(None, Some(2_000), Some(7)), Ok(1_007));
    let wrong = |price, cap, tip, words: &str| {
        let error = with(price, cap, tip).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    wrong(Some(999), None, None, "max fee per gas less than block base fee");
    wrong(None, Some(2_000), Some(2_001), "max priority fee per gas higher than max fee per gas");
    wrong(Some(1_000_000), None, None, "insufficient funds for gas * price + value");
    wrong(Some(1), Some(1), None, "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas)");
}

#[test]
fn a_call_that_takes_too_long_is_stopped() {
    let world = world(Asm::new().label("again").jump("again").finish());
    let limits = Limits { gas_cap: 0, timeout: Some(Duration::from_millis(100)) };
    let start = Instant::now();
    let error = call(world.below(), world.block(), &request(A, C, []), NONE, &limits).unwrap_err();
    assert_eq!(error.to_string(), "execution aborted (timeout = 100ms)");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_state_that_cannot_be_read_is_no_verdict() {
    let code = Asm::new().load(1).load(2).op(ADD);
    let world = world(returning(code));
    let request = request(A, C, []);
    let parent = |n| FaultyParent::new(&world.state, Fault::Error, n);
    let mut failed = 0;
    loop {
        let faulty = parent(failed);
        match call(WrapDatabaseRef(&faulty), world.block(), &request, NONE, &LIMITS) {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, SimulationError::State(_)), "{error}"),
        }
        failed += 1;
    }
    assert!(failed >= 4, "sender, callee, code and slots: {failed}");
}

#[test]
fn failures_have_their_words() {
    let failing = world(Asm::new().op(ADD).finish());
    let error = call(failing.below(), failing.block(), &request(A, C, []), NONE, &LIMITS);
    assert_eq!(error.unwrap_err().to_string(), "stack underflow");
    let create = TransactionRequest {
        to: Some(TxKind::Create),
        ..request(A, C, Contract::ALL[0].init_code())
    };
    assert!(call(failing.below(), failing.block(), &create, NONE, &LIMITS).is_ok());
    let halt = failing.plainly(&request(A, C, []));
    assert!(matches!(halt, ExecutionResult::Halt { reason: HaltReason::StackUnderflow, .. }));
}
