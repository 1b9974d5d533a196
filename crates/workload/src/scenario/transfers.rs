//! Payments in ether, with three ways to be hot.

use crate::{
    WorkloadError,
    block::Call,
    scenario::Scenario,
    world::{ETHER, User, World},
};
use alloy_primitives::{Address, Bytes, U256};

const GAS: u64 = 21_000;

fn pay(from: User, to: Address, value: u128) -> Call {
    Call { from, to, value: U256::from(value), input: Bytes::new(), gas: GAS }
}

/// A payment from one stranger to another, who is new to the chain in one case of ten.
fn cold(world: &mut World) -> Call {
    let from = world.user();
    let to = world.fresh_address();
    if !world.rng.percent(10) {
        world.account(to).balance = U256::from(ETHER);
    }
    pay(from, to, amount(world))
}

fn amount(world: &mut World) -> u128 {
    u128::from(world.rng.range(1, 1_000_000)) * 1_000_000_000_000
}

/// Hot: everything is sent by one account, so that nonces and its balance form the chain.
pub(super) struct Transfers {
    hot: User,
}

impl Transfers {
    pub(super) fn new(world: &mut World) -> Self {
        let hot = world.user();
        world.account(hot.address).balance = U256::from(1_000_000_000 * ETHER);
        Self { hot }
    }
}

impl Scenario for Transfers {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let cold = cold(world);
        Ok(if hot { Call { from: self.hot, ..cold } } else { cold })
    }
}

/// Hot: a sum goes from hand to hand. Nobody but the first has anything before it arrives, so a
/// transaction that runs too early is not even valid.
pub(super) struct Relay {
    holder: User,
    sum: u128,
}

/// More than the fee of a payment, and what the sum shrinks by at each hop.
const RELAY_FEE: u128 = ETHER / 10_000;

impl Relay {
    pub(super) fn new(world: &mut World) -> Self {
        let holder = world.unfunded_user();
        let sum = 1_000_000_000 * ETHER;
        world.account(holder.address).balance = U256::from(sum);
        Self { holder, sum }
    }
}

impl Scenario for Relay {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        if !hot {
            return Ok(cold(world));
        }
        let next = world.unfunded_user();
        self.sum -= RELAY_FEE;
        let call = pay(self.holder, next.address, self.sum);
        self.holder = next;
        Ok(call)
    }
}

/// Hot: one account is paid by everybody.
pub(super) struct Collect {
    hot: Address,
}

impl Collect {
    pub(super) fn new(world: &mut World) -> Self {
        let hot = world.fresh_address();
        world.account(hot).balance = U256::from(ETHER);
        Self { hot }
    }
}

impl Scenario for Collect {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let cold = cold(world);
        Ok(if hot { Call { to: self.hot, ..cold } } else { cold })
    }
}
