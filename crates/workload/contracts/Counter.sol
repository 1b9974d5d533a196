// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Counters by number: the smallest contention there is.
contract Counter {
    mapping(uint256 => uint256) public counts;

    /// Written only if the impossible happens, so that the work below has a purpose.
    error Collision();

    function bump(uint256 id) external {
        counts[id] += 1;
    }

    /// The same after `rounds` hashes, none of which depends on shared state.
    function workThenBump(uint256 id, uint256 rounds) external {
        bytes32 h = keccak256(abi.encode(msg.sender, id));
        for (uint256 i = 0; i < rounds; i++) h = keccak256(abi.encode(h, i));
        if (h == 0) revert Collision();
        counts[id] += 1;
    }
}
