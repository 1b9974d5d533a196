//! Which transactions of a block depend on which, and how parallel that lets it be.
//!
//! The block is executed once more in order, and what each transaction loads and changes is taken
//! from its outcome. A transaction depends on an earlier one
//!
//! - if it loads a storage slot whose value that one changed,
//! - if it loads an account whose code that one changed (creation, self-destruction, delegation),
//! - if both change the nonce of the same account, as those of one sender do.
//!
//! Balances do not count: credits commute, and whether code looked at a balance does not show in
//! an outcome. What happens before and after the transactions does not count either.
//!
//! The unit is gas, so that the answer is the same on every machine.

use super::{TracedBlock, replay::Replay};
use crate::{Limits, SimulationError};
use alloy_evm::Database;
use alloy_primitives::{Address, U256};
use revm::{
    inspector::NoOpInspector,
    state::{Account, EvmState},
};
use std::collections::{BTreeMap, BTreeSet};

/// What transactions wait for each other at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contended {
    /// The nonce of an account.
    Nonce(Address),
    /// The code of an account.
    Code(Address),
    /// A storage slot of an account.
    Slot(Address, U256),
}

/// A location that transactions wait for each other at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotLocation {
    /// Which one.
    pub location: Contended,
    /// How many transactions change it.
    pub writers: usize,
    /// How many need what an earlier one made of it.
    pub dependents: usize,
}

/// How the transactions of a block depend on each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Gas that each transaction uses, refunds deducted.
    pub gas: Vec<u64>,
    /// For each transaction the earlier ones that it depends on: the last to change something that
    /// it needs.
    pub on: Vec<Vec<usize>>,
    /// Locations by how many depend on them, the most first; equal ones in their own order.
    pub hot: Vec<HotLocation>,
}

impl Dependencies {
    /// Gas of all transactions.
    pub fn total_gas(&self) -> u64 {
        self.gas.iter().sum()
    }

    /// How many transactions depend on others.
    pub fn dependent(&self) -> usize {
        self.on.iter().filter(|on| !on.is_empty()).count()
    }

    /// The chain of transactions, each depending on the one before, that uses the most gas, with
    /// that gas. Where several do, the one that ends first.
    pub fn critical_path(&self) -> (u64, Vec<usize>) {
        let mut chains: Vec<(u64, Option<usize>)> = Vec::with_capacity(self.gas.len());
        for (gas, on) in self.gas.iter().zip(&self.on) {
            let before = on.iter().map(|earlier| (chains[*earlier].0, Some(*earlier)));
            let (before, last) = before.max_by_key(|(gas, _)| *gas).unwrap_or_default();
            chains.push((before + gas, last));
        }
        let longest = chains.iter().enumerate().rev().max_by_key(|(_, (gas, _))| *gas);
        let mut next = longest.map(|(index, _)| index);
        let mut path = Vec::new();
        while let Some(index) = next {
            path.push(index);
            next = chains[index].1;
        }
        path.reverse();
        (longest.map_or(0, |(_, (gas, _))| *gas), path)
    }
}

/// Executes a block, whose parent's state is `parent`, and finds out what depends on what.
///
/// # Errors
/// Too little time, or a state that cannot be read.
pub fn dependencies<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    limits: &Limits,
) -> Result<Dependencies, SimulationError<DB::Error>> {
    let mut replay = Replay::begin(parent, block, limits)?;
    let mut graph = Graph::default();
    for _ in block.transactions {
        let (_, result) = replay.execute(&mut NoOpInspector {})?;
        graph.add(result.result.tx_gas_used(), &result.state);
        replay.commit(result);
    }
    Ok(graph.finish())
}

/// What is known of a location.
#[derive(Debug, Default)]
struct Uses {
    last_writer: Option<usize>,
    writers: usize,
    dependents: usize,
}

#[derive(Debug, Default)]
struct Graph {
    found: Dependencies,
    uses: BTreeMap<Contended, Uses>,
}

impl Graph {
    /// The next transaction, by the gas it used and the accounts that it loaded.
    fn add(&mut self, gas: u64, loaded: &EvmState) {
        let index = self.found.gas.len();
        let mut on = BTreeSet::new();
        let mut changed = Vec::new();
        let mut loads = |location, is_changed: bool| {
            if let Some(uses) = self.uses.get_mut(&location)
                && let Some(writer) = uses.last_writer
            {
                uses.dependents += 1;
                on.insert(writer);
            }
            changed.extend(is_changed.then_some(location));
        };
        for (address, account) in loaded {
            let change = Change::of(account);
            if change.nonce {
                loads(Contended::Nonce(*address), true);
            }
            loads(Contended::Code(*address), change.code);
            for (slot, value) in &account.storage {
                loads(Contended::Slot(*address, *slot), change.slots && value.is_changed());
            }
        }
        for location in changed {
            let uses = self.uses.entry(location).or_default();
            uses.writers += 1;
            uses.last_writer = Some(index);
        }
        self.found.gas.push(gas);
        self.found.on.push(on.into_iter().collect());
    }

    fn finish(mut self) -> Dependencies {
        let contended = self.uses.into_iter().filter(|(_, uses)| uses.dependents > 0);
        let hot = contended.map(|(location, Uses { writers, dependents, .. })| HotLocation {
            location,
            writers,
            dependents,
        });
        self.found.hot = hot.collect();
        self.found.hot.sort_by_key(|hot| core::cmp::Reverse(hot.dependents));
        self.found
    }
}

/// What becomes of an account.
struct Change {
    nonce: bool,
    code: bool,
    /// Whether slots of another value than before are changes.
    slots: bool,
}

impl Change {
    fn of(account: &Account) -> Self {
        let before = account.original_info();
        match (account.is_selfdestructed(), account.is_created_locally()) {
            // It was not there, and is not now.
            (true, true) => Self { nonce: false, code: false, slots: false },
            // Everything of it is gone.
            (true, false) => Self { nonce: true, code: !before.is_empty_code_hash(), slots: false },
            (false, _) => Self {
                nonce: before.nonce != account.info.nonce,
                code: before.code_hash != account.info.code_hash,
                slots: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(gas: &[u64], on: &[&[usize]]) -> Dependencies {
        let on = on.iter().map(|on| on.to_vec()).collect();
        Dependencies { gas: gas.to_vec(), on, hot: Vec::new() }
    }

    #[test]
    fn the_critical_path_is_the_chain_that_uses_the_most_gas() {
        let of = graph(&[5, 1, 2, 4], &[&[], &[], &[0, 1], &[1]]);
        assert_eq!(of.critical_path(), (7, vec![0, 2]));
        assert_eq!((of.total_gas(), of.dependent()), (12, 2));
    }

    #[test]
    fn without_dependencies_it_is_the_first_of_the_largest_transactions() {
        assert_eq!(graph(&[1, 9, 9], &[&[], &[], &[]]).critical_path(), (9, vec![1]));
        assert_eq!(graph(&[], &[]).critical_path(), (0, vec![]));
    }
}
