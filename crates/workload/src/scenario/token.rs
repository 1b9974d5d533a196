//! Token transfers, and the tokens that the markets trade.

use crate::{
    WorkloadError,
    artifact::Contract,
    block::Call,
    layout::Slot,
    scenario::Scenario,
    world::{ETHER, World},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::sol;

sol! {
    #[derive(Debug)]
    interface IToken {
        function transfer(address to, uint256 value) external returns (bool);
    }
}

/// A token in the state before the block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) address: Address,
    balances: Slot,
    allowances: Slot,
    supply: Slot,
    supplied: u128,
}

impl Token {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let artifact = Contract::Token.load(world.rules)?;
        Ok(Self {
            address: world.deploy(&artifact),
            balances: artifact.variable("balanceOf")?,
            allowances: artifact.variable("allowance")?,
            supply: artifact.variable("totalSupply")?,
            supplied: 0,
        })
    }

    /// Gives `holder`, who has none yet, a balance.
    pub(super) fn give(&mut self, world: &mut World, holder: Address, amount: u128) {
        self.supplied += amount;
        world.set(self.address, self.balances.entry(holder), amount);
        world.set(self.address, self.supply, self.supplied);
    }

    /// Lets `spender` take whatever `holder` has.
    pub(super) fn approve(&self, world: &mut World, holder: Address, spender: Address) {
        world.set(self.address, self.allowances.entry(holder).entry(spender), U256::MAX);
    }
}

/// Transfers of one token. Hot ones add to one balance.
pub(super) struct Erc20 {
    token: Token,
    hot: Address,
}

impl Erc20 {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let mut token = Token::new(world)?;
        let hot = world.fresh_address();
        token.give(world, hot, ETHER);
        Ok(Self { token, hot })
    }
}

impl Scenario for Erc20 {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        self.token.give(world, from.address, 1000 * ETHER);
        let to = if hot {
            self.hot
        } else {
            let to = world.fresh_address();
            // Three in four recipients have some already; the first receipt costs more gas.
            if world.rng.percent(75) {
                self.token.give(world, to, ETHER);
            }
            to
        };
        let value = U256::from(u128::from(world.rng.range(1, 1_000_000)) * (ETHER / 10_000));
        Ok(Call::new(from, self.token.address, &IToken::transferCall { to, value }, 70_000))
    }
}
