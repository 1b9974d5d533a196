// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What a contract that receives items answers.
interface IItemReceiver {
    function onERC1155BatchReceived(
        address operator,
        address from,
        uint256[] calldata ids,
        uint256[] calldata amounts,
        bytes calldata data
    ) external returns (bytes4);
}

/// Items of a game (ERC-1155): players trade them in batches and craft new ones from others.
contract GameItems {
    struct Recipe {
        uint64 first;
        uint32 firstAmount;
        uint64 second;
        uint32 secondAmount;
        uint64 product;
    }

    mapping(uint256 => mapping(address => uint256)) public balanceOf;
    mapping(address => mapping(address => bool)) public isApprovedForAll;
    mapping(uint256 => Recipe) public recipes;
    mapping(uint256 => uint256) public totalSupply;

    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);
    event TransferBatch(
        address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values
    );

    error NotAllowed();
    error LengthsDiffer();
    error Refused();
    error UnknownRecipe();
    error TooFew(uint256 id, uint256 has, uint256 needs);

    function safeBatchTransferFrom(
        address from,
        address to,
        uint256[] calldata ids,
        uint256[] calldata amounts,
        bytes calldata data
    ) external {
        if (from != msg.sender && !isApprovedForAll[from][msg.sender]) revert NotAllowed();
        if (ids.length != amounts.length) revert LengthsDiffer();
        for (uint256 i = 0; i < ids.length; i++) {
            take(from, ids[i], amounts[i]);
            balanceOf[ids[i]][to] += amounts[i];
        }
        emit TransferBatch(msg.sender, from, to, ids, amounts);
        if (to.code.length != 0) {
            bytes4 answer = IItemReceiver(to).onERC1155BatchReceived(msg.sender, from, ids, amounts, data);
            if (answer != IItemReceiver.onERC1155BatchReceived.selector) revert Refused();
        }
    }

    function craft(uint256 recipe, uint256 times) external {
        Recipe memory r = recipes[recipe];
        if (r.product == 0) revert UnknownRecipe();
        uint256[] memory ids = new uint256[](2);
        uint256[] memory amounts = new uint256[](2);
        (ids[0], amounts[0]) = (r.first, r.firstAmount * times);
        (ids[1], amounts[1]) = (r.second, r.secondAmount * times);
        for (uint256 i = 0; i < 2; i++) {
            take(msg.sender, ids[i], amounts[i]);
            totalSupply[ids[i]] -= amounts[i];
        }
        balanceOf[r.product][msg.sender] += times;
        totalSupply[r.product] += times;
        emit TransferBatch(msg.sender, msg.sender, address(0), ids, amounts);
        emit TransferSingle(msg.sender, address(0), msg.sender, r.product, times);
    }

    function take(address from, uint256 id, uint256 amount) private {
        uint256 has = balanceOf[id][from];
        if (has < amount) revert TooFew(id, has, amount);
        unchecked {
            balanceOf[id][from] = has - amount;
        }
    }
}
