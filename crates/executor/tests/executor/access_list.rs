//! The block access list that comes of a parallel execution against the one that revm's own
//! builder makes, entry for entry; and the list as a hint.

use crate::support::{Case, any, conflicts, eager, ethereum, independent};
use alloy_eips::eip7928::{BlockAccessIndex, BlockAccessList, CodeChange, NonceChange};
use alloy_primitives::U256;
use proptest::{prelude::*, test_runner::RngSeed};
use revm::primitives::hardfork::SpecId;
use std::sync::LazyLock;
use warpline_executor::{
    AnyFactory, Dialect, Ethereum, Guidance, ParallelConfig, ParallelExecutor,
};
use warpline_testing::evm::{Factory, GeneratedBlock, plan, rng::Rng, scenarios, user};

const THREADS: [usize; 4] = [1, 2, 3, 8];

struct Executors {
    ethereum: [ParallelExecutor<Ethereum>; 4],
    any: [ParallelExecutor<AnyFactory>; 4],
}

static EXECUTORS: LazyLock<Executors> =
    LazyLock::new(|| Executors { ethereum: THREADS.map(ethereum), any: THREADS.map(any) });

/// Executors whose schedules these numbers decide.
fn rehearsed(seed: u64) -> (ParallelExecutor<Ethereum>, ParallelExecutor<AnyFactory>) {
    let config = ParallelConfig { rehearse: Some(seed), ..eager(1) };
    let ethereum = ParallelExecutor::ethereum(config).expect("no threads to start");
    (ethereum, ParallelExecutor::new(config).expect("no threads to start"))
}

fn assert_lists_as_revm_does<D: Dialect<Factory>>(
    name: &str,
    case: &Case,
    executor: &ParallelExecutor<D>,
) {
    let Some((done, expected)) = case.listed() else { return };
    let guidance = Guidance { list_accesses: true, ..Guidance::default() };
    let actual = case.guided(executor, guidance).expect("the oracle accepts it");
    let list = actual.access_list.expect("it was asked for");
    let config = executor.config();
    for (actual, expected) in list.iter().zip(&expected) {
        assert_eq!(actual, expected, "{name}, {config:?}");
    }
    assert_eq!(list.len(), expected.len(), "{name}, {config:?}");
    assert!(actual.done == done, "{name}, {config:?}: another outcome");
}

fn assert_lists_on_all(name: &str, case: &Case, seed: u64) {
    for executor in &EXECUTORS.ethereum {
        assert_lists_as_revm_does(name, case, executor);
    }
    for executor in &EXECUTORS.any {
        assert_lists_as_revm_does(name, case, executor);
    }
    for seed in [seed, seed ^ 0x5eed] {
        let (ethereum, any) = rehearsed(seed);
        assert_lists_as_revm_does(name, case, &ethereum);
        assert_lists_as_revm_does(name, case, &any);
    }
}

fn generated(block: GeneratedBlock) -> Case {
    Case::new("generated", block)
}

#[test]
fn no_list_is_made_unless_it_is_asked_for() {
    let case = conflicts();
    let output = case.guided(&ethereum(2), Guidance::default()).expect("it is sound");
    assert!(output.access_list.is_none());
}

#[test]
fn the_list_of_every_named_scenario_is_revms() {
    for (name, block) in scenarios::all() {
        assert_lists_on_all(name, &Case::new("scenario", block), 1);
    }
}

#[test]
fn the_lists_of_seeded_blocks_are_revms() {
    for seed in 0..150 {
        let block = plan::block_from_seed(seed);
        assert_lists_on_all(&format!("seed {seed}"), &generated(block), seed);
    }
}

#[test]
fn the_lists_of_conflicting_and_of_independent_calls_are_revms() {
    for case in [conflicts(), independent()] {
        for seed in 0..10 {
            assert_lists_on_all(case.name, &case, seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_lists_of_generated_blocks_are_revms(plan in plan::plans(80), seed in 0_u64..) {
        assert_lists_on_all("generated", &generated(plan.build()), seed);
    }
}

/// A block of today's chains, where no account exists and is empty. A list does not tell which do,
/// as these come and go without a change of balance, nonce or code (EIP-161).
fn without_empty_accounts(mut block: GeneratedBlock) -> Option<Case> {
    block.parent.remove_empty_accounts();
    block.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON).then(|| generated(block))
}

/// With its own list no outcome of a block is wrong, and all is as without.
fn assert_foretold<D: Dialect<Factory>>(name: &str, case: &Case, executor: &ParallelExecutor<D>) {
    let Some((done, list)) = case.listed() else { return };
    let guidance =
        Guidance { access_list: Some(&list), list_accesses: true, ..Guidance::default() };
    let actual = case.guided(executor, guidance).expect("the oracle accepts it");
    let config = executor.config();
    assert!(actual.done == done, "{name}, {config:?}: another outcome");
    assert_eq!(actual.access_list.as_ref(), Some(&list), "{name}, {config:?}");
    let stats = actual.stats;
    assert_eq!(stats.re_executions, 0, "{name}, {config:?}, {:?}", case.block.spec);
    assert_eq!(stats.committed_ahead, stats.speculations, "{name}, {config:?}");
    assert!(stats.wait.is_zero(), "{name}, {config:?}: waited");
}

fn assert_foretold_on_all(name: &str, case: &Case, seed: u64) {
    for executor in &EXECUTORS.ethereum {
        assert_foretold(name, case, executor);
    }
    for executor in &EXECUTORS.any {
        assert_foretold(name, case, executor);
    }
    for seed in [seed, seed ^ 0x5eed, seed ^ 0xbeef] {
        let (ethereum, any) = rehearsed(seed);
        assert_foretold(name, case, &ethereum);
        assert_foretold(name, case, &any);
    }
}

#[test]
fn conflicts_are_foretold_by_the_list_of_the_block() {
    let case = conflicts();
    let (_, list) = case.listed().expect("it is sound");
    let (mut without, mut ahead) = (0, 0);
    for seed in 0..20 {
        let (executor, _) = rehearsed(seed);
        let plain = case.guided(&executor, Guidance::default()).expect("it is sound");
        without += plain.stats.re_executions;
        let guidance = Guidance { access_list: Some(&list), ..Guidance::default() };
        ahead += case.guided(&executor, guidance).expect("it is sound").stats.committed_ahead;
        assert_foretold_on_all(case.name, &case, seed);
    }
    assert!(without > 100, "without a list {without} executions were wasted");
    assert!(ahead > 100, "with the list {ahead} transactions ran ahead");
}

#[test]
fn named_scenarios_and_seeded_blocks_have_no_conflicts_with_their_list() {
    for (name, block) in scenarios::all() {
        if let Some(case) = without_empty_accounts(block) {
            assert_foretold_on_all(name, &case, 1);
        }
    }
    for seed in 0..100 {
        if let Some(case) = without_empty_accounts(plan::block_from_seed(seed)) {
            assert_foretold_on_all(&format!("seed {seed}"), &case, seed);
        }
    }
}

/// One random edit.
fn corrupt(list: &mut BlockAccessList, rng: &mut Rng) {
    let Some(account) = (rng.below(list.len() as u64 + 1) as usize).checked_sub(1) else {
        return list.reverse();
    };
    let entry = &mut list[account];
    let value = U256::from(rng.below(5));
    match rng.below(9) {
        0 => drop(list.remove(account)),
        1 => entry.balance_changes.iter_mut().for_each(|change| change.post_balance = value),
        2 => entry.nonce_changes.iter_mut().for_each(|change| change.new_nonce += 1),
        3 => entry.storage_changes.iter_mut().for_each(|slot| {
            slot.changes.iter_mut().for_each(|change| change.new_value = value);
        }),
        4 => entry.storage_changes.iter_mut().for_each(|slot| {
            slot.changes.iter_mut().for_each(|change| change.block_access_index.0 /= 2);
        }),
        5 => entry.storage_changes.reverse(),
        6 => entry.code_changes.push(CodeChange::new(
            BlockAccessIndex::new(rng.below(4)),
            vec![0xef; rng.below(3) as usize].into(),
        )),
        7 => entry.address = user(rng.below(16) as u16),
        _ => {
            let change = NonceChange::new(BlockAccessIndex::new(rng.below(9)), rng.below(3));
            entry.nonce_changes.insert(0, change);
        }
    }
}

#[test]
fn a_wrong_list_changes_nothing_but_the_time() {
    let mut wasted = 0;
    for seed in 0..120 {
        let case = generated(plan::block_from_seed(seed));
        let Some((done, mut list)) = case.listed() else { continue };
        let mut rng = Rng::new(seed);
        for _ in 0..1 + rng.below(20) {
            corrupt(&mut list, &mut rng);
        }
        let guidance = Guidance { access_list: Some(&list), ..Guidance::default() };
        let (rehearsed, rehearsed_any) = rehearsed(seed);
        for executor in EXECUTORS.ethereum.iter().chain([&rehearsed]) {
            let actual = case.guided(executor, guidance).expect("the oracle accepts it");
            assert!(actual.done == done, "seed {seed}, {:?}", executor.config());
            wasted += actual.stats.re_executions;
        }
        for executor in EXECUTORS.any.iter().chain([&rehearsed_any]) {
            let actual = case.guided(executor, guidance).expect("the oracle accepts it");
            assert!(actual.done == done, "seed {seed}, {:?}", executor.config());
            wasted += actual.stats.re_executions;
        }
    }
    assert!(wasted > 0, "the edits did no harm");
}
