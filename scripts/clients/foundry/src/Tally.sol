// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// A sum with an event for each change and every kind of failure.
contract Tally {
    uint256 public sum;

    event Added(address indexed by, uint256 amount);
    error TooMuch(uint256 amount);

    constructor(uint256 start) {
        sum = start;
    }

    function add(uint256 amount) external {
        if (amount > 10) revert TooMuch(amount);
        require(amount != 7, "not seven");
        sum += amount;
        emit Added(msg.sender, amount);
    }
}
