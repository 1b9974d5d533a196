//! Swaps in concentrated-liquidity pools.

use super::token::Token;
use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    layout::signed,
    scenario::Scenario,
    world::{ETHER, World},
};
use alloy_primitives::{Address, U256, aliases::U160};
use alloy_sol_types::sol;
use std::collections::BTreeMap;

sol! {
    interface ITickRouter {
        function sell(
            address pool,
            bool down,
            uint256 amountIn,
            uint256 minOut,
            uint160 limit,
            address to,
            uint256 deadline
        ) external returns (uint256 received);
    }
}

/// Distance of usable ticks, as in the contract.
const SPACING: i32 = 60;

/// A liquidity position: ticks from and to, and how much.
type Position = (i32, i32, u128);

/// A cold swap has a pool of its own, a hot one meets the others in a pool with many positions.
pub(super) struct DexTicks {
    router: Address,
    pool: Artifact,
    tokens: [Token; 2],
    hot: Address,
    drift: i128,
}

impl DexTicks {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let router = world.deploy(&Contract::TickRouter.load(world.rules)?);
        let tokens = [Token::new(world)?, Token::new(world)?];
        let pool = Contract::TickPool.load(world.rules)?;
        let mut dex = Self { router, pool, tokens, hot: Address::ZERO, drift: 0 };
        // Ever narrower positions around the price, so that every usable tick near it is a step.
        let mut positions = vec![(-6000, 6000, 20_000 * ETHER)];
        positions.extend((1..=20).map(|n| (-SPACING * n, SPACING * n, 2_000 * ETHER)));
        dex.hot = dex.place_pool(world, &positions)?;
        Ok(dex)
    }

    /// A pool at price 1 with these positions, all of which contain it.
    fn place_pool(
        &mut self,
        world: &mut World,
        positions: &[Position],
    ) -> Result<Address, WorkloadError> {
        let pool = &self.pool;
        let address = world.deploy(pool);
        let price = pool.variable("price")?;
        let sqrt_price = price.member(pool.member("Price", "sqrtPrice")?);
        world.set(address, pool.variable("token0")?, self.tokens[0].address);
        world.set(address, pool.variable("token1")?, self.tokens[1].address);
        world.set(address, sqrt_price, U256::ONE << 96);
        let active: u128 = positions.iter().map(|(_, _, amount)| amount).sum();
        world.set(address, pool.variable("liquidity")?, active);
        for fees in ["fees0", "fees1"] {
            let sum = U256::from(world.rng.next()) << 64;
            world.set(address, pool.variable(fees)?, sum);
        }

        let mut ticks: BTreeMap<i32, (u128, i128)> = BTreeMap::new();
        for (low, high, amount) in positions {
            for (tick, change) in [(low, *amount as i128), (high, -(*amount as i128))] {
                let (gross, net) = ticks.entry(*tick).or_default();
                *gross += amount;
                *net += change;
            }
        }
        let mut words: BTreeMap<i32, U256> = BTreeMap::new();
        for (tick, (gross, net)) in ticks {
            let entry = pool.variable("ticks")?.entry(tick);
            let member = |name| Ok::<_, WorkloadError>(entry.member(pool.member("Tick", name)?));
            world.set(address, member("gross")?, gross);
            world.set(address, member("net")?, signed(net));
            for fees in ["feesOutside0", "feesOutside1"] {
                let sum = U256::from(world.rng.next()) << 60;
                world.set(address, member(fees)?, sum);
            }
            let usable = tick / SPACING;
            *words.entry(usable >> 8).or_default() |= U256::ONE << (usable & 0xff) as usize;
        }
        for (word, bits) in words {
            world.set(address, pool.variable("bitmap")?.entry(word), bits);
        }
        for token in &mut self.tokens {
            token.give(world, address, active);
        }
        Ok(address)
    }
}

impl Scenario for DexTicks {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        let amount = u128::from(world.rng.range(1, 8_000)) * (ETHER / 1000);
        let (pool, amount, down) = if hot {
            // The hot pool is deeper: it takes more to reach the next tick.
            let (amount, down) = (amount * 40, self.drift <= 0);
            self.drift += if down { amount as i128 } else { -(amount as i128) };
            (self.hot, amount, down)
        } else {
            // The innermost tick is crossed by the larger half of the amounts.
            let positions = [
                (-6000, 6000, 500 * ETHER),
                (-4 * SPACING, 4 * SPACING, 300 * ETHER),
                (-SPACING, SPACING, 500 * ETHER),
            ];
            (self.place_pool(world, &positions)?, amount, world.rng.percent(50))
        };
        let token = &mut self.tokens[usize::from(!down)];
        token.give(world, from.address, 1000 * ETHER);
        token.approve(world, from.address, self.router);
        let one = U160::ONE << 96;
        let limit = if down {
            one / U160::from(4) * U160::from(3)
        } else {
            one / U160::from(3) * U160::from(4)
        };
        let sell = ITickRouter::sellCall {
            pool,
            down,
            amountIn: U256::from(amount),
            minOut: U256::from(amount / 2),
            limit,
            to: from.address,
            deadline: U256::from(world.now + 600),
        };
        Ok(Call::new(from, self.router, &sell, 250_000))
    }
}
