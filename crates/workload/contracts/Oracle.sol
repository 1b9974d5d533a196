// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IOracle} from "./Interfaces.sol";

/// Prices as reporters left them; a price that is too old is refused.
contract Oracle is IOracle {
    struct Feed {
        uint192 price;
        uint64 reportedAt;
    }

    uint256 private constant MAX_AGE = 1 hours;

    mapping(address => Feed) public feeds;

    error StalePrice(address token);

    function priceOf(address token) external view returns (uint256) {
        Feed memory feed = feeds[token];
        if (feed.price == 0 || block.timestamp > feed.reportedAt + MAX_AGE) revert StalePrice(token);
        return feed.price;
    }
}
