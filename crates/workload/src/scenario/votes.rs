//! DAO voting: votes on proposals and delegations of weight.

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
    interface IAssembly {
        function delegate(address to) external;
        function vote(uint256 proposal, uint8 choice, string reason) external;
    }
}

const HOT_PROPOSAL: u64 = 1;
/// Against, in favour, abstained, as often as people choose them.
const CHOICES: [u8; 6] = [0, 0, 1, 1, 1, 2];
const REASONS: [&str; 4] = ["", "good for the treasury", "too risky as it stands", "see the forum"];

/// Hot votes are counted in one proposal. Cold ones have a proposal each, or are delegations
/// between accounts that do nothing else.
pub(super) struct Votes {
    assembly: Artifact,
    address: Address,
    proposals: u64,
}

impl Votes {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let assembly = Contract::Assembly.load(world.rules)?;
        let address = world.deploy(&assembly);
        let votes = Self { assembly, address, proposals: HOT_PROPOSAL };
        votes.place_proposal(world, HOT_PROPOSAL)?;
        Ok(votes)
    }

    fn place_proposal(&self, world: &mut World, proposal: u64) -> Result<(), WorkloadError> {
        let entry = self.assembly.variable("proposals")?.entry(proposal);
        let members = [
            ("opensAt", u128::from(world.now - 3600)),
            ("closesAt", u128::from(world.now + 86_400)),
            ("voters", 40),
            ("against", 2_000 * ETHER),
            ("inFavour", 3_000 * ETHER),
            ("abstained", 100 * ETHER),
            ("quorum", 20_000 * ETHER),
        ];
        for (name, value) in members {
            let member = entry.member(self.assembly.member("Proposal", name)?);
            world.set(self.address, member, value);
        }
        Ok(())
    }
}

impl Scenario for Votes {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let stake = u128::from(world.rng.range(1, 5_000)) * ETHER;
        for variable in ["stakeOf", "weightOf"] {
            let entry = self.assembly.variable(variable)?.entry(from.address);
            world.set(self.address, entry, stake);
        }
        if !hot && world.rng.percent(25) {
            let to = world.fresh_address();
            return Ok(Call::new(from, self.address, &IAssembly::delegateCall { to }, 120_000));
        }
        let proposal = if hot {
            HOT_PROPOSAL
        } else {
            self.proposals += 1;
            self.place_proposal(world, self.proposals)?;
            self.proposals
        };
        let vote = IAssembly::voteCall {
            proposal: U256::from(proposal),
            choice: CHOICES[world.rng.below(CHOICES.len() as u64) as usize],
            reason: REASONS[world.rng.below(REASONS.len() as u64) as usize].to_owned(),
        };
        Ok(Call::new(from, self.address, &vote, 150_000))
    }
}
