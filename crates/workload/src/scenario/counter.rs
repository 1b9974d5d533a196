//! Counters: the smallest contention there is, at once or after work of one's own.

use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::World,
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::sol;

sol! {
    interface ICounter {
        function bump(uint256 id) external;
        function workThenBump(uint256 id, uint256 rounds) external;
    }
}

const HOT_COUNTER: u64 = 1;
/// Hashes that cost some 20,000 gas.
const ROUNDS: u64 = 77;

/// Hot transactions increment one counter, cold ones each another.
pub(super) struct Counter {
    counter: Artifact,
    address: Address,
    counters: u64,
    work: bool,
}

impl Counter {
    pub(super) fn new(world: &mut World, work: bool) -> Result<Self, WorkloadError> {
        let counter = Contract::Counter.load(world.rules)?;
        let address = world.deploy(&counter);
        let placed = Self { counter, address, counters: HOT_COUNTER, work };
        placed.place_counter(world, HOT_COUNTER)?;
        Ok(placed)
    }

    fn place_counter(&self, world: &mut World, id: u64) -> Result<(), WorkloadError> {
        let value = world.rng.range(1, 1_000_000);
        world.set(self.address, self.counter.variable("counts")?.entry(id), value);
        Ok(())
    }
}

impl Scenario for Counter {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let id = if hot {
            HOT_COUNTER
        } else {
            self.counters += 1;
            self.place_counter(world, self.counters)?;
            self.counters
        };
        let id = U256::from(id);
        if self.work {
            let work = ICounter::workThenBumpCall { id, rounds: U256::from(ROUNDS) };
            return Ok(Call::new(from, self.address, &work, 80_000));
        }
        Ok(Call::new(from, self.address, &ICounter::bumpCall { id }, 50_000))
    }
}
