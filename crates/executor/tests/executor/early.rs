//! That outcomes from before a block are committed where they still hold, and never show.

use crate::{
    guidance::touched,
    support::{self, Case, conflicts, eager, independent},
};
use alloy_primitives::{Address, B256, U256, map::HashSet};
use revm::{
    DatabaseRef,
    primitives::{StorageKey, StorageValue},
    state::{AccountInfo, Bytecode},
};
use std::slice;
use warpline_executor::{
    BlockInput, Dialect, EarlyOutcome, ExecStats, Guidance, ParallelConfig, ParallelExecutor,
};
use warpline_testing::evm::{Factory, plan, rng::Rng};
use warpline_types::ExpectedSlot;

/// Every transaction, executed on its own in `env`.
fn early<D: Dialect<Factory>>(
    case: &Case,
    executor: &ParallelExecutor<D>,
    change: impl Fn(&mut revm::context::BlockEnv),
    list_accesses: bool,
    parent: &(
         impl DatabaseRef<Error: core::error::Error + Send + Sync + 'static> + Sync + core::fmt::Debug
     ),
) -> Vec<Option<EarlyOutcome<Factory>>> {
    let input = case.input();
    let mut env = input.env;
    change(&mut env.block_env);
    let one = |tx| {
        let block = (env.clone(), input.ctx.clone());
        executor.execute_early(&case.factory, block, tx, list_accesses, parent)
    };
    input.txs.iter().map(one).collect()
}

/// Executes a block with early outcomes and holds it against the oracle.
fn run<D: Dialect<Factory>>(
    case: &Case,
    executor: &ParallelExecutor<D>,
    early: Vec<Option<EarlyOutcome<Factory>>>,
) -> Option<ExecStats> {
    let expected = case.sequential(&case.block.parent).map_err(|e| e.to_string());
    let guidance = Guidance::default();
    let output = executor.execute_with_early(
        &case.factory,
        case.input(),
        guidance,
        early,
        &case.block.parent,
    );
    let output = output.map_err(|e| e.to_string()).map(|mut output| {
        output.diff.sort();
        ((output.result, output.diff), output.stats)
    });
    let stats = output.as_ref().ok().map(|(_, stats)| *stats);
    assert!(output.map(|(done, _)| done) == expected, "{}", case.name);
    stats
}

#[test]
fn what_nobody_interferes_with_is_not_executed_again() {
    let mut case = independent();
    // An account that the first fee brings into being is another one to all after it.
    let beneficiary = case.block.env.block_env.beneficiary;
    case.block.parent.fund(beneficiary, U256::from(1));
    for threads in [1, 3] {
        let executor = support::ethereum(threads);
        let early = early(&case, &executor, |_| (), false, &case.block.parent);
        let stats = run(&case, &executor, early).expect("it is sound");
        assert_eq!(stats.committed_early, stats.transactions);
        assert_eq!((stats.executions, stats.re_executions), (0, 0));
    }
}

#[test]
fn an_outcome_tells_what_its_transaction_touched() {
    let executor = support::ethereum(1);
    let mut slots = 0;
    for seed in 0..60 {
        let case = Case::new("generated", plan::block_from_seed(seed));
        let early = early(&case, &executor, |_| (), false, &case.block.parent);
        let (Some(Some(first)), Some(touched)) = (early.first(), touched(&case).into_iter().next())
        else {
            continue;
        };
        let known = first.accesses();
        let set = |slots: Vec<ExpectedSlot>| slots.into_iter().collect::<HashSet<_>>();
        slots += known.slots.len();
        let (known_slots, touched_slots) = (set(known.slots), set(touched.slots));
        assert!(known_slots.is_subset(&touched_slots), "seed {seed}");
        // What a contract finds that was just made, nobody else can have written.
        let mut missing = touched_slots.difference(&known_slots);
        assert!(missing.all(|slot| !slot.written), "seed {seed}");
        let mut accounts = touched.accounts.iter();
        assert!(accounts.all(|account| known.accounts.contains(account)), "seed {seed}");
    }
    assert!(slots > 20, "{slots} slots");
}

#[test]
fn early_outcomes_do_not_show_in_the_output() {
    let mut rng = Rng::new(11);
    let rehearsed = ParallelConfig { rehearse: Some(5), ..eager(1) };
    let ethereum = [eager(1), eager(2), eager(8), rehearsed]
        .map(|config| ParallelExecutor::ethereum(config).expect("threads start"));
    let any =
        [eager(1), eager(3)].map(|config| ParallelExecutor::new(config).expect("threads start"));
    let (mut committed, mut outdated) = (0, 0);
    let generated = (0..120).map(|seed| Case::new("generated", plan::block_from_seed(seed)));
    for case in [conflicts(), independent()].into_iter().chain(generated) {
        let mut count = |stats: Option<ExecStats>| {
            committed += stats.map_or(0, |stats| stats.committed_early);
            outdated += stats.map_or(0, |stats| stats.outdated_early);
        };
        for executor in &ethereum {
            let mut early = early(&case, executor, |_| (), false, &case.block.parent);
            early.iter_mut().for_each(|one| drop(one.take_if(|_| rng.once_in(3))));
            count(run(&case, executor, early));
        }
        for executor in &any {
            count(run(&case, executor, early(&case, executor, |_| (), false, &case.block.parent)));
        }
    }
    assert!(committed > 500 && outdated > 500, "{committed} committed, {outdated} outdated");
}

#[test]
fn a_block_that_pays_otherwise_takes_no_early_outcome() {
    let case = independent();
    let executor = support::ethereum(2);
    let other_fee = early(&case, &executor, |block| block.basefee += 1, false, &case.block.parent);
    assert_eq!(run(&case, &executor, other_fee).expect("it is sound").committed_early, 0);
    let elsewhere = |block: &mut revm::context::BlockEnv| block.beneficiary = Address::ZERO;
    let other_payee = early(&case, &executor, elsewhere, false, &case.block.parent);
    assert_eq!(run(&case, &executor, other_payee).expect("it is sound").committed_early, 0);
}

#[test]
fn the_time_of_the_block_matters_only_to_who_looks_at_it() {
    let later = |block: &mut revm::context::BlockEnv| {
        block.timestamp += U256::from(12);
        block.number += U256::from(1);
        block.prevrandao = Some(B256::repeat_byte(7));
    };
    let case = independent();
    let executor = support::ethereum(1);
    let outcomes = early(&case, &executor, later, false, &case.block.parent);
    assert!(run(&case, &executor, outcomes).expect("it is sound").committed_early > 0);
    let any = support::any(1);
    let outcomes = early(&case, &any, later, false, &case.block.parent);
    assert_eq!(run(&case, &any, outcomes).expect("it is sound").committed_early, 0);
    // Generated contracts look at all of it.
    for seed in 0..120 {
        let case = Case::new("generated", plan::block_from_seed(seed));
        let outcomes = early(&case, &executor, later, false, &case.block.parent);
        run(&case, &executor, outcomes);
    }
}

/// A state in which other blocks have changed slots and balances.
#[derive(Debug)]
struct Elsewhere<P>(P, u64);

impl<P: DatabaseRef> DatabaseRef for Elsewhere<P> {
    type Error = P::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, P::Error> {
        let mut info = self.0.basic_ref(address)?;
        let mut rng = Rng::new(self.1 ^ u64::from(address[19]));
        if let Some(info) = info.as_mut().filter(|_| rng.once_in(2)) {
            info.balance += U256::from(rng.below(1000));
        }
        Ok(info)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, P::Error> {
        self.0.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, key: StorageKey) -> Result<StorageValue, P::Error> {
        let value = self.0.storage_ref(address, key)?;
        let change = Rng::new(self.1 ^ key.as_limbs()[0] ^ u64::from(address[19])).once_in(6);
        Ok(if change { value + U256::from(1) } else { value })
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, P::Error> {
        self.0.block_hash_ref(number)
    }
}

#[test]
fn outcomes_of_another_state_are_committed_only_where_all_they_read_is_the_same() {
    let (mut committed, mut outdated) = (0, 0);
    for seed in 0..150 {
        let case = Case::new("generated", plan::block_from_seed(seed));
        let executor = support::ethereum(1 + seed as usize % 3);
        let elsewhere = Elsewhere(&case.block.parent, seed);
        let outcomes = early(&case, &executor, |_| (), false, &elsewhere);
        let stats = run(&case, &executor, outcomes);
        committed += stats.map_or(0, |stats| stats.committed_early);
        outdated += stats.map_or(0, |stats| stats.outdated_early);
    }
    assert!(committed > 100 && outdated > 100, "{committed} committed, {outdated} outdated");
}

#[test]
fn a_block_whose_access_list_is_wanted_takes_outcomes_that_know_theirs() {
    for seed in 0..60 {
        let case = Case::new("generated", plan::block_from_seed(seed));
        let executor = support::ethereum(2);
        let guidance = Guidance { list_accesses: true, ..Guidance::default() };
        let plain = case.guided(&executor, guidance).map(|guided| guided.access_list).ok();
        for listed in [false, true] {
            let outcomes = early(&case, &executor, |_| (), listed, &case.block.parent);
            let some = outcomes.iter().any(Option::is_some);
            let output = executor.execute_with_early(
                &case.factory,
                case.input(),
                guidance,
                outcomes,
                &case.block.parent,
            );
            if let Ok(output) = &output {
                assert!(listed || output.stats.committed_early == 0, "seed {seed}");
                assert!(!some || seed != 0 || !listed || output.stats.committed_early > 0);
            }
            assert_eq!(output.map(|output| output.access_list).ok(), plain, "seed {seed}");
        }
    }
}

#[test]
fn whether_an_outcome_holds_is_known_without_a_block() {
    let (mut held, mut not) = (0, 0);
    for seed in 0..60 {
        let case = Case::new("generated", plan::block_from_seed(seed));
        let executor = support::ethereum(1);
        let elsewhere = Elsewhere(&case.block.parent, seed);
        let outcomes = early(&case, &executor, |_| (), false, &elsewhere);
        let input = case.input();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let Some(outcome) = outcome else { continue };
            let tx = &input.txs[at];
            let holds = executor.early_holds(&input.env, tx, &outcome, false, &case.block.parent);
            // What holds is committed if it comes first in a block, and only that.
            let alone = BlockInput { txs: slice::from_ref(tx), ..case.input() };
            let output = executor.execute_with_early(
                &case.factory,
                alone,
                Guidance::default(),
                vec![Some(outcome)],
                &case.block.parent,
            );
            // Later ones of a sender cannot come first.
            let Ok(output) = output else { continue };
            assert_eq!(output.stats.committed_early, u64::from(holds), "seed {seed}, {at}");
            held += u64::from(holds);
            not += u64::from(!holds);
        }
    }
    assert!(held > 50 && not > 50, "{held} hold, {not} do not");
}
