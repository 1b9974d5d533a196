//! Supply-chain tracking: items go from company to company, and everything is written down.

use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::{User, World},
};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::sol;

sol! {
    interface ICustody {
        function handOver(uint256 id, address to, bytes32 place, int16 celsius) external;
        function inspect(uint256 id, bytes32 place, int16 celsius) external;
    }
}

const HOT_ITEM: u64 = 1;

/// The hot item changes hands with every hot transaction, each sent by whom the one before named.
/// A cold transaction has an item of its own.
pub(super) struct Custody {
    custody: Artifact,
    address: Address,
    items: u64,
    holder: User,
}

impl Custody {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let custody = Contract::Custody.load(world.rules)?;
        let address = world.deploy(&custody);
        let holder = world.user();
        let placed = Self { custody, address, items: HOT_ITEM, holder };
        placed.place_item(world, HOT_ITEM, holder.address)?;
        placed.admit(world, holder.address)?;
        Ok(placed)
    }

    fn admit(&self, world: &mut World, company: Address) -> Result<(), WorkloadError> {
        let member = self.custody.variable("isMember")?.entry(company);
        world.set(self.address, member, true);
        Ok(())
    }

    /// An item that has come to `holder` in one step.
    fn place_item(&self, world: &mut World, id: u64, holder: Address) -> Result<(), WorkloadError> {
        let item = self.custody.variable("items")?.entry(id);
        let at = |name| Ok::<_, WorkloadError>(item.member(self.custody.member("Item", name)?));
        let earlier = world.now - 86_400;
        let maker = world.fresh_address();
        let digest = word(world);
        world.set(self.address, at("custodian")?, holder);
        world.set(self.address, at("changedAt")?, earlier);
        world.set(self.address, at("hops")?, 1u64);
        world.set(self.address, at("digest")?, digest);
        let history = at("history")?;
        world.set(self.address, history, 1u64);
        let entry = history.element_word(0);
        let place = word(world);
        let part = |name| Ok::<_, WorkloadError>(entry.member(self.custody.member("Entry", name)?));
        world.set(self.address, part("by")?, maker);
        world.set(self.address, part("time")?, earlier);
        world.set(self.address, part("kind")?, 1u64);
        world.set(self.address, part("place")?, place);
        Ok(())
    }
}

impl Scenario for Custody {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let user = world.user();
        self.admit(world, user.address)?;
        let place = word(world);
        let celsius = world.rng.range(0, 12) as i16 - 2;
        let (from, id, to) = if hot {
            (core::mem::replace(&mut self.holder, user), HOT_ITEM, user.address)
        } else {
            self.items += 1;
            let to = world.fresh_address();
            self.admit(world, to)?;
            self.place_item(world, self.items, user.address)?;
            (user, self.items, to)
        };
        let id = U256::from(id);
        if !hot && world.rng.percent(40) {
            let inspect = ICustody::inspectCall { id, place, celsius };
            return Ok(Call::new(from, self.address, &inspect, 150_000));
        }
        let hand_over = ICustody::handOverCall { id, to, place, celsius };
        Ok(Call::new(from, self.address, &hand_over, 180_000))
    }
}

fn word(world: &mut World) -> B256 {
    world.fresh_address().into_word()
}
