// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A non-fungible token (ERC-721) sold one by one: every mint takes the next id.
contract Collection {
    uint256 public price;
    uint64 public minted;
    uint64 public cap;
    mapping(uint256 => address) public ownerOf;
    mapping(address => uint256) public balanceOf;
    /// What the drawing of a token's looks starts from.
    mapping(uint256 => bytes32) public seedOf;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    error WrongPrice(uint256 paid, uint256 wanted);
    error SoldOut();

    function mint() external payable returns (uint256 id) {
        if (msg.value != price) revert WrongPrice(msg.value, price);
        if (minted == cap) revert SoldOut();
        id = minted + 1;
        minted = uint64(id);
        ownerOf[id] = msg.sender;
        balanceOf[msg.sender] += 1;
        seedOf[id] = keccak256(abi.encode(id, msg.sender, block.prevrandao));
        emit Transfer(address(0), msg.sender, id);
    }
}
