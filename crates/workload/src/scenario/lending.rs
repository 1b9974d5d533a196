//! Lending: deposits, loans, repayments and liquidations in isolated markets.

use super::token::Token;
use crate::{
    WorkloadError,
    artifact::{Artifact, Contract},
    block::Call,
    scenario::Scenario,
    world::{ETHER, User, World},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::sol;

sol! {
    interface ILendingMarket {
        function deposit(uint256 amount) external returns (uint256 shares);
        function borrow(uint256 collateral, uint256 amount) external returns (uint256 shares);
        function repay(address account, uint256 amount) external returns (uint256 shares);
        function liquidate(address account, uint256 amount) external returns (uint256 seized);
    }
}

const RAY: u128 = 1_000_000_000 * ETHER;
/// What the collateral is worth; the loan token is worth 1.
const COLLATERAL_PRICE: u128 = 2_000 * ETHER;
const GAS: u64 = 200_000;

/// Hot transactions use one market, cold ones have a market each. All ask one oracle.
pub(super) struct Lending {
    market: Artifact,
    oracle: Address,
    loan: Token,
    collateral: Token,
    hot: Market,
}

/// A market and the sum of the debts in it.
#[derive(Clone, Copy)]
struct Market {
    address: Address,
    debt_shares: u128,
}

impl Lending {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let (loan, collateral) = (Token::new(world)?, Token::new(world)?);
        let oracle = Contract::Oracle.load(world.rules)?;
        let oracle_address = world.deploy(&oracle);
        for (token, price) in [(loan, ETHER), (collateral, COLLATERAL_PRICE)] {
            let feed = oracle.variable("feeds")?.entry(token.address);
            world.set(oracle_address, feed.member(oracle.member("Feed", "price")?), price);
            let reported = feed.member(oracle.member("Feed", "reportedAt")?);
            world.set(oracle_address, reported, world.now - 300);
        }
        let market = Contract::LendingMarket.load(world.rules)?;
        let none = Market { address: Address::ZERO, debt_shares: 0 };
        let mut lending = Self { market, oracle: oracle_address, loan, collateral, hot: none };
        lending.hot = lending.place_market(world, 100_000_000 * ETHER)?;
        Ok(lending)
    }

    /// A market with `deposits` of which three fifths are lent.
    fn place_market(&mut self, world: &mut World, deposits: u128) -> Result<Market, WorkloadError> {
        let address = world.deploy(&self.market);
        let mut market = Market { address, debt_shares: 0 };
        let variable = |name| self.market.variable(name);
        world.set(address, variable("loanToken")?, self.loan.address);
        world.set(address, variable("collateralToken")?, self.collateral.address);
        world.set(address, variable("oracle")?, self.oracle);
        world.set(address, variable("depositShares")?, deposits);
        world.set(address, variable("depositIndex")?, RAY + RAY / 100);
        world.set(address, variable("debtIndex")?, RAY + RAY / 50);
        world.set(address, variable("accruedAt")?, world.now - 24);
        world.set(address, variable("reserve")?, deposits / 10_000);
        self.loan.give(world, address, deposits);
        self.collateral.give(world, address, deposits / 1000);
        self.add_debt(world, &mut market, deposits / 5 * 3)?;
        Ok(market)
    }

    fn add_debt(
        &self,
        world: &mut World,
        market: &mut Market,
        shares: u128,
    ) -> Result<(), WorkloadError> {
        market.debt_shares += shares;
        world.set(market.address, self.market.variable("debtShares")?, market.debt_shares);
        Ok(())
    }

    /// A loan that exists before the block.
    fn place_loan(
        &self,
        world: &mut World,
        market: &mut Market,
        account: Address,
        (collateral, debt): (u128, u128),
    ) -> Result<(), WorkloadError> {
        let position = self.market.variable("positions")?.entry(account);
        let held = position.member(self.market.member("Position", "collateral")?);
        let owed = position.member(self.market.member("Position", "debtShares")?);
        world.set(market.address, held, collateral);
        world.set(market.address, owed, debt);
        self.add_debt(world, market, debt)
    }

    fn action(
        &mut self,
        world: &mut World,
        market: &mut Market,
        from: User,
    ) -> Result<Call, WorkloadError> {
        let user = from.address;
        let to = market.address;
        let kind = world.rng.below(100);
        let units = u128::from(world.rng.range(1, 900)) * ETHER;
        let amount = U256::from(units);
        let payer = if (40..65).contains(&kind) { &mut self.collateral } else { &mut self.loan };
        payer.give(world, user, 1000 * ETHER);
        payer.approve(world, user, to);
        Ok(match kind {
            0..40 => Call::new(from, to, &ILendingMarket::depositCall { amount }, GAS),
            40..65 => {
                // One unit of collateral is good for 1500; 900 at most are asked for.
                let collateral = U256::from(ETHER);
                Call::new(from, to, &ILendingMarket::borrowCall { collateral, amount }, GAS)
            }
            65..90 => {
                self.place_loan(world, market, user, (2 * ETHER, 1200 * ETHER))?;
                Call::new(from, to, &ILendingMarket::repayCall { account: user, amount }, GAS)
            }
            _ => {
                let account = world.fresh_address();
                self.place_loan(world, market, account, (ETHER, 1800 * ETHER))?;
                Call::new(from, to, &ILendingMarket::liquidateCall { account, amount }, GAS)
            }
        })
    }
}

impl Scenario for Lending {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let from = world.user();
        if !hot {
            let mut market = self.place_market(world, 1_000_000 * ETHER)?;
            return self.action(world, &mut market, from);
        }
        let mut market = self.hot;
        let call = self.action(world, &mut market, from);
        self.hot = market;
        call
    }
}
