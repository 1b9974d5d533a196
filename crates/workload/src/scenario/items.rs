//! Game items: batch transfers and crafting.

use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::{User, World},
};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::sol;

sol! {
    interface IGameItems {
        function safeBatchTransferFrom(
            address from,
            address to,
            uint256[] ids,
            uint256[] amounts,
            bytes data
        ) external;
        function craft(uint256 recipe, uint256 times) external;
    }
}

/// One contract with all items. Hot players craft by one recipe, whose three items' supplies
/// change; cold ones hand over a batch or craft by a recipe of their own.
pub(super) struct Items {
    items: Artifact,
    address: Address,
    recipes: u64,
}

/// The item ids of a recipe follow from its number.
const HOT_RECIPE: u64 = 1;

impl Items {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let items = Contract::GameItems.load(world.rules)?;
        let address = world.deploy(&items);
        let placed = Self { items, address, recipes: HOT_RECIPE };
        placed.place_recipe(world, HOT_RECIPE)?;
        Ok(placed)
    }

    fn place_recipe(&self, world: &mut World, recipe: u64) -> Result<(), WorkloadError> {
        let entry = self.items.variable("recipes")?.entry(recipe);
        let [first, second, product] = ids_of(recipe);
        let members = [
            ("first", first),
            ("firstAmount", 2),
            ("second", second),
            ("secondAmount", 3),
            ("product", product),
        ];
        for (name, value) in members {
            world.set(self.address, entry.member(self.items.member("Recipe", name)?), value);
        }
        for id in ids_of(recipe) {
            let supply = self.items.variable("totalSupply")?.entry(id);
            world.set(self.address, supply, 1_000_000_000_000u64);
        }
        Ok(())
    }

    fn give(&self, world: &mut World, to: Address, id: u64) -> Result<(), WorkloadError> {
        let balance = self.items.variable("balanceOf")?.entry(id).entry(to);
        world.set(self.address, balance, 1_000u64);
        Ok(())
    }

    fn craft(&self, world: &mut World, from: User, recipe: u64) -> Result<Call, WorkloadError> {
        let [first, second, _] = ids_of(recipe);
        self.give(world, from.address, first)?;
        self.give(world, from.address, second)?;
        let times = U256::from(world.rng.range(1, 100));
        let craft = IGameItems::craftCall { recipe: U256::from(recipe), times };
        Ok(Call::new(from, self.address, &craft, 200_000))
    }

    /// Two to six different items from one player to another.
    fn transfer(&self, world: &mut World, from: User) -> Result<Call, WorkloadError> {
        let to = world.fresh_address();
        let first = world.rng.range(1, 1_000_000);
        let ids: Vec<u64> = (0..world.rng.range(2, 7)).map(|n| first + n).collect();
        for id in &ids {
            self.give(world, from.address, *id)?;
        }
        let amounts = ids.iter().map(|_| U256::from(world.rng.range(1, 1000))).collect();
        let gas = 60_000 + 40_000 * ids.len() as u64;
        let transfer = IGameItems::safeBatchTransferFromCall {
            from: from.address,
            to,
            ids: ids.into_iter().map(U256::from).collect(),
            amounts,
            data: Bytes::new(),
        };
        Ok(Call::new(from, self.address, &transfer, gas))
    }
}

impl Scenario for Items {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        if hot {
            return self.craft(world, from, HOT_RECIPE);
        }
        if world.rng.percent(60) {
            return self.transfer(world, from);
        }
        self.recipes += 1;
        self.place_recipe(world, self.recipes)?;
        self.craft(world, from, self.recipes)
    }
}

const fn ids_of(recipe: u64) -> [u64; 3] {
    [recipe * 3, recipe * 3 + 1, recipe * 3 + 2]
}
