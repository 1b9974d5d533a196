//! Simulated blocks.

use crate::world::{A, B, C, LIMITS, World, request, returning, transfer, word};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::TransactionRequest;
use core::convert::Infallible;
use revm::bytecode::opcode::*;
use std::collections::BTreeMap;
use warpline_simulation::{
    AccountOverride, BlockOverrides, BlockStateCalls, InvalidCall, SimulateError, SimulateRequest,
    SimulatedBlock, SimulationError, StateOverrides, StateRoots, TRANSFER_EMITTER, simulate,
};
use warpline_testing::evm::{MemoryParent, asm::Asm};
use warpline_types::{AccountState, StateDiff};

/// All accounts that changed; stands for the state in a root.
#[derive(Default)]
struct Accounts {
    now: BTreeMap<Address, Option<AccountState>>,
}

impl StateRoots for Accounts {
    type Error = Infallible;

    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, Infallible> {
        for account in &changes.accounts {
            self.now.insert(account.address, account.after);
        }
        Ok(keccak256(format!("{:?}", self.now)))
    }
}

type Failure = SimulateError<Infallible, Infallible>;

fn run(
    world: &World,
    request: &SimulateRequest,
) -> Result<(Vec<SimulatedBlock>, Accounts), Failure> {
    let mut roots = Accounts::default();
    let blocks = simulate(world.below(), &mut roots, world.block(), request, &LIMITS)?;
    Ok((blocks, roots))
}

fn world() -> World {
    let mut state = MemoryParent::default();
    state.fund(A, U256::from(1_000_000_000_000_000_u64));
    World::new(state)
}

fn block(calls: Vec<TransactionRequest>) -> BlockStateCalls {
    BlockStateCalls { calls, ..BlockStateCalls::default() }
}

fn traced(blocks: Vec<BlockStateCalls>) -> SimulateRequest {
    SimulateRequest {
        block_state_calls: blocks,
        trace_transfers: true,
        ..SimulateRequest::default()
    }
}

fn deployed(address: Address, code: Bytes, balance: u64) -> StateOverrides {
    let (code, balance) = (Some(code), Some(U256::from(balance)));
    StateOverrides::from([(address, AccountOverride { code, balance, ..Default::default() })])
}

/// Who sent how much to whom, and the number of the log.
fn transfers(block: &SimulatedBlock, call: usize) -> Vec<(Address, Address, u64, u64)> {
    let logs = block.calls[call].logs.iter();
    let of = |topic: B256| Address::from_word(topic);
    let logs = logs.filter(|log| log.log.address == TRANSFER_EMITTER);
    let logs = logs.map(|log| {
        let topics = log.log.data.topics();
        (of(topics[1]), of(topics[2]), word(&log.log.data.data).to(), log.index)
    });
    logs.collect()
}

#[test]
fn a_block_goes_on_where_the_one_before_ended() {
    let request = traced(vec![block(vec![transfer(A, B, 700)]), block(vec![transfer(B, C, 600)])]);
    let (blocks, accounts) = run(&world(), &request).unwrap();
    let balance = |address| accounts.now[&address].map(|account| account.balance);
    assert_eq!(balance(B), Some(U256::from(100)));
    assert_eq!(balance(C), Some(U256::from(600)));
    assert_eq!(accounts.now[&B].unwrap().nonce, 1);
    assert_eq!(blocks[1].header.parent_hash, blocks[0].hash);
    assert_eq!(blocks[0].header.hash_slow(), blocks[0].hash);
    assert_ne!(blocks[0].header.state_root, blocks[1].header.state_root);
    assert_eq!(transfers(&blocks[0], 0), [(A, B, 700, 0)]);
    assert_eq!(transfers(&blocks[1], 0), [(B, C, 600, 0)]);
}

#[test]
fn hashes_of_simulated_blocks_are_found() {
    let hash_of = |back: u64| Asm::new().push(back).ops(&[NUMBER, SUB, BLOCKHASH]);
    let overrides = deployed(C, returning(hash_of(1)), 0);
    let first = BlockStateCalls { state_overrides: Some(overrides), ..block(vec![]) };
    let world = world();
    let request = traced(vec![first, block(vec![request(A, C, [])])]);
    let (blocks, _) = run(&world, &request).unwrap();
    assert_eq!(word(&blocks[1].calls[0].outcome.output), U256::from_be_bytes(blocks[0].hash.0));
    assert_eq!(blocks[0].header.parent_hash, world.header.hash_slow());
}

#[test]
fn without_validation_a_nonce_begins_anew_after_the_last() {
    let last = AccountOverride { nonce: Some(u64::MAX), ..AccountOverride::default() };
    let overrides = StateOverrides::from([(B, last)]);
    let calls = vec![request(B, A, []), request(B, A, [])];
    let first = BlockStateCalls { state_overrides: Some(overrides), ..block(calls) };
    let request = SimulateRequest { validation: true, ..traced(vec![first.clone()]) };
    assert!(run(&world(), &request).is_err());
    let (_, accounts) = run(&world(), &traced(vec![first])).unwrap();
    assert_eq!(accounts.now[&B].unwrap().nonce, 1);
}

#[test]
fn what_a_contract_leaves_behind_when_it_ends_is_a_transfer() {
    let code = Asm::new().push(U256::from_be_slice(B.as_slice())).op(SELFDESTRUCT).finish();
    let overrides = deployed(C, code, 55);
    let first =
        BlockStateCalls { state_overrides: Some(overrides), ..block(vec![transfer(A, C, 5)]) };
    let (blocks, _) = run(&world(), &traced(vec![first])).unwrap();
    assert_eq!(transfers(&blocks[0], 0), [(A, C, 5, 0), (C, B, 60, 1)]);
}

#[test]
fn what_is_reverted_leaves_no_logs_but_takes_numbers() {
    let failing = Asm::new().push(0).push(0).op(LOG0).push(0).push(0).op(REVERT).finish();
    let overrides = deployed(C, failing, 0);
    let calls = vec![transfer(A, C, 5), transfer(A, B, 6)];
    let first = BlockStateCalls { state_overrides: Some(overrides), ..block(calls) };
    let (blocks, _) = run(&world(), &traced(vec![first])).unwrap();
    assert!(!blocks[0].calls[0].outcome.is_success() && blocks[0].calls[0].logs.is_empty());
    assert_eq!(transfers(&blocks[0], 1), [(A, B, 6, 2)]);
    assert!(blocks[0].header.logs_bloom.is_zero());
}

#[test]
fn validation_holds_nonces_and_fees_to_the_rules() {
    let reason = |call: TransactionRequest, validation| {
        let request = SimulateRequest { validation, ..traced(vec![block(vec![call])]) };
        match run(&world(), &request) {
            Ok(_) => None,
            Err(SimulateError::Simulation(SimulationError::Invalid { reason, .. })) => Some(reason),
            Err(error) => panic!("{error}"),
        }
    };
    let low = TransactionRequest { nonce: Some(3), ..transfer(A, B, 1) };
    let paying = |nonce| TransactionRequest {
        max_fee_per_gas: Some(100_000),
        gas: Some(21_000),
        nonce: Some(nonce),
        ..transfer(A, B, 1)
    };
    assert_eq!(reason(low.clone(), false), None);
    assert!(matches!(reason(low, true), Some(InvalidCall::NonceTooHigh { .. })));
    let free = transfer(A, B, 1);
    assert!(matches!(reason(free, true), Some(InvalidCall::FeeCapTooLow { .. })));
    assert_eq!(reason(paying(0), true), None);
    let starving = TransactionRequest { gas: Some(20_999), ..paying(0) };
    let want = InvalidCall::IntrinsicGas { have: 20_999, want: 21_000 };
    assert_eq!(reason(starving, false), Some(want));
}

#[test]
fn withdrawals_and_system_calls_are_part_of_the_block() {
    let mut world = world();
    let store = Asm::new().push(7).op(NUMBER).op(SSTORE).finish();
    world.state.deploy(HISTORY_STORAGE_ADDRESS, store);
    let withdrawal = Withdrawal { address: B, amount: 3, ..Withdrawal::default() };
    let overrides = BlockOverrides {
        withdrawals: Some(vec![withdrawal].into()),
        fee_recipient: Some(C),
        ..BlockOverrides::default()
    };
    let first = BlockStateCalls { block_overrides: Some(overrides), ..block(vec![]) };
    let (blocks, accounts) = run(&world, &traced(vec![first])).unwrap();
    assert_eq!(accounts.now[&B].unwrap().balance, U256::from(3_000_000_000_u64));
    assert!(accounts.now.contains_key(&HISTORY_STORAGE_ADDRESS));
    assert_eq!(blocks[0].header.beneficiary, C);
    assert_eq!(blocks[0].withdrawals.as_ref().map(|list| list.len()), Some(1));
    let encoded = alloy_consensus::Block::<warpline_executor::EthTransaction> {
        header: blocks[0].header.clone(),
        body: alloy_consensus::BlockBody {
            withdrawals: blocks[0].withdrawals.clone(),
            ..Default::default()
        },
    };
    assert_eq!(alloy_rlp::encode(encoded).len(), blocks[0].size);
}

#[test]
fn gas_ends_with_the_block_and_with_the_request() {
    let endless = Asm::new().label("again").jump("again").finish();
    let overrides = BlockOverrides { gas_limit: Some(1_000_000), ..BlockOverrides::default() };
    let first = BlockStateCalls {
        block_overrides: Some(overrides),
        state_overrides: Some(deployed(C, endless, 0)),
        calls: vec![request(A, C, [])],
    };
    let (blocks, _) = run(&world(), &traced(vec![first.clone()])).unwrap();
    assert_eq!(blocks[0].header.gas_used, 1_000_000);
    let asking = TransactionRequest { gas: Some(50_000), ..request(A, B, []) };
    let calls = vec![request(A, C, []), asking];
    let second = BlockStateCalls { calls, ..first };
    let Err(error) = run(&world(), &traced(vec![second])) else { panic!("too much gas") };
    assert_eq!(error.to_string(), "block gas limit reached: 1000000 >= 1000000");
}
