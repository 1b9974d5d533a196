// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Supply-chain tracking: who holds an item, in which state, and everything that happened to it.
contract Custody {
    struct Item {
        address custodian;
        uint64 changedAt;
        uint32 hops;
        /// Hash over the whole history, so that a copy kept elsewhere can be checked.
        bytes32 digest;
        Entry[] history;
    }

    struct Entry {
        address by;
        uint64 time;
        int16 celsius;
        uint16 kind;
        bytes32 place;
    }

    uint16 private constant HANDED_OVER = 1;
    uint16 private constant INSPECTED = 2;

    mapping(uint256 => Item) private items;
    /// Companies that take part: custodians and inspectors.
    mapping(address => bool) public isMember;

    event HandedOver(uint256 indexed item, address indexed from, address indexed to, bytes32 place, uint32 hops);
    event Inspected(uint256 indexed item, address indexed inspector, int16 celsius);
    event ColdChainBroken(uint256 indexed item, int16 celsius);

    error NotCustodian(address caller, address custodian);
    error NotMember(address account);

    function handOver(uint256 id, address to, bytes32 place, int16 celsius) external {
        Item storage item = items[id];
        if (item.custodian != msg.sender) revert NotCustodian(msg.sender, item.custodian);
        if (!isMember[to]) revert NotMember(to);
        item.custodian = to;
        item.changedAt = uint64(block.timestamp);
        item.hops += 1;
        note(item, HANDED_OVER, celsius, place);
        emit HandedOver(id, msg.sender, to, place, item.hops);
    }

    function inspect(uint256 id, bytes32 place, int16 celsius) external {
        if (!isMember[msg.sender]) revert NotMember(msg.sender);
        note(items[id], INSPECTED, celsius, place);
        emit Inspected(id, msg.sender, celsius);
        if (celsius > 8) emit ColdChainBroken(id, celsius);
    }

    function note(Item storage item, uint16 kind, int16 celsius, bytes32 place) private {
        item.history.push(Entry(msg.sender, uint64(block.timestamp), celsius, kind, place));
        item.digest = keccak256(abi.encode(item.digest, msg.sender, block.timestamp, celsius, kind, place));
    }
}
