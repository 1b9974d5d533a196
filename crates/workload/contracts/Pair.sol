// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken} from "./Interfaces.sol";

/// A constant-product market: reserve0 * reserve1 never falls, net of a 0.3% fee on what comes in.
/// The input is paid before `swap` is called and measured as balance minus reserve.
contract Pair {
    address public token0;
    address public token1;
    uint112 private reserve0;
    uint112 private reserve1;
    uint32 private updatedAt;
    /// Sums of price * seconds in 112.112 fixed point, for time-weighted averages.
    uint256 public cumulative0;
    uint256 public cumulative1;
    /// 1 while nobody is inside, 2 during a swap.
    uint256 private guard;

    event Swap(address indexed caller, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to);
    event Sync(uint112 reserve0, uint112 reserve1);

    error Reentered();
    error NothingOut();
    error NothingIn();
    error NotEnoughLiquidity();
    error ProductFell();
    error TransferFailed();

    function reserves() external view returns (uint112, uint112) {
        return (reserve0, reserve1);
    }

    function swap(uint256 out0, uint256 out1, address to) external {
        if (guard != 1) revert Reentered();
        guard = 2;
        if (out0 == 0 && out1 == 0) revert NothingOut();
        (uint256 before0, uint256 before1) = (reserve0, reserve1);
        if (out0 >= before0 || out1 >= before1) revert NotEnoughLiquidity();

        (address t0, address t1) = (token0, token1);
        if (out0 != 0 && !IToken(t0).transfer(to, out0)) revert TransferFailed();
        if (out1 != 0 && !IToken(t1).transfer(to, out1)) revert TransferFailed();
        uint256 now0 = IToken(t0).balanceOf(address(this));
        uint256 now1 = IToken(t1).balanceOf(address(this));

        uint256 in0 = now0 > before0 - out0 ? now0 - (before0 - out0) : 0;
        uint256 in1 = now1 > before1 - out1 ? now1 - (before1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert NothingIn();
        uint256 net0 = now0 * 1000 - in0 * 3;
        uint256 net1 = now1 * 1000 - in1 * 3;
        if (net0 * net1 < before0 * before1 * 1000 ** 2) revert ProductFell();

        record(now0, now1, before0, before1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
        guard = 1;
    }

    function record(uint256 now0, uint256 now1, uint256 before0, uint256 before1) private {
        uint32 time = uint32(block.timestamp);
        unchecked {
            // Both wrap by design: only differences are ever used.
            uint32 elapsed = time - updatedAt;
            if (elapsed != 0) {
                cumulative0 += ((before1 << 112) / before0) * elapsed;
                cumulative1 += ((before0 << 112) / before1) * elapsed;
            }
        }
        require(now0 <= type(uint112).max && now1 <= type(uint112).max);
        reserve0 = uint112(now0);
        reserve1 = uint112(now1);
        updatedAt = time;
        emit Sync(uint112(now0), uint112(now1));
    }
}
