//! Random blocks: a plan is a fork, a seed for the world, and one number per step.
//!
//! Every step is derived from its own number and the block so far, so that a test that shrinks a
//! failing plan by dropping steps keeps the others. Nonces are taken when a step is built, hence
//! what is left stays valid.

use super::{
    GeneratedBlock, USERS,
    builder::{BlockBuilder, RICH},
    contracts::{Contract, create2_address},
    program,
    rng::Rng,
    steps::{self, Cast},
    user,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, U256};
use proptest::{collection, prelude::*, sample};
use revm::primitives::hardfork::SpecId;

/// Forks that random blocks run under, the live ones more often.
pub const SPECS: &[SpecId] = &[
    SpecId::FRONTIER,
    SpecId::HOMESTEAD,
    SpecId::TANGERINE,
    SpecId::SPURIOUS_DRAGON,
    SpecId::BYZANTIUM,
    SpecId::PETERSBURG,
    SpecId::ISTANBUL,
    SpecId::BERLIN,
    SpecId::LONDON,
    SpecId::MERGE,
    SpecId::SHANGHAI,
    SpecId::SHANGHAI,
    SpecId::CANCUN,
    SpecId::CANCUN,
    SpecId::PRAGUE,
    SpecId::PRAGUE,
    SpecId::PRAGUE,
    SpecId::OSAKA,
    SpecId::OSAKA,
    SpecId::AMSTERDAM,
];

/// A random block in its smallest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The newest active fork.
    pub spec: SpecId,
    /// Decides the state before the block, the beneficiary and the withdrawals.
    pub world: u64,
    /// Decides one transaction each, or a few that belong together.
    pub steps: Vec<u64>,
}

impl Plan {
    /// A plan of up to `max_steps` steps, from one number.
    pub fn from_seed(seed: u64, max_steps: usize) -> Self {
        let mut rng = Rng::new(seed);
        let spec = rng.pick(SPECS);
        let world = rng.next();
        let count = 1 + rng.below(max_steps.max(1) as u64);
        Self { spec, world, steps: (0..count).map(|_| rng.next()).collect() }
    }

    /// The block. Its expected outcome comes from the builder's shadow state.
    pub fn build(&self) -> GeneratedBlock {
        let mut block = BlockBuilder::new(self.spec);
        let mut rng = Rng::new(self.world);
        let (senders, instances) = rng.pick(&[(4, 1), (8, 1), (16, 2), (48, 8)]);
        let cast = Cast { spec: self.spec, senders, instances };
        set_up(&mut block, &mut rng, cast);
        for step in &self.steps {
            steps::apply(&mut block, &mut Rng::new(*step), cast);
        }
        block.finish()
    }
}

/// The block of [`Plan::from_seed`] with up to 60 steps.
pub fn block_from_seed(seed: u64) -> GeneratedBlock {
    Plan::from_seed(seed, 60).build()
}

/// A strategy that shrinks towards fewer steps.
pub fn plans(max_steps: usize) -> impl Strategy<Value = Plan> {
    let steps = collection::vec(any::<u64>(), 0..=max_steps);
    (sample::select(SPECS), any::<u64>(), steps).prop_map(|(spec, world, steps)| Plan {
        spec,
        world,
        steps,
    })
}

fn set_up(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    for index in u64::from(USERS)..cast.senders {
        block.world().fund(user(index as u16), U256::from(RICH));
    }
    for instance in 1..cast.instances {
        for contract in Contract::ALL {
            block.deploy(*contract, instance as u8, 1_000);
        }
    }
    let beneficiary = beneficiary(rng);
    block.beneficiary(beneficiary);
    if cast.spec.is_enabled_in(SpecId::AMSTERDAM) {
        // Two kinds of gas with a budget each (EIP-8037): enough of both.
        block.gas_limit(1_000_000_000);
    }
    for _ in 0..8 {
        let factory = rng.pick(&[Contract::Factory, Contract::Cycler]).at(0);
        let code = steps::init_code(rng.below(3));
        let child = create2_address(factory, rng.below(3), &code);
        surprise(block, rng, child);
    }
    for creator in 0..3 {
        let created = user(creator).create(rng.below(3));
        surprise(block, rng, created);
    }
    for index in 0..program::PROGRAMS {
        let (address, code) = (program::address(index), program::code(rng, cast));
        block.world().deploy(address, code);
        block.world().fund(address, U256::from(rng.pick(&[0, 2, 1_000])));
        block.world().set_slot(address, U256::from(rng.below(3)), U256::from(rng.below(3)));
        let child = program::child(rng);
        surprise(block, rng, child);
    }
    for slot in 0..3u64 {
        for contract in [Contract::Counter, Contract::Setter, Contract::Gate, Contract::Mortal] {
            block.world().set_slot(contract.at(0), U256::from(slot), U256::from(rng.below(3)));
        }
    }
    if rng.once_in(3) {
        block.delegate(user(2), Contract::Creator.at(0));
        block.delegate(user(3), Contract::Forwarder.at(0));
        block.delegate(user(4), program::address(rng.below(program::PROGRAMS)));
    }
    if block.has_withdrawals() {
        for _ in 0..rng.below(4) {
            let to = cast.address(rng);
            block.withdrawal(to, rng.below(3));
        }
    } else if block.has_ommers() && rng.once_in(3) {
        let header = Header { number: 999, beneficiary: cast.address(rng), ..Header::default() };
        block.ctx().ommers.push(header);
    }
}

/// Absent, an active user, a contract, a precompile, or what a creation will make.
fn beneficiary(rng: &mut Rng) -> Address {
    match rng.below(10) {
        0 | 1 => super::BENEFICIARY,
        2 | 3 => user(rng.below(4) as u16),
        4 => Contract::Mortal.at(0),
        5 => Contract::SelfBalanceReader.at(0),
        6 => Address::with_last_byte(4),
        7 | 8 => program::address(0),
        _ => user(0).create(0),
    }
}

/// Puts something at an address where a contract may be created: wei, a nonce, an empty
/// account, or a contract that lives there already and has storage.
fn surprise(block: &mut BlockBuilder, rng: &mut Rng, address: Address) {
    match rng.below(6) {
        0 => block.world().fund(address, U256::from(5)),
        1 => block.world().set_nonce(address, 1),
        2 => block.world().fund(address, U256::ZERO),
        3 => {
            block.world().deploy(address, Contract::Mortal.code());
            for slot in 0..2u64 {
                block.world().set_slot(address, U256::from(slot), U256::from(7 + slot));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_builds_the_same_block_every_time() {
        for seed in 0..20 {
            let (first, second) = (block_from_seed(seed), block_from_seed(seed));
            assert_eq!(format!("{:?}", first.txs), format!("{:?}", second.txs));
            assert_eq!(first.expected, second.expected);
        }
    }

    #[test]
    fn most_steps_become_transactions() {
        let (mut steps, mut transactions, mut failed, mut rejected) = (0, 0, 0, 0);
        for seed in 0..100 {
            let plan = Plan::from_seed(seed, 60);
            let block = plan.build();
            steps += plan.steps.len();
            transactions += block.txs.len();
            failed += block.expected.statuses.iter().filter(|success| !**success).count();
            rejected += usize::from(block.expected.rejected.is_some());
        }
        assert!(transactions * 10 > steps * 9, "{transactions} transactions of {steps} steps");
        assert!(failed * 20 > transactions, "only {failed} of {transactions} fail");
        assert!((5..40).contains(&rejected), "{rejected} of 100 blocks are invalid");
    }
}
