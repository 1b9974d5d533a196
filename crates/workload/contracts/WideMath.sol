// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// a * b / d with a 512-bit product.
library WideMath {
    error QuotientTooWide();

    function mulDiv(uint256 a, uint256 b, uint256 d) internal pure returns (uint256) {
        unchecked {
            // The product modulo 2^256 and modulo 2^256-1 determine its upper half.
            uint256 low = a * b;
            uint256 mod = mulmod(a, b, type(uint256).max);
            uint256 high = mod - low;
            if (mod < low) high -= 1;
            if (high == 0) return low / d;
            if (high >= d) revert QuotientTooWide();

            // Make the division exact, then cancel the common power of two.
            uint256 rest = mulmod(a, b, d);
            if (rest > low) high -= 1;
            low -= rest;
            uint256 two = d & (0 - d);
            d /= two;
            low /= two;
            if (two != 1) low |= high * ((0 - two) / two + 1);

            // An exact quotient by an odd divisor is a product with its inverse modulo 2^256.
            // (3d) xor 2 is right to 5 bits, each Newton step doubles that.
            uint256 inverse = (3 * d) ^ 2;
            for (uint256 bits = 5; bits < 256; bits *= 2) inverse *= 2 - d * inverse;
            return low * inverse;
        }
    }

    function mulDivUp(uint256 a, uint256 b, uint256 d) internal pure returns (uint256 q) {
        q = mulDiv(a, b, d);
        if (mulmod(a, b, d) != 0) q += 1;
    }
}
