//! That what is told of changes while a block executes leads to what the block changes.

use crate::support::{Case, Done, any, conflicts, ethereum, independent, within};
use alloy_primitives::{Address, U256};
use core::time::Duration;
use revm::context::Block;
use std::{collections::HashMap, sync::mpsc::Receiver};
use warpline_executor::{CommitStream, CommittedValue, Dialect, Guidance, ParallelExecutor};
use warpline_testing::evm::{Factory, plan};
use warpline_types::AccountState;

const LIMIT: Duration = Duration::from_secs(200);

/// What was told, the latest of each location.
#[derive(Default)]
struct Told {
    accounts: HashMap<Address, Option<AccountState>>,
    slots: HashMap<(Address, U256), U256>,
}

impl Told {
    fn new(batches: &Receiver<Vec<CommittedValue>>) -> Self {
        let mut told = Self::default();
        for value in batches.try_iter().flatten() {
            match value {
                CommittedValue::Account { address, state } => {
                    if state.is_none() {
                        told.slots.retain(|(of, _), _| *of != address);
                    }
                    told.accounts.insert(address, state);
                }
                CommittedValue::Slot { address, slot, value } => {
                    told.slots.insert((address, slot), value);
                }
            }
        }
        told
    }

    /// Every change of the block was told, and nothing else that did not lead back to what there
    /// was before.
    fn leads_to(&self, (_, diff): &Done, beneficiary: Address) -> bool {
        let changed = diff.accounts.iter().filter(|account| account.address != beneficiary);
        let complete = changed.clone().all(|account| {
            let told = self.accounts.get(&account.address);
            let fields = account.before == account.after || told == Some(&account.after);
            let slots = account.storage.iter().all(|slot| {
                self.slots.get(&(account.address, slot.slot)) == Some(&slot.after)
                    || (slot.after.is_zero() && account.storage_cleared)
            });
            fields && slots
        });
        let changes =
            |address: &Address| diff.accounts.iter().find(|account| account.address == *address);
        let true_to_it = self
            .accounts
            .iter()
            .all(|(address, state)| changes(address).is_none_or(|account| account.after == *state));
        complete && true_to_it && !self.accounts.contains_key(&beneficiary)
    }
}

/// Executes with a stream of single values, all of which are kept.
fn told<D: Dialect<Factory>>(
    case: &Case,
    executor: &ParallelExecutor<D>,
) -> (Result<Done, String>, Told) {
    let (stream, batches) = CommitStream::new(1, 1 << 16);
    let guidance = Guidance { stream: Some(&stream), ..Guidance::default() };
    let output = case.guided_on(executor, guidance, &case.block.parent);
    let done = output.map(|(done, _)| done).map_err(|error| error.to_string());
    (done, Told::new(&batches))
}

#[test]
fn the_latest_values_told_are_those_that_the_block_leaves() {
    within(LIMIT, || {
        let generated = (0..80).map(|seed| Case::new("generated", plan::block_from_seed(seed)));
        let (alone, two, three, any) = (ethereum(1), ethereum(2), ethereum(3), any(2));
        for (at, case) in [conflicts(), independent()].into_iter().chain(generated).enumerate() {
            let expected = case.sequential(&case.block.parent).map_err(|e| e.to_string());
            let beneficiary = case.input().env.block_env.beneficiary();
            for (done, told) in
                [told(&case, &alone), told(&case, &two), told(&case, &three), told(&case, &any)]
            {
                assert!(done == expected, "case {at}, {}", case.name);
                if let Ok(done) = &done {
                    assert!(told.leads_to(done, beneficiary), "case {at}, {}", case.name);
                }
            }
        }
    });
}

#[test]
fn nobody_waits_for_who_is_told() {
    within(LIMIT, || {
        let case = conflicts();
        let executor = ethereum(2);
        // Nobody takes anything, or there is nobody.
        let (full, batches) = CommitStream::new(1, 3);
        let (gone, _) = CommitStream::new(1, 3);
        for stream in [&full, &gone] {
            let guidance = Guidance { stream: Some(stream), ..Guidance::default() };
            let output = case.guided_on(&executor, guidance, &case.block.parent);
            assert_eq!(output.expect("the block is valid").0, case.expected());
        }
        assert_eq!(batches.try_iter().count(), 3);
    });
}

#[test]
fn where_a_core_has_to_be_left_only_blocks_that_leave_one_are_told_of() {
    within(LIMIT, || {
        let (case, executor) = (conflicts(), ethereum(2));
        for (cores, expected) in [(1, false), (2, false), (3, true)] {
            let (stream, batches) = CommitStream::new(1, 1 << 16);
            let stream = stream.spare_of(cores);
            let guidance = Guidance { stream: Some(&stream), ..Guidance::default() };
            case.guided_on(&executor, guidance, &case.block.parent).expect("the block is valid");
            assert_eq!(batches.try_iter().next().is_some(), expected, "{cores} cores");
        }
    });
}
