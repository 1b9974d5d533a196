//! Changes of callers to state and block.

use crate::world::{A, B, C, LIMITS, World, request, returning, word};
use alloy_primitives::{Address, B256, Bytes, U256, address};
use revm::bytecode::opcode::*;
use serde_json::json;
use warpline_simulation::{
    AccountOverride, BlockOverrides, Overrides, SimulationError, StateOverrides, call,
};
use warpline_testing::evm::{MemoryParent, asm::Asm};

const IDENTITY: Address = address!("0000000000000000000000000000000000000004");

fn world(code: Asm) -> World {
    let mut state = MemoryParent::default();
    state.deploy(C, returning(code));
    state.set_slot(C, U256::from(1), U256::from(11));
    state.set_slot(C, U256::from(2), U256::from(22));
    World::new(state)
}

fn run(
    world: &World,
    to: Address,
    input: Bytes,
    overrides: Overrides<'_>,
) -> Result<Bytes, String> {
    let got = call(world.below(), world.block(), &request(A, to, input), overrides, &LIMITS);
    got.map_err(|error| error.to_string())
}

fn with_state(world: &World, account: AccountOverride) -> Result<U256, String> {
    let state = StateOverrides::from([(C, account)]);
    let overrides = Overrides { state: Some(&state), block: None };
    run(world, C, Bytes::new(), overrides).map(|output| word(&output))
}

fn slots(list: &[(u64, u64)]) -> Option<std::collections::BTreeMap<B256, B256>> {
    let word = |number: u64| B256::from(U256::from(number));
    Some(list.iter().map(|(slot, value)| (word(*slot), word(*value))).collect())
}

#[test]
fn storage_is_replaced_in_part_or_as_a_whole() {
    let sum = world(Asm::new().load(1).load(2).op(ADD));
    assert_eq!(with_state(&sum, AccountOverride::default()), Ok(U256::from(33)));
    let some = AccountOverride { state_diff: slots(&[(1, 5)]), ..Default::default() };
    assert_eq!(with_state(&sum, some.clone()), Ok(U256::from(27)));
    let all = AccountOverride { state: slots(&[(1, 5)]), ..Default::default() };
    assert_eq!(with_state(&sum, all.clone()), Ok(U256::from(5)));
    let both = AccountOverride { state: all.state, ..some };
    let words = format!("account {C} has both 'state' and 'stateDiff'");
    assert_eq!(with_state(&sum, both), Err(words));
}

#[test]
fn balance_and_code_are_what_callers_say() {
    let own = world(Asm::new().op(SELFBALANCE));
    let rich = AccountOverride { balance: Some(U256::from(77)), ..Default::default() };
    assert_eq!(with_state(&own, rich), Ok(U256::from(77)));
    let code = Some(returning(Asm::new().push(9)));
    let other = AccountOverride { code, ..Default::default() };
    assert_eq!(with_state(&own, other), Ok(U256::from(9)));
}

#[test]
fn a_moved_precompile_answers_there_only_and_costs_an_access() {
    let world = world(Asm::new().push(0));
    let input = Bytes::from_static(b"same");
    let moved =
        AccountOverride { move_precompile_to_address: Some(B), ..AccountOverride::default() };
    let state = StateOverrides::from([(IDENTITY, moved.clone())]);
    let overrides = Overrides { state: Some(&state), block: None };
    assert_eq!(run(&world, B, input.clone(), overrides), Ok(input.clone()));
    assert_eq!(run(&world, IDENTITY, input, overrides), Ok(Bytes::new()));

    // Gas of a call from code to the address in the input.
    let call_it = Asm::new().op(GAS).push(0).push(0).push(0).push(0).push(0).word(0).op(GAS);
    let cost = returning(call_it.op(CALL).op(POP).op(GAS).ops(&[SWAP1, SUB]));
    let code = AccountOverride { code: Some(cost), ..Default::default() };
    let state = StateOverrides::from([(IDENTITY, moved), (C, code)]);
    let overrides = Overrides { state: Some(&state), block: None };
    let spent = |to: Address| word(&run(&world, C, to.into_word().0.into(), overrides).unwrap());
    let (there, gone) = (spent(B), spent(IDENTITY));
    assert_eq!(there - gone, U256::from(2_600 - 100 + 15), "{there} {gone}");
}

#[test]
fn moves_that_make_no_sense_are_refused() {
    let world = world(Asm::new().push(0));
    let refused = |overrides: serde_json::Value| {
        let state: StateOverrides = serde_json::from_value(overrides).unwrap();
        let overrides = Overrides { state: Some(&state), block: None };
        run(&world, C, Bytes::new(), overrides).unwrap_err()
    };
    let to = |to: Address| json!({ "movePrecompileToAddress": to });
    let none = refused(json!({ C.to_string(): to(B) }));
    assert_eq!(none, format!("account {C} is not a precompile"));
    let taken = refused(json!({ IDENTITY.to_string(): to(B), B.to_string(): {} }));
    assert_eq!(taken, format!("account {B} is already overridden"));
    let itself = refused(json!({ IDENTITY.to_string(): to(IDENTITY) }));
    assert_eq!(itself, format!("account {IDENTITY} is already overridden"));
}

#[test]
fn the_block_is_what_callers_say() {
    let fields: [(u8, serde_json::Value, u64); 6] = [
        (NUMBER, json!({ "number": "0x1000000", "unknown": 5 }), 0x100_0000),
        (TIMESTAMP, json!({ "time": "0x7fffffff" }), 0x7fff_ffff),
        (GASLIMIT, json!({ "gasLimit": "0x5" }), 5),
        (BASEFEE, json!({ "baseFeePerGas": "0x9" }), 0),
        (BLOBBASEFEE, json!({ "blobBaseFee": "0x8" }), 8),
        (DIFFICULTY, json!({ "prevRandao": B256::from(U256::from(6)) }), 6),
    ];
    for (opcode, overrides, expected) in fields {
        let world = world(Asm::new().op(opcode));
        let block: BlockOverrides = serde_json::from_value(overrides).unwrap();
        let overrides = Overrides { state: None, block: Some(&block) };
        let output = run(&world, C, Bytes::new(), overrides).unwrap();
        // A call that pays nothing finds no base fee.
        assert_eq!(word(&output), U256::from(expected), "{opcode:#x}");
    }
}

#[test]
fn what_is_no_field_of_a_calls_block_is_refused() {
    let world = world(Asm::new().push(0));
    for (overrides, words) in [
        (json!({ "withdrawals": [] }), "block override \"withdrawals\" is not supported"),
        (json!({ "beaconRoot": B256::ZERO }), "block override \"beaconRoot\" is not supported"),
        (json!({ "number": U256::MAX }), "block override \"number\" is too large"),
    ] {
        let block: BlockOverrides = serde_json::from_value(overrides).unwrap();
        let overrides = Overrides { state: None, block: Some(&block) };
        let got = call(world.below(), world.block(), &request(A, C, []), overrides, &LIMITS);
        let Err(SimulationError::Override(error)) = got else { panic!("{got:?}") };
        assert!(error.to_string().contains(words), "{error}");
    }
}
