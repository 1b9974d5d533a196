// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Readings of a physical network (DePIN): each device reports a growing counter, its operator
/// earns for the difference, and the region keeps the aggregate that pays are settled from.
contract Metering {
    struct Device {
        address operator;
        uint32 region;
        uint64 reportedAt;
        uint128 reading;
        uint128 total;
    }

    struct Region {
        uint128 total;
        uint64 reports;
        uint64 updatedAt;
        /// Reward per unit in wei of the reward token, falling as the region fills up.
        uint128 rate;
        uint128 capacity;
    }

    mapping(uint256 => Device) public devices;
    mapping(uint256 => Region) public regions;
    mapping(address => uint256) public rewards;

    event Reported(uint256 indexed device, uint256 indexed region, uint256 used, uint256 reward, bytes32 proof);

    error NotOperator();
    error ReadingFell(uint256 last, uint256 reading);

    function report(uint256 id, uint128 reading, bytes32 evidence) external {
        Device storage device = devices[id];
        if (device.operator != msg.sender) revert NotOperator();
        uint128 last = device.reading;
        if (reading <= last) revert ReadingFell(last, reading);
        uint128 used = reading - last;
        device.reading = reading;
        device.total += used;
        device.reportedAt = uint64(block.timestamp);

        Region storage region = regions[device.region];
        uint128 total = region.total + used;
        uint256 rate = region.rate;
        if (total > region.capacity) rate = rate * region.capacity / total;
        region.total = total;
        region.reports += 1;
        region.updatedAt = uint64(block.timestamp);

        uint256 reward = used * rate;
        rewards[msg.sender] += reward;
        bytes32 proof = keccak256(abi.encode(id, last, reading, block.timestamp, evidence));
        emit Reported(id, device.region, used, reward, proof);
    }
}
