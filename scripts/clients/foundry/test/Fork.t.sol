// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

import {Tally} from "../src/Tally.sol";

interface Vm {
    function envAddress(string calldata name) external view returns (address);
    function rollFork(uint256 number) external;
    function envUint(string calldata name) external view returns (uint256);
}

/// What is on the node that the test forks: a tally of 5 that was 2 as of block `BEFORE`.
contract ForkTest {
    Vm constant VM = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    Tally tally = Tally(VM.envAddress("TALLY"));

    function testReadsAndChangesTheForkedState() external {
        require(tally.sum() == 5, "sum");
        require(msg.sender.code.length == 0 && address(tally).code.length > 0, "code");
        tally.add(4);
        require(tally.sum() == 9, "sum after");
    }

    function testReadsAnEarlierBlock() external {
        VM.rollFork(VM.envUint("BEFORE"));
        require(Tally(VM.envAddress("TALLY")).sum() == 2, "earlier sum");
    }
}
