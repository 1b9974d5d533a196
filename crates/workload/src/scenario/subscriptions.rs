//! Pay-per-use: customers use a service from prepaid credit, or pay some in.

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
    interface ISubscription {
        function topUp() external payable;
        function use(uint64 units) external returns (uint256 cost);
    }
}

const GAS: u64 = 80_000;

/// Hot customers share a service and with it its books; cold ones have a service each.
pub(super) struct Subscriptions {
    subscription: Artifact,
    hot: Address,
}

impl Subscriptions {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let subscription = Contract::Subscription.load(world.rules)?;
        let mut placed = Self { subscription, hot: Address::ZERO };
        placed.hot = placed.place_service(world)?;
        Ok(placed)
    }

    fn place_service(&self, world: &mut World) -> Result<Address, WorkloadError> {
        let service = world.deploy(&self.subscription);
        let plan = self.subscription.variable("plan")?;
        let members = [
            ("included", 1_000),
            ("basePrice", ETHER / 1_000_000),
            ("extraPrice", ETHER / 200_000),
        ];
        for (name, value) in members {
            world.set(service, plan.member(self.subscription.member("Plan", name)?), value);
        }
        world.set(service, self.subscription.variable("outstanding")?, 1_000_000 * ETHER);
        world.set(service, self.subscription.variable("revenue")?, 10 * ETHER);
        world.account(service).balance = U256::from(1_000_010 * ETHER);
        Ok(service)
    }
}

impl Scenario for Subscriptions {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let service = if hot { self.hot } else { self.place_service(world)? };
        let account = self.subscription.variable("accounts")?.entry(from.address);
        // A quarter of the customers begin a new month.
        let period_ends = world.now - 86_400 * 7 + world.rng.below(86_400 * 28);
        let members = [
            ("credit", ETHER),
            ("used", u128::from(world.rng.below(2_000))),
            ("periodEnds", u128::from(period_ends)),
        ];
        for (name, value) in members {
            world.set(service, account.member(self.subscription.member("Account", name)?), value);
        }
        if world.rng.percent(20) {
            let top_up = Call::new(from, service, &ISubscription::topUpCall {}, GAS);
            return Ok(Call { value: U256::from(ETHER / 10), ..top_up });
        }
        let units = world.rng.range(1, 500);
        Ok(Call::new(from, service, &ISubscription::useCall { units }, GAS))
    }
}
