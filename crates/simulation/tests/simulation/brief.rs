//! Calls that are begun where they arrive, and given up where they take longer.

use crate::{
    calls::{calls_of, world},
    world::{A, C, LIMITS, World, request, returning, word},
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use core::time::Duration;
use proptest::prelude::*;
use revm::bytecode::opcode::*;
use std::time::Instant;
use warpline_simulation::{Overrides, SimulationError, call, call_briefly};
use warpline_testing::evm::asm::Asm;

/// As long as any call here takes.
const LONG: Duration = Duration::from_secs(60);

fn briefly(
    world: &World,
    request: &TransactionRequest,
    within: Duration,
) -> Result<Option<Bytes>, String> {
    let called = call_briefly(world.below(), world.block(), request, LIMITS.gas_cap, within);
    called.map_err(|error| error.to_string())
}

/// Calls an address with all the gas there is, and returns what is left.
fn calling(opcode: u8, to: u64) -> Asm {
    let arguments = if matches!(opcode, CALL | CALLCODE) { 5 } else { 4 };
    let zeros = (0..arguments).fold(Asm::new(), |code, _| code.push(0u64));
    zeros.push(to).ops(&[GAS, opcode, POP, GAS])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn brief_calls_return_what_calls_return(seed: u64) {
        let (world, requests) = calls_of(seed);
        for request in requests {
            let overrides = Overrides::default();
            let full = call(world.below(), world.block(), &request, overrides, &LIMITS);
            let full = full.map_err(|error: SimulationError<_>| error.to_string());
            match briefly(&world, &request, LONG) {
                // It would have called what takes long.
                Ok(None) => {}
                brief => prop_assert_eq!(brief, full.map(Some)),
            }
        }
    }
}

#[test]
fn a_brief_call_has_all_the_gas() {
    for opcode in [CALL, CALLCODE, DELEGATECALL, STATICCALL] {
        for to in [0u64, 1, 2, 4, 6, 7, 0x100, 0xcafe] {
            let world = world(returning(calling(opcode, to)));
            let request = request(A, C, []);
            let overrides = Overrides::default();
            let full = call(world.below(), world.block(), &request, overrides, &LIMITS).unwrap();
            assert!(word(&full) > U256::from(40_000_000));
            assert_eq!(briefly(&world, &request, LONG), Ok(Some(full)), "{opcode} of {to}");
        }
    }
}

#[test]
fn what_cannot_be_interrupted_is_not_begun() {
    for to in [5, 8, 9, 10, 11, 17] {
        for opcode in [CALL, CALLCODE, DELEGATECALL, STATICCALL] {
            let world = world(returning(calling(opcode, to)));
            assert_eq!(briefly(&world, &request(A, C, []), LONG), Ok(None), "{opcode} of {to}");
        }
        let precompile = Address::from_word(U256::from(to).into());
        assert_eq!(briefly(&world(Bytes::new()), &request(A, precompile, []), LONG), Ok(None));
    }
    let create = TransactionRequest { to: Some(TxKind::Create), ..request(A, C, [STOP]) };
    assert_eq!(briefly(&world(Bytes::new()), &create, LONG), Ok(None));
    let unlimited = call_briefly(
        world(Bytes::new()).below(),
        world(Bytes::new()).block(),
        &request(A, C, []),
        0,
        LONG,
    );
    assert!(unlimited.unwrap().is_none());
}

#[test]
fn a_call_that_takes_longer_is_given_up() {
    let hashing = |bytes: u64| Asm::new().push(bytes).push(0u64).ops(&[KECCAK256]);
    let endless = world(Asm::new().label("again").jump("again").finish());
    let start = Instant::now();
    assert_eq!(briefly(&endless, &request(A, C, []), Duration::from_millis(5)), Ok(None));
    assert!(start.elapsed() < Duration::from_secs(10));
    // No jump in it, but each of these takes a while.
    let at_once = Duration::ZERO;
    assert_eq!(briefly(&world(returning(hashing(1 << 20))), &request(A, C, []), at_once), Ok(None));
    assert!(
        briefly(&world(returning(hashing(32))), &request(A, C, []), at_once).unwrap().is_some()
    );
    let calls = (0..200).fold(Asm::new(), |code, _| {
        let zeros = (0..4).fold(code, |code, _| code.push(0u64));
        zeros.push(0xcafe_u64).ops(&[GAS, STATICCALL, POP])
    });
    assert_eq!(briefly(&world(calls.finish()), &request(A, C, []), at_once), Ok(None));
}

#[test]
fn what_fails_fails_briefly_too() {
    let world = world(Asm::new().op(ADD).finish());
    let failed = briefly(&world, &request(A, C, []), LONG);
    assert_eq!(failed, Err("stack underflow".to_owned()));
    let poor = TransactionRequest { value: Some(U256::MAX), ..request(A, C, []) };
    assert!(briefly(&world, &poor, LONG).is_err());
}
