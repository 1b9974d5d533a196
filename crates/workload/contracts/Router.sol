// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPair, IToken} from "./Interfaces.sol";

/// Sells an exact amount along a path of constant-product pairs. Holds no state and no tokens.
contract Router {
    error Expired();
    error TooLittleOut(uint256 got, uint256 wanted);
    error TransferFailed();

    function sell(
        address token,
        uint256 amountIn,
        uint256 minOut,
        address[] calldata path,
        address to,
        uint256 deadline
    ) external returns (uint256 amount) {
        if (block.timestamp > deadline) revert Expired();
        if (!IToken(token).transferFrom(msg.sender, path[0], amountIn)) revert TransferFailed();
        amount = amountIn;
        for (uint256 i = 0; i < path.length; i++) {
            address receiver = i + 1 < path.length ? path[i + 1] : to;
            (token, amount) = hop(IPair(path[i]), token, amount, receiver);
        }
        if (amount < minOut) revert TooLittleOut(amount, minOut);
    }

    /// One swap whose input has been paid already; returns the token and amount that came out.
    function hop(IPair pair, address token, uint256 amountIn, address to) private returns (address, uint256) {
        address token0 = pair.token0();
        (uint256 reserve0, uint256 reserve1) = pair.reserves();
        if (token == token0) {
            uint256 out = quote(amountIn, reserve0, reserve1);
            pair.swap(0, out, to);
            return (pair.token1(), out);
        }
        uint256 out0 = quote(amountIn, reserve1, reserve0);
        pair.swap(out0, 0, to);
        return (token0, out0);
    }

    function quote(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) private pure returns (uint256) {
        uint256 net = amountIn * 997;
        return net * reserveOut / (reserveIn * 1000 + net);
    }
}
