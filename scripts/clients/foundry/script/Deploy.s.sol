// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

import {Tally} from "../src/Tally.sol";

interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// Deploys two tallies, one of them by CREATE2, and changes both: more than one transaction that
/// the node gets at once.
contract Deploy {
    Vm constant VM = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    function run() external {
        VM.startBroadcast();
        Tally first = new Tally(1);
        Tally second = new Tally{salt: bytes32(uint256(1))}(2);
        for (uint256 i = 1; i <= 5; i++) first.add(i);
        second.add(first.sum() - 10);
        VM.stopBroadcast();
        require(first.sum() == 16 && second.sum() == 8, "sums");
    }
}
