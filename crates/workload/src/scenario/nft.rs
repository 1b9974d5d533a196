//! Mints of numbered collectibles.

use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::{ETHER, World},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::sol;

sol! {
    interface ICollection {
        function mint() external payable returns (uint256 id);
    }
}

const PRICE: u128 = ETHER / 100;

/// Every mint takes the next id of its collection: one collection for all hot ones, and one each
/// for the cold ones.
pub(super) struct Nft {
    collection: Artifact,
    hot: Address,
}

impl Nft {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let collection = Contract::Collection.load(world.rules)?;
        let mut nft = Self { collection, hot: Address::ZERO };
        nft.hot = nft.place_collection(world)?;
        Ok(nft)
    }

    fn place_collection(&self, world: &mut World) -> Result<Address, WorkloadError> {
        let address = world.deploy(&self.collection);
        let minted = world.rng.range(1, 500);
        world.set(address, self.collection.variable("price")?, PRICE);
        world.set(address, self.collection.variable("minted")?, minted);
        world.set(address, self.collection.variable("cap")?, u64::from(u32::MAX));
        world.account(address).balance = U256::from(PRICE * u128::from(minted));
        Ok(address)
    }
}

impl Scenario for Nft {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let to = if hot { self.hot } else { self.place_collection(world)? };
        let mint = Call::new(from, to, &ICollection::mintCall {}, 150_000);
        Ok(Call { value: U256::from(PRICE), ..mint })
    }
}
