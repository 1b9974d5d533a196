//! That expectations, right or wrong, never show in the output, and that right ones avoid
//! conflicts.

use crate::support::{self, Case, conflicts, eager, independent, within};
use alloy_evm::{
    EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory, TxResult},
};
use alloy_primitives::U256;
use core::time::Duration;
use revm::{database::State, primitives::hardfork::SpecId};
use warpline_executor::{
    Expectations, Guidance, HintUses, ParallelConfig, ParallelExecutor, ParentState,
};
use warpline_testing::{
    evm::{
        asm::words, builder::BlockBuilder, contracts::Contract, plan, rng::Rng, tx::Request, user,
    },
    faults::{Fault, FaultyParent},
};
use warpline_types::{ExpectedAccesses, ExpectedSlot};

const LIMIT: Duration = Duration::from_secs(200);

/// What the transactions of a block touch, up to the first that is invalid.
pub(crate) fn touched(case: &Case) -> Vec<ExpectedAccesses> {
    let input = case.input();
    let state = State::builder().with_database(case.block.parent.open()).build();
    let evm = case.factory.evm_factory().create_evm(state, input.env);
    let mut executor = case.factory.create_executor(evm, input.ctx);
    let mut all = Vec::new();
    if executor.apply_pre_execution_changes().is_err() {
        return all;
    }
    for tx in input.txs {
        let Ok(result) = executor.execute_transaction_without_commit(tx) else { break };
        let state = &result.result().state;
        let slots = state.iter().flat_map(|(address, account)| {
            account.storage.iter().map(|(slot, value)| ExpectedSlot {
                address: *address,
                slot: *slot,
                written: value.is_changed(),
            })
        });
        let (accounts, slots) = (state.keys().copied().collect(), slots.collect());
        all.push(ExpectedAccesses { accounts, slots });
        executor.commit_transaction(result);
    }
    all
}

fn worked_out(accesses: &[ExpectedAccesses]) -> Expectations {
    Expectations::new(accesses.iter().map(|accesses| (accesses.clone(), 100_000)))
}

/// Expectations that are wrong in every way: too many, too few, of other transactions, writes
/// taken for reads.
fn spoiled(mut accesses: Vec<ExpectedAccesses>, rng: &mut Rng) -> Vec<ExpectedAccesses> {
    let all: Vec<_> = accesses.iter().flat_map(|one| one.slots.clone()).collect();
    for _ in 0..accesses.len() {
        let (one, other) = (below(rng, accesses.len()), below(rng, accesses.len()));
        accesses.swap(one, other);
        let slots = &mut accesses[one].slots;
        match below(rng, 4) {
            0 => slots.clear(),
            1 => slots.iter_mut().for_each(|slot| slot.written = !slot.written),
            2 if !all.is_empty() => slots.push(all[below(rng, all.len())]),
            _ => drop(slots.pop()),
        }
    }
    accesses.truncate(below(rng, accesses.len() + 1));
    accesses
}

fn below(rng: &mut Rng, limit: usize) -> usize {
    rng.below(limit as u64) as usize
}

fn any_uses(rng: &mut Rng) -> HintUses {
    let [order, early, choose, prefetch] = [0; 4].map(|_| below(rng, 4) > 0);
    HintUses { order, early, choose, prefetch }
}

#[test]
fn expectations_right_or_wrong_do_not_show_in_the_output() {
    within(LIMIT, || {
        let configs = [eager(2), eager(3), eager(8), ParallelConfig { prefetchers: 3, ..eager(2) }];
        let ethereum = configs.map(|c| ParallelExecutor::ethereum(c).expect("threads start"));
        let any = configs.map(|c| ParallelExecutor::new(c).expect("threads start"));
        let mut rng = Rng::new(7);
        let generated = (0..60).map(|seed| Case::new("generated", plan::block_from_seed(seed)));
        for case in [conflicts(), independent()].into_iter().chain(generated) {
            let expected = case.sequential(&case.block.parent).map_err(|e| e.to_string());
            let right = touched(&case);
            for accesses in
                [right.clone(), spoiled(right.clone(), &mut rng), spoiled(right, &mut rng)]
            {
                let known = worked_out(&accesses);
                let uses = any_uses(&mut rng);
                let guidance = Guidance { expected: Some(&known), uses, ..Guidance::default() };
                for (ethereum, any) in ethereum.iter().zip(&any) {
                    let outputs = [
                        case.guided_on(ethereum, guidance, &case.block.parent),
                        case.guided_on(any, guidance, &case.block.parent),
                    ];
                    for output in outputs {
                        let output = output.map(|(done, _)| done).map_err(|e| e.to_string());
                        assert!(output == expected, "{}: {uses:?}, {accesses:?}", case.name);
                    }
                }
            }
        }
    });
}

#[test]
fn schedules_by_expectations_do_not_show_in_the_output() {
    let mut rng = Rng::new(8);
    for seed in 0..150 {
        let config = ParallelConfig { rehearse: Some(seed), ..eager(1) };
        let executor = ParallelExecutor::ethereum(config).expect("threads start");
        let case = Case::new("generated", plan::block_from_seed(seed % 30));
        let expected = case.sequential(&case.block.parent).map_err(|e| e.to_string());
        let mut accesses = touched(&case);
        if seed % 2 == 1 {
            accesses = spoiled(accesses, &mut rng);
        }
        let known = worked_out(&accesses);
        let guidance =
            Guidance { expected: Some(&known), uses: any_uses(&mut rng), ..Guidance::default() };
        let output = case.guided_on(&executor, guidance, &case.block.parent);
        let output = output.map(|(done, _)| done).map_err(|e| e.to_string());
        assert!(output == expected, "seed {seed}");
    }
}

/// Calls of counters and pools that meet at slots in every possible order.
fn meeting() -> Case {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for round in 0..40_u64 {
        let sender = |offset: u64| user(((round + offset) % 16) as u16);
        let call = |offset, contract: Contract, words| {
            Request::call(sender(offset), contract.at(0)).data(words)
        };
        block.ok(call(0, Contract::Counter, words(&[&(round % 3)])));
        block.ok(call(1, Contract::Pool, words(&[&(round + 1)])));
        block.ok(call(2, Contract::Worker, words(&[&40_u64, &(round % 2)])));
    }
    Case::new("meeting", block.finish())
}

#[test]
fn right_expectations_leave_hardly_anything_to_execute_again() {
    within(LIMIT, || {
        let mut case = meeting();
        // An account that the first fee brings into being is another one to all after it.
        let beneficiary = case.block.env.block_env.beneficiary;
        case.block.parent.fund(beneficiary, U256::from(1));
        let known = worked_out(&touched(&case));
        let (mut with, mut without, mut ahead) = (0, 0, 0);
        for threads in [2, 3, 8] {
            let executor = support::ethereum(threads);
            let slow = Fault::DelayAll(Duration::from_micros(50));
            for _ in 0..10 {
                let run = |guidance| {
                    let parent = FaultyParent::new(&case.block.parent, slow, 0);
                    let (done, stats) =
                        case.guided_on(&executor, guidance, &parent).expect("it is sound");
                    assert!(done == case.expected());
                    stats
                };
                let stats = run(Guidance::expecting(&known));
                with += stats.re_executions;
                ahead += stats.committed_ahead;
                without += run(Guidance::default()).re_executions;
            }
        }
        assert!(ahead > 0, "nobody ran ahead");
        assert!(without > 5, "there is nothing to avoid: {without}");
        assert!(with * 4 <= without, "{with} re-executions instead of {without}");
    });
}

#[test]
fn a_serial_block_is_left_to_one_thread_unless_that_is_switched_off() {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for round in 0..12_u64 {
        let call = Request::call(user(round as u16), Contract::Pool.at(0));
        block.ok(call.data(words(&[&(round + 1)])));
    }
    let case = Case::new("serial", block.finish());
    let mut accesses = touched(&case);
    // Something that is looked at after the slots that all of them write.
    let last = |key| ExpectedSlot {
        address: Contract::Pool.at(0),
        slot: U256::from(1000 + key),
        written: false,
    };
    for (round, one) in accesses.iter_mut().enumerate() {
        one.slots.extend((0..8).map(|key| last(round * 8 + key)));
    }
    let known = worked_out(&accesses);
    let executor = support::ethereum(2);
    let threads = |uses| {
        let guidance = Guidance { expected: Some(&known), uses, ..Guidance::default() };
        let output = case.guided_on(&executor, guidance, &case.block.parent);
        output.expect("it is sound").1.threads
    };
    assert_eq!(threads(HintUses::ALL), 1);
    assert_eq!(threads(HintUses { choose: false, ..HintUses::ALL }), 2);
}

#[test]
fn expected_slots_are_read_before_they_are_needed() {
    within(LIMIT, || {
        let case = independent();
        let known = worked_out(&touched(&case));
        let config = ParallelConfig { prefetchers: 4, ..eager(1) };
        let executor = ParallelExecutor::ethereum(config).expect("threads start");
        let reads = |uses| {
            let slow = Fault::DelayAll(Duration::from_micros(100));
            let parent = FaultyParent::new(&case.block.parent, slow, 0);
            let guidance = Guidance { expected: Some(&known), uses, ..Guidance::default() };
            let (done, _) = case.guided_on(&executor, guidance, &parent).expect("it is sound");
            assert!(done == case.expected());
            parent.reads()
        };
        let none = HintUses { prefetch: false, ..HintUses::ALL };
        assert!(reads(HintUses::ALL) > reads(none) + 20);
    });
}
