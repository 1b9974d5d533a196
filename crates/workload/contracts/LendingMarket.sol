// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IOracle, IToken} from "./Interfaces.sol";

/// An isolated lending market: one token to lend, one as collateral. Deposits and debts are kept
/// in shares of indices that grow with the interest rate, a function of utilisation with a kink.
contract LendingMarket {
    uint256 private constant RAY = 1e27;
    uint256 private constant WAD = 1e18;
    uint256 private constant YEAR = 365 days;
    /// Interest per year: at rest, added up to the kink, and added beyond it.
    uint256 private constant BASE_RATE = 0.01e27;
    uint256 private constant SLOPE = 0.08e27;
    uint256 private constant STEEP_SLOPE = 1e27;
    uint256 private constant KINK = 0.8e27;
    /// Share of the interest that stays with the market.
    uint256 private constant RESERVE_SHARE = 0.1e27;
    /// Debt over collateral value: what one may borrow, and where liquidation starts.
    uint256 private constant MAX_BORROW = 0.75e18;
    uint256 private constant LIQUIDATION = 0.8e18;
    uint256 private constant LIQUIDATION_BONUS = 1.05e18;

    struct Position {
        uint128 collateral;
        uint128 debtShares;
    }

    IToken public loanToken;
    IToken public collateralToken;
    IOracle public oracle;
    uint128 public depositShares;
    uint128 public debtShares;
    uint128 public depositIndex;
    uint128 public debtIndex;
    uint64 public accruedAt;
    uint128 public reserve;
    mapping(address => uint256) public depositsOf;
    mapping(address => Position) public positions;

    event Accrued(uint256 rate, uint256 depositIndex, uint256 debtIndex);
    event Deposited(address indexed account, uint256 amount, uint256 shares);
    event Borrowed(address indexed account, uint256 collateral, uint256 amount, uint256 shares);
    event Repaid(address indexed payer, address indexed account, uint256 amount, uint256 shares);
    event Liquidated(address indexed liquidator, address indexed account, uint256 repaid, uint256 seized);

    error NotEnoughCollateral();
    error NotEnoughLiquidity();
    error Healthy();
    error TransferFailed();

    function deposit(uint256 amount) external returns (uint256 shares) {
        accrue();
        shares = amount * RAY / depositIndex;
        depositsOf[msg.sender] += shares;
        depositShares += uint128(shares);
        pull(loanToken, amount);
        emit Deposited(msg.sender, amount, shares);
    }

    /// Posts collateral and borrows against all that is posted.
    function borrow(uint256 collateral, uint256 amount) external returns (uint256 shares) {
        accrue();
        uint256 owed = uint256(debtShares) * debtIndex / RAY;
        if (owed + amount > uint256(depositShares) * depositIndex / RAY) revert NotEnoughLiquidity();
        shares = shareUp(amount);
        Position memory p = positions[msg.sender];
        p.collateral += uint128(collateral);
        p.debtShares += uint128(shares);
        if (loanToValue(p) > MAX_BORROW) revert NotEnoughCollateral();
        positions[msg.sender] = p;
        debtShares += uint128(shares);
        pull(collateralToken, collateral);
        push(loanToken, msg.sender, amount);
        emit Borrowed(msg.sender, collateral, amount, shares);
    }

    function repay(address account, uint256 amount) external returns (uint256 shares) {
        accrue();
        (amount, shares) = reduceDebt(account, amount);
        emit Repaid(msg.sender, account, amount, shares);
    }

    /// Repays an unhealthy debt and takes collateral of that value plus a bonus.
    function liquidate(address account, uint256 amount) external returns (uint256 seized) {
        accrue();
        if (loanToValue(positions[account]) <= LIQUIDATION) revert Healthy();
        (amount,) = reduceDebt(account, amount);
        uint256 value = amount * oracle.priceOf(address(loanToken)) / WAD;
        seized = value * LIQUIDATION_BONUS / oracle.priceOf(address(collateralToken));
        uint256 held = positions[account].collateral;
        if (seized > held) seized = held;
        positions[account].collateral = uint128(held - seized);
        push(collateralToken, msg.sender, seized);
        emit Liquidated(msg.sender, account, amount, seized);
    }

    /// Brings the indices up to this block; the first call of a block does all of it.
    function accrue() private {
        uint256 elapsed = block.timestamp - accruedAt;
        if (elapsed == 0) return;
        uint256 owed = uint256(debtShares) * debtIndex / RAY;
        uint256 lent = uint256(depositShares) * depositIndex / RAY;
        uint256 rate = yearlyRate(lent == 0 ? 0 : owed * RAY / lent);
        uint256 growth = rate * elapsed / YEAR;
        uint256 interest = owed * growth / RAY;
        uint256 kept = interest * RESERVE_SHARE / RAY;
        debtIndex += uint128(uint256(debtIndex) * growth / RAY);
        if (lent != 0) depositIndex += uint128(uint256(depositIndex) * (interest - kept) / lent);
        reserve += uint128(kept);
        accruedAt = uint64(block.timestamp);
        emit Accrued(rate, depositIndex, debtIndex);
    }

    function yearlyRate(uint256 utilisation) private pure returns (uint256) {
        if (utilisation <= KINK) return BASE_RATE + SLOPE * utilisation / KINK;
        return BASE_RATE + SLOPE + STEEP_SLOPE * (utilisation - KINK) / (RAY - KINK);
    }

    function loanToValue(Position memory p) private view returns (uint256) {
        uint256 owed = uint256(p.debtShares) * debtIndex / RAY;
        if (owed == 0) return 0;
        uint256 worth = p.collateral * oracle.priceOf(address(collateralToken)) / WAD;
        if (worth == 0) return type(uint256).max;
        return owed * oracle.priceOf(address(loanToken)) / worth;
    }

    function reduceDebt(address account, uint256 amount) private returns (uint256, uint256) {
        uint256 held = positions[account].debtShares;
        uint256 shares = amount * RAY / debtIndex;
        if (shares > held) {
            shares = held;
            amount = shares * debtIndex / RAY + 1;
        }
        positions[account].debtShares = uint128(held - shares);
        debtShares -= uint128(shares);
        pull(loanToken, amount);
        return (amount, shares);
    }

    function shareUp(uint256 amount) private view returns (uint256) {
        return (amount * RAY + debtIndex - 1) / debtIndex;
    }

    function pull(IToken token, uint256 amount) private {
        if (!token.transferFrom(msg.sender, address(this), amount)) revert TransferFailed();
    }

    function push(IToken token, address to, uint256 amount) private {
        if (!token.transfer(to, amount)) revert TransferFailed();
    }
}
