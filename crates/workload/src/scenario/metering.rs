//! DePIN metering: devices report readings that add up in their region.

use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::{ETHER, World},
};
use alloy_primitives::{Address, U256, keccak256};
use alloy_sol_types::sol;

sol! {
    interface IMetering {
        function report(uint256 id, uint128 reading, bytes32 evidence) external;
    }
}

const HOT_REGION: u64 = 1;

/// Each report is of another device. Hot devices belong to one region, cold ones to one each.
pub(super) struct Metering {
    metering: Artifact,
    address: Address,
    regions: u64,
    devices: u64,
}

impl Metering {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let metering = Contract::Metering.load(world.rules)?;
        let address = world.deploy(&metering);
        let placed = Self { metering, address, regions: HOT_REGION, devices: 0 };
        placed.place_region(world, HOT_REGION)?;
        Ok(placed)
    }

    fn place_region(&self, world: &mut World, region: u64) -> Result<(), WorkloadError> {
        let entry = self.metering.variable("regions")?.entry(region);
        let members = [
            ("total", 900_000),
            ("reports", 1_000),
            ("updatedAt", u128::from(world.now - 12)),
            ("rate", ETHER / 1_000_000),
            ("capacity", 1_000_000),
        ];
        for (name, value) in members {
            world.set(self.address, entry.member(self.metering.member("Region", name)?), value);
        }
        Ok(())
    }
}

impl Scenario for Metering {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let region = if hot {
            HOT_REGION
        } else {
            self.regions += 1;
            self.place_region(world, self.regions)?;
            self.regions
        };
        self.devices += 1;
        let device = self.metering.variable("devices")?.entry(self.devices);
        let last = world.rng.range(1, 1_000_000);
        let at =
            |name| Ok::<_, WorkloadError>(device.member(self.metering.member("Device", name)?));
        world.set(self.address, at("operator")?, from.address);
        world.set(self.address, at("region")?, region);
        world.set(self.address, at("reportedAt")?, world.now - 900);
        world.set(self.address, at("reading")?, last);
        world.set(self.address, at("total")?, last);
        let report = IMetering::reportCall {
            id: U256::from(self.devices),
            reading: u128::from(last + world.rng.range(1, 500)),
            evidence: keccak256(last.to_be_bytes()),
        };
        Ok(Call::new(from, self.address, &report, 120_000))
    }
}
