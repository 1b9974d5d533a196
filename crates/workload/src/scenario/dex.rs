//! Swaps in constant-product pairs through a router.

use super::token::Token;
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
    interface IRouter {
        function sell(
            address token,
            uint256 amountIn,
            uint256 minOut,
            address[] path,
            address to,
            uint256 deadline
        ) external returns (uint256 amount);
    }
}

const TOKENS: usize = 8;

/// A cold swap has one or two pairs of its own, so that only code and the tokens' contracts are
/// shared, none of their slots. A hot one goes through the hot pair.
pub(super) struct Dex {
    router: Address,
    pair: Artifact,
    tokens: Vec<Token>,
    hot: Address,
    /// What the hot pair took in of its first token, less of its second.
    drift: i128,
}

impl Dex {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let router = world.deploy(&Contract::Router.load(world.rules)?);
        let tokens = (0..TOKENS).map(|_| Token::new(world)).collect::<Result<_, _>>()?;
        let pair = Contract::Pair.load(world.rules)?;
        let mut dex = Self { router, pair, tokens, hot: Address::ZERO, drift: 0 };
        dex.hot = dex.place_pair(world, [0, 1], 10_000_000 * ETHER)?;
        Ok(dex)
    }

    /// A pair of two tokens with `reserve` of the first and up to a fifth more of the second.
    fn place_pair(
        &mut self,
        world: &mut World,
        tokens: [usize; 2],
        reserve: u128,
    ) -> Result<Address, WorkloadError> {
        let address = world.deploy(&self.pair);
        let more = reserve / 1000 * u128::from(world.rng.below(200));
        let names = [("token0", "reserve0", "cumulative0"), ("token1", "reserve1", "cumulative1")];
        for (side, (token, held, cumulative)) in names.into_iter().enumerate() {
            let reserve = if side == 0 { reserve } else { reserve + more };
            let price_sum = U256::from(world.rng.next()) << 112;
            world.set(address, self.pair.variable(token)?, self.tokens[tokens[side]].address);
            world.set(address, self.pair.variable(held)?, reserve);
            world.set(address, self.pair.variable(cumulative)?, price_sum);
            self.tokens[tokens[side]].give(world, address, reserve);
        }
        world.set(address, self.pair.variable("updatedAt")?, world.now - 12);
        world.set(address, self.pair.variable("guard")?, 1u64);
        Ok(address)
    }

    /// The pairs of a swap and the token that goes in.
    fn path(
        &mut self,
        world: &mut World,
        hot: bool,
        amount: u128,
    ) -> Result<(Vec<Address>, usize), WorkloadError> {
        let first = world.rng.below(TOKENS as u64) as usize;
        let (mut path, token_in, token_out) = if hot {
            // Against the drift, so that the price stays where it is however long the block.
            let forward = self.drift <= 0;
            let signed = amount as i128;
            self.drift += if forward { signed } else { -signed };
            let (token_in, token_out) = if forward { (0, 1) } else { (1, 0) };
            (vec![self.hot], token_in, token_out)
        } else {
            let second = (first + 1) % TOKENS;
            (vec![self.place_pair(world, [first, second], 10_000 * ETHER)?], first, second)
        };
        if world.rng.percent(20) {
            let third = (token_out + 2) % TOKENS;
            path.push(self.place_pair(world, [token_out, third], 10_000 * ETHER)?);
        }
        Ok((path, token_in))
    }
}

impl Scenario for Dex {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let amount = u128::from(world.rng.range(100, 50_000)) * (ETHER / 1000);
        let (path, token) = self.path(world, hot, amount)?;
        self.tokens[token].give(world, from.address, 100 * ETHER);
        self.tokens[token].approve(world, from.address, self.router);
        let gas = 90_000 + 80_000 * path.len() as u64;
        let sell = IRouter::sellCall {
            token: self.tokens[token].address,
            amountIn: U256::from(amount),
            minOut: U256::from(amount / 2),
            path,
            to: from.address,
            deadline: U256::from(world.now + 600),
        };
        Ok(Call::new(from, self.router, &sell, gas))
    }
}
