//! Keccak-f[1600] on as many states as a vector register has lanes (FIPS 202, section 3).

use core::arch::x86_64::{__m256i, __m512i};
use pulp::{
    cast,
    x86::{V3, V4},
};

/// Word by word, the states of all lanes.
pub(crate) type States<const N: usize> = [[u64; N]; 25];

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Eight states.
pub(crate) fn eight(simd: V4, states: &mut States<8>) {
    // Inlined, so that all of it is compiled for the processor that `simd` stands for.
    simd.vectorize(
        #[inline(always)]
        || {
            let words: [__m512i; 25] = states.map(cast);
            *states = permute(simd, words).map(cast);
        },
    );
}

/// Four states.
pub(crate) fn four(simd: V3, states: &mut States<4>) {
    simd.vectorize(
        #[inline(always)]
        || {
            let words: [__m256i; 25] = states.map(cast);
            *states = permute(simd, words).map(cast);
        },
    );
}

/// What a round needs of a vector unit.
trait Lanes: Copy {
    type Word: Copy;
    fn splat(self, value: u64) -> Self::Word;
    fn xor(self, a: Self::Word, b: Self::Word) -> Self::Word;
    fn xor3(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// `a ^ (!b & c)`.
    fn chi(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// To the left by `BY`; `REST` is what is left of 64 bits.
    fn rotate<const BY: i32, const REST: i32>(self, a: Self::Word) -> Self::Word;
}

impl Lanes for V4 {
    type Word = __m512i;

    #[inline(always)]
    fn splat(self, value: u64) -> __m512i {
        self.avx512f._mm512_set1_epi64(value.cast_signed())
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_xor_si512(a, b)
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        self.avx512f._mm512_ternarylogic_epi64::<0x96>(a, b, c)
    }

    #[inline(always)]
    fn chi(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        self.avx512f._mm512_ternarylogic_epi64::<0xd2>(a, b, c)
    }

    #[inline(always)]
    fn rotate<const BY: i32, const REST: i32>(self, a: __m512i) -> __m512i {
        self.avx512f._mm512_rol_epi64::<BY>(a)
    }
}

impl Lanes for V3 {
    type Word = __m256i;

    #[inline(always)]
    fn splat(self, value: u64) -> __m256i {
        self.avx._mm256_set1_epi64x(value.cast_signed())
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_xor_si256(a, b)
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn chi(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(a, self.avx2._mm256_andnot_si256(b, c))
    }

    #[inline(always)]
    fn rotate<const BY: i32, const REST: i32>(self, a: __m256i) -> __m256i {
        let (left, right) =
            (self.avx2._mm256_slli_epi64::<BY>(a), self.avx2._mm256_srli_epi64::<REST>(a));
        self.avx2._mm256_or_si256(left, right)
    }
}

#[inline(always)]
fn permute<L: Lanes>(lanes: L, mut words: [L::Word; 25]) -> [L::Word; 25] {
    for constant in ROUND_CONSTANTS {
        words = round(lanes, &words, constant);
    }
    words
}

#[inline(always)]
fn round<L: Lanes>(lanes: L, a: &[L::Word; 25], constant: u64) -> [L::Word; 25] {
    let column = |x: usize| lanes.xor3(lanes.xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
    let parity = [column(0), column(1), column(2), column(3), column(4)];
    let turned = parity.map(
        #[inline(always)]
        |word| lanes.rotate::<1, 63>(word),
    );
    // θ and ρ of the word that π moves here.
    macro_rules! moved {
        ($from:literal, $by:literal) => {{
            let (left, right) = (parity[($from + 4) % 5], turned[($from + 1) % 5]);
            lanes.rotate::<{ $by }, { 64 - $by }>(lanes.xor3(a[$from], left, right))
        }};
    }
    let [a0, a1, a2, a3, a4] =
        row(lanes, [moved!(0, 0), moved!(6, 44), moved!(12, 43), moved!(18, 21), moved!(24, 14)]);
    let [b0, b1, b2, b3, b4] =
        row(lanes, [moved!(3, 28), moved!(9, 20), moved!(10, 3), moved!(16, 45), moved!(22, 61)]);
    let [c0, c1, c2, c3, c4] =
        row(lanes, [moved!(1, 1), moved!(7, 6), moved!(13, 25), moved!(19, 8), moved!(20, 18)]);
    let [d0, d1, d2, d3, d4] =
        row(lanes, [moved!(4, 27), moved!(5, 36), moved!(11, 10), moved!(17, 15), moved!(23, 56)]);
    let [e0, e1, e2, e3, e4] =
        row(lanes, [moved!(2, 62), moved!(8, 55), moved!(14, 39), moved!(15, 41), moved!(21, 2)]);
    let a0 = lanes.xor(a0, lanes.splat(constant));
    [
        a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2,
        e3, e4,
    ]
}

/// χ of a row.
#[inline(always)]
fn row<L: Lanes>(lanes: L, [p, q, r, s, t]: [L::Word; 5]) -> [L::Word; 5] {
    [
        lanes.chi(p, q, r),
        lanes.chi(q, r, s),
        lanes.chi(r, s, t),
        lanes.chi(s, t, p),
        lanes.chi(t, p, q),
    ]
}
