// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the markets need of a token.
interface IToken {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// What the router needs of a constant-product pair.
interface IPair {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function reserves() external view returns (uint112, uint112);
    function swap(uint256 out0, uint256 out1, address to) external;
}

/// A price per token in the unit of account, 18 decimals.
interface IOracle {
    function priceOf(address token) external view returns (uint256);
}

/// Whoever swaps in a tick pool pays in this call, after having received the other token.
interface ITickSwapPayer {
    function payTickPool(uint256 amount0, uint256 amount1, bytes calldata data) external;
}
