// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken, ITickSwapPayer} from "./Interfaces.sol";
import {TickMath} from "./TickMath.sol";
import {WideMath} from "./WideMath.sol";

/// A concentrated-liquidity market. Liquidity is constant between initialised ticks; a swap walks
/// from one to the next, found in a bitmap, and changes liquidity where it crosses.
contract TickPool {
    uint256 private constant Q96 = 1 << 96;
    /// Fee in millionths, and the distance between usable ticks.
    uint256 private constant FEE = 3000;
    int24 private constant SPACING = 60;

    struct Price {
        uint160 sqrtPrice;
        int24 tick;
        bool entered;
    }

    struct Tick {
        uint128 gross;
        int128 net;
        uint256 feesOutside0;
        uint256 feesOutside1;
    }

    /// A swap on its way.
    struct Walk {
        uint256 remaining;
        uint256 paid;
        uint256 received;
        uint256 fees;
        uint160 sqrtPrice;
        int24 tick;
        uint128 liquidity;
    }

    address public token0;
    address public token1;
    Price public price;
    uint128 public liquidity;
    /// Fees per unit of liquidity in 128.128 fixed point.
    uint256 public fees0;
    uint256 public fees1;
    mapping(int24 => Tick) public ticks;
    /// One bit per usable tick.
    mapping(int16 => uint256) public bitmap;

    event Swap(
        address indexed caller,
        address indexed to,
        int256 amount0,
        int256 amount1,
        uint160 sqrtPrice,
        uint128 liquidity,
        int24 tick
    );

    error Reentered();
    error NothingIn();
    error LimitOnWrongSide();
    error NotPaid();
    error TransferFailed();

    /// Sells up to `amountIn`, stopping at `limit`; `down` sells token0, which lowers the price.
    function swap(address to, bool down, uint256 amountIn, uint160 limit, bytes calldata data)
        external
        returns (uint256 paid, uint256 received)
    {
        Price memory start = price;
        if (start.entered) revert Reentered();
        if (amountIn == 0) revert NothingIn();
        if (down ? limit >= start.sqrtPrice : limit <= start.sqrtPrice) revert LimitOnWrongSide();
        price.entered = true;

        Walk memory walk;
        walk.remaining = amountIn;
        walk.sqrtPrice = start.sqrtPrice;
        walk.tick = start.tick;
        walk.liquidity = liquidity;
        walk.fees = down ? fees0 : fees1;
        while (walk.remaining != 0 && walk.sqrtPrice != limit) step(walk, down, limit);

        if (walk.liquidity != liquidity) liquidity = walk.liquidity;
        if (down) fees0 = walk.fees;
        else fees1 = walk.fees;
        (paid, received) = (walk.paid, walk.received);
        settle(to, down, paid, received, data);
        price = Price(walk.sqrtPrice, walk.tick, false);
        emit Swap(
            msg.sender,
            to,
            down ? int256(paid) : -int256(received),
            down ? -int256(received) : int256(paid),
            walk.sqrtPrice,
            walk.liquidity,
            walk.tick
        );
    }

    /// To the next tick in the bitmap word, to the limit, or until the input is used up.
    function step(Walk memory walk, bool down, uint160 limit) private {
        (int24 next, bool initialised) = nextTick(walk.tick, down);
        uint160 border = TickMath.sqrtPriceAt(next);
        uint160 target = (down ? border < limit : border > limit) ? limit : border;

        uint256 usable = WideMath.mulDiv(walk.remaining, 1_000_000 - FEE, 1_000_000);
        uint256 whole = down
            ? amount0(target, walk.sqrtPrice, walk.liquidity, true)
            : amount1(walk.sqrtPrice, target, walk.liquidity, true);
        uint256 fee;
        uint160 reached = target;
        if (usable >= whole) {
            fee = WideMath.mulDivUp(whole, FEE, 1_000_000 - FEE);
            if (fee + whole > walk.remaining) fee = walk.remaining - whole;
            walk.remaining -= whole + fee;
            walk.paid += whole + fee;
        } else {
            reached = moved(walk.sqrtPrice, walk.liquidity, usable, down);
            fee = walk.remaining - usable;
            walk.paid += walk.remaining;
            walk.remaining = 0;
        }
        walk.received += down
            ? amount1(reached, walk.sqrtPrice, walk.liquidity, false)
            : amount0(walk.sqrtPrice, reached, walk.liquidity, false);
        if (walk.liquidity != 0) {
            unchecked {
                // Wraps by design: only differences are ever used.
                walk.fees += WideMath.mulDiv(fee, 1 << 128, walk.liquidity);
            }
        }

        walk.sqrtPrice = reached;
        if (reached != border) {
            walk.tick = TickMath.tickAt(reached);
            return;
        }
        if (initialised) {
            int128 net = cross(next, walk.fees, down);
            walk.liquidity = uint128(int128(walk.liquidity) + (down ? -net : net));
        }
        walk.tick = down ? next - 1 : next;
    }

    /// Turns a tick's fee counters over to its other side and returns its liquidity change.
    function cross(int24 tick, uint256 fees, bool down) private returns (int128) {
        Tick storage t = ticks[tick];
        unchecked {
            t.feesOutside0 = (down ? fees : fees0) - t.feesOutside0;
            t.feesOutside1 = (down ? fees1 : fees) - t.feesOutside1;
        }
        return t.net;
    }

    /// The nearest initialised tick at or below (above) in the same bitmap word, or its end.
    function nextTick(int24 tick, bool down) private view returns (int24, bool) {
        unchecked {
            int24 usable = tick / SPACING;
            if (tick < 0 && tick % SPACING != 0) usable -= 1;
            if (!down) usable += 1;
            uint256 bit = uint256(int256(usable)) & 0xff;
            uint256 word = bitmap[int16(usable >> 8)];
            if (down) {
                word &= type(uint256).max >> (255 - bit);
                if (word == 0) return ((usable - int24(int256(bit))) * SPACING, false);
                return ((usable - int24(int256(bit - TickMath.topBit(word)))) * SPACING, true);
            }
            word &= type(uint256).max << bit;
            if (word == 0) return ((usable + int24(int256(255 - bit))) * SPACING, false);
            uint256 lowest = TickMath.topBit(word & (0 - word));
            return ((usable + int24(int256(lowest - bit))) * SPACING, true);
        }
    }

    /// Token0 between two prices: L * (high - low) / (high * low).
    function amount0(uint160 low, uint160 high, uint128 l, bool up) private pure returns (uint256) {
        uint256 scaled = uint256(l) << 96;
        if (!up) return WideMath.mulDiv(scaled, high - low, high) / low;
        uint256 part = WideMath.mulDivUp(scaled, high - low, high);
        return part / low + (part % low == 0 ? 0 : 1);
    }

    /// Token1 between two prices: L * (high - low).
    function amount1(uint160 low, uint160 high, uint128 l, bool up) private pure returns (uint256) {
        return up ? WideMath.mulDivUp(l, high - low, Q96) : WideMath.mulDiv(l, high - low, Q96);
    }

    /// The price after `amount` came in, rounded in the pool's favour.
    function moved(uint160 from, uint128 l, uint256 amount, bool down) private pure returns (uint160) {
        if (!down) return uint160(from + WideMath.mulDiv(amount, Q96, l));
        uint256 scaled = uint256(l) << 96;
        return uint160(WideMath.mulDivUp(scaled, from, scaled + amount * from));
    }

    /// Pays out, has the caller pay in, and checks that it did.
    function settle(address to, bool down, uint256 paid, uint256 received, bytes calldata data) private {
        (IToken tokenIn, IToken tokenOut) =
            down ? (IToken(token0), IToken(token1)) : (IToken(token1), IToken(token0));
        if (received != 0 && !tokenOut.transfer(to, received)) revert TransferFailed();
        uint256 before = tokenIn.balanceOf(address(this));
        ITickSwapPayer(msg.sender).payTickPool(down ? paid : 0, down ? 0 : paid, data);
        if (tokenIn.balanceOf(address(this)) < before + paid) revert NotPaid();
    }
}
