// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Between ticks (powers of 1.0001) and square roots of prices in 64.96 fixed point.
library TickMath {
    int24 internal constant MAX_TICK = 443_636;

    error TickOutOfRange(int24 tick);

    /// sqrt(1.0001)^tick * 2^96: the product of the powers 1.0001^(-2^i/2), in 128-bit fixed
    /// point, for the bits i of |tick|.
    function sqrtPriceAt(int24 tick) internal pure returns (uint160) {
        uint256 n = uint256(int256(tick < 0 ? -tick : tick));
        if (n > uint256(int256(MAX_TICK))) revert TickOutOfRange(tick);
        uint256 r = 1 << 128;
        unchecked {
            if (n & 0x1 != 0) r = 0xfffcb933bd6fad37aa2d162d1a594001;
            if (n & 0x2 != 0) r = r * 0xfff97272373d413259a46990580e213a >> 128;
            if (n & 0x4 != 0) r = r * 0xfff2e50f5f656932ef12357cf3c7fdcc >> 128;
            if (n & 0x8 != 0) r = r * 0xffe5caca7e10e4e61c3624eaa0941cd0 >> 128;
            if (n & 0x10 != 0) r = r * 0xffcb9843d60f6159c9db58835c926644 >> 128;
            if (n & 0x20 != 0) r = r * 0xff973b41fa98c081472e6896dfb254c0 >> 128;
            if (n & 0x40 != 0) r = r * 0xff2ea16466c96a3843ec78b326b52861 >> 128;
            if (n & 0x80 != 0) r = r * 0xfe5dee046a99a2a811c461f1969c3053 >> 128;
            if (n & 0x100 != 0) r = r * 0xfcbe86c7900a88aedcffc83b479aa3a4 >> 128;
            if (n & 0x200 != 0) r = r * 0xf987a7253ac413176f2b074cf7815e54 >> 128;
            if (n & 0x400 != 0) r = r * 0xf3392b0822b70005940c7a398e4b70f3 >> 128;
            if (n & 0x800 != 0) r = r * 0xe7159475a2c29b7443b29c7fa6e889d9 >> 128;
            if (n & 0x1000 != 0) r = r * 0xd097f3bdfd2022b8845ad8f792aa5825 >> 128;
            if (n & 0x2000 != 0) r = r * 0xa9f746462d870fdf8a65dc1f90e061e5 >> 128;
            if (n & 0x4000 != 0) r = r * 0x70d869a156d2a1b890bb3df62baf32f7 >> 128;
            if (n & 0x8000 != 0) r = r * 0x31be135f97d08fd981231505542fcfa6 >> 128;
            if (n & 0x10000 != 0) r = r * 0x9aa508b5b7a84e1c677de54f3e99bc9 >> 128;
            if (n & 0x20000 != 0) r = r * 0x5d6af8dedb81196699c329225ee604 >> 128;
            if (n & 0x40000 != 0) r = r * 0x2216e584f5fa1ea926041bedfe98 >> 128;
            if (tick > 0) r = type(uint256).max / r;
            return uint160((r + type(uint32).max) >> 32);
        }
    }

    /// The largest tick whose price is not above `price`.
    function tickAt(uint160 price) internal pure returns (int24 tick) {
        unchecked {
            // log2(price / 2^96) with 16 fractional bits: the whole part is the top bit, each
            // squaring of the mantissa yields one bit more.
            uint256 top = topBit(price);
            int256 log = (int256(top) - 96) << 16;
            uint256 mantissa = top >= 127 ? uint256(price) >> (top - 127) : uint256(price) << (127 - top);
            for (uint256 bit = 1 << 15; bit != 0; bit >>= 1) {
                mantissa = mantissa * mantissa >> 127;
                if (mantissa >> 128 != 0) {
                    mantissa >>= 1;
                    log += int256(bit);
                }
            }
            // Divided by log2(sqrt(1.0001)); the truncated logarithm is at most a third of a tick
            // low, so the answer is this tick or the next.
            tick = int24((log * 255738958999603826347141) >> 80);
            if (tick < MAX_TICK && sqrtPriceAt(tick + 1) <= price) tick += 1;
        }
    }

    /// Position of the highest set bit of a non-zero number.
    function topBit(uint256 x) internal pure returns (uint256 position) {
        unchecked {
            for (uint256 half = 128; half != 0; half >>= 1) {
                if (x >> half != 0) {
                    x >>= half;
                    position += half;
                }
            }
        }
    }
}
