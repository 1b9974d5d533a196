// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken, ITickSwapPayer} from "./Interfaces.sol";
import {TickPool} from "./TickPool.sol";

/// Swaps in tick pools on behalf of token holders who approved it.
contract TickRouter is ITickSwapPayer {
    error Expired();
    error TooLittleOut(uint256 got, uint256 wanted);
    error NotTheSwap();
    error TransferFailed();

    /// The pool that may ask for payment right now.
    address private transient swapping;

    function sell(
        TickPool pool,
        bool down,
        uint256 amountIn,
        uint256 minOut,
        uint160 limit,
        address to,
        uint256 deadline
    ) external returns (uint256 received) {
        if (block.timestamp > deadline) revert Expired();
        swapping = address(pool);
        (, received) = pool.swap(to, down, amountIn, limit, abi.encode(msg.sender));
        swapping = address(0);
        if (received < minOut) revert TooLittleOut(received, minOut);
    }

    function payTickPool(uint256 amount0, uint256 amount1, bytes calldata data) external {
        if (msg.sender != swapping) revert NotTheSwap();
        address payer = abi.decode(data, (address));
        if (amount0 != 0) pull(TickPool(msg.sender).token0(), payer, amount0);
        if (amount1 != 0) pull(TickPool(msg.sender).token1(), payer, amount1);
    }

    function pull(address token, address payer, uint256 amount) private {
        if (!IToken(token).transferFrom(payer, msg.sender, amount)) revert TransferFailed();
    }
}
