//! A small random number generator whose output is fixed for all time, unlike a library's.

/// SplitMix64: a counter with a good mixing function.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The sequence that belongs to `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for an empty range. The bias is below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..high`.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// `count` flags of which exactly `set` are true, every arrangement equally likely.
    pub(crate) fn flags(&mut self, count: usize, set: usize) -> Vec<bool> {
        let mut left = set.min(count) as u64;
        (0..count)
            .map(|i| {
                let chosen = self.below((count - i) as u64) < left;
                left -= u64::from(chosen);
                chosen
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_fixed() {
        let mut rng = Rng::new(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(
            got,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut rng = Rng::new(7);
        assert!((0..1000).all(|_| (5..9).contains(&rng.range(5, 9))));
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn exactly_as_many_flags_as_asked_for() {
        let mut rng = Rng::new(3);
        for (count, set) in [(10, 0), (10, 3), (10, 10), (5, 9), (0, 0)] {
            let flags = rng.flags(count, set);
            assert_eq!(flags.len(), count);
            assert_eq!(flags.iter().filter(|flag| **flag).count(), set.min(count));
        }
    }
}
