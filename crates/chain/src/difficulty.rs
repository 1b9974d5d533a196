//! The difficulty that follows from the parent's, while blocks are mined.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::U256;

/// No block is easier.
const MINIMUM: U256 = U256::from_limbs([131_072, 0, 0, 0]);

/// The difficulty doubles every so many blocks.
const BOMB_PERIOD: u64 = 100_000;

/// How many blocks a fork takes off the number that the difficulty bomb goes by.
const BOMB_DELAYS: [(EthereumHardfork, u64); 6] = [
    (EthereumHardfork::GrayGlacier, 11_400_000),
    (EthereumHardfork::ArrowGlacier, 10_700_000),
    (EthereumHardfork::London, 9_700_000),
    (EthereumHardfork::MuirGlacier, 9_000_000),
    (EthereumHardfork::Constantinople, 5_000_000),
    (EthereumHardfork::Byzantium, 3_000_000),
];

/// The difficulty of a block with this number and time on top of `parent`.
pub fn next_difficulty(
    forks: &impl EthereumHardforks,
    number: u64,
    timestamp: u64,
    parent: &Header,
) -> U256 {
    let at = |fork| forks.ethereum_fork_activation(fork).active_at_block(number);
    let step = parent.difficulty / U256::from(2048);
    let seconds = timestamp.saturating_sub(parent.timestamp);
    let adjusted = if at(EthereumHardfork::Byzantium) {
        // EIP-100 counts ommers as blocks.
        let blocks = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
        adjust(parent.difficulty, step, blocks, seconds / 9)
    } else if at(EthereumHardfork::Homestead) {
        adjust(parent.difficulty, step, 1, seconds / 10)
    } else if seconds < 13 {
        parent.difficulty + step
    } else {
        parent.difficulty - step
    };
    let delay = BOMB_DELAYS.iter().find(|(fork, _)| at(*fork)).map_or(0, |(_, delay)| *delay);
    let periods = number.saturating_sub(delay) / BOMB_PERIOD;
    let bomb = match periods.checked_sub(2) {
        Some(exponent) => U256::from(1) << exponent as usize,
        None => U256::ZERO,
    };
    // Some clients apply the minimum before the bomb, which no chain has ever been easy enough to
    // tell from the yellow paper's order.
    (adjusted + bomb).max(MINIMUM)
}

/// Up by `step` for each of `faster`, down by `step` for each of `slower`, down at most 99 times.
fn adjust(difficulty: U256, step: U256, faster: u64, slower: u64) -> U256 {
    match faster.checked_sub(slower) {
        Some(up) => difficulty + step * U256::from(up),
        None => difficulty.saturating_sub(step * U256::from((slower - faster).min(99))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warpline_chainspec::ChainSpec;

    fn next(number: u64, seconds: u64, difficulty: u64, ommers: bool) -> u64 {
        let parent = Header {
            number: number - 1,
            timestamp: 1_000,
            difficulty: U256::from(difficulty),
            ommers_hash: if ommers { Default::default() } else { EMPTY_OMMER_ROOT_HASH },
            ..Header::default()
        };
        next_difficulty(&ChainSpec::mainnet(), number, 1_000 + seconds, &parent).to()
    }

    #[test]
    fn every_rule_by_hand() {
        let d = 2_048_000_000;
        assert_eq!(next(10, 12, d, false), d + 1_000_000);
        assert_eq!(next(10, 13, d, false), d - 1_000_000);
        assert_eq!(next(1_150_000, 9, d, false), d + 1_000_000 + 512);
        assert_eq!(next(1_150_000, 20, d, false), d - 1_000_000 + 512);
        assert_eq!(next(4_370_000, 8, d, true), d + 2_000_000 + 2048);
        assert_eq!(next(4_370_000, 9_000, d, false), d - 99_000_000 + 2048);
        assert_eq!(next(1, 13, 131_072, false), 131_072);
        assert_eq!(next(900_000, 10, 1_000, false), 131_072);
    }

    #[test]
    fn mainnet_block_one() {
        assert_eq!(next(1, 1_438_269_988 - 1_000, 17_179_869_184, false), 17_171_480_576);
    }
}
