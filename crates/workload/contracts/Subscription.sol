// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A service paid per use from prepaid credit: cheap units up to a monthly allowance, then dearer.
contract Subscription {
    struct Plan {
        uint64 included;
        uint96 basePrice;
        uint96 extraPrice;
    }

    struct Account {
        uint128 credit;
        uint64 used;
        uint64 periodEnds;
    }

    uint64 private constant PERIOD = 30 days;

    Plan public plan;
    /// Credit of all customers, and what the provider has earned of it so far.
    uint128 public outstanding;
    uint128 public revenue;
    mapping(address => Account) public accounts;

    event ToppedUp(address indexed customer, uint256 amount);
    event Used(address indexed customer, uint64 units, uint256 cost);
    event PeriodStarted(address indexed customer, uint64 ends);

    error NoCredit(uint256 has, uint256 needs);

    function topUp() external payable {
        accounts[msg.sender].credit += uint128(msg.value);
        outstanding += uint128(msg.value);
        emit ToppedUp(msg.sender, msg.value);
    }

    function use(uint64 units) external returns (uint256 cost) {
        Account memory a = accounts[msg.sender];
        if (block.timestamp >= a.periodEnds) {
            a.used = 0;
            a.periodEnds = uint64(block.timestamp) + PERIOD;
            emit PeriodStarted(msg.sender, a.periodEnds);
        }
        Plan memory p = plan;
        uint256 left = a.used < p.included ? p.included - a.used : 0;
        uint256 cheap = units < left ? units : left;
        cost = cheap * p.basePrice + (units - cheap) * p.extraPrice;
        if (cost > a.credit) revert NoCredit(a.credit, cost);
        a.credit -= uint128(cost);
        a.used += units;
        accounts[msg.sender] = a;
        outstanding -= uint128(cost);
        revenue += uint128(cost);
        emit Used(msg.sender, units, cost);
    }
}
