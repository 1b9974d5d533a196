//! Whether running a kind of transaction ahead pays: the share of speculations that were useful.

use crate::sync::{AtomicU32, Ordering};

/// A share of one.
const ONE: u32 = 1 << 16;

/// What is supposed before anything is known.
const AT_FIRST: u32 = ONE / 8 * 5;

/// Below this share running ahead costs more, in memory traffic and in waiting, than it gains.
const WORTH_IT: u32 = ONE / 5;

/// The share of useful speculations among the latest ones, each counting a little less than the
/// next.
///
/// Reports from several threads at once may overwrite one another, which matters to nobody.
#[derive(Debug)]
pub(crate) struct Score {
    share: AtomicU32,
    /// The latest report moves the share by one part in this many of its distance.
    memory: u32,
}

impl Score {
    /// A score that nothing has been reported to; `memory` is about how many reports it rests on.
    pub(crate) fn new(memory: u32) -> Self {
        Self { share: AtomicU32::new(AT_FIRST), memory }
    }

    /// Running ahead saved time.
    pub(crate) fn useful(&self) {
        let share = self.share.load(Ordering::Relaxed);
        self.share.store(share + (ONE - share) / self.memory, Ordering::Relaxed);
    }

    /// Running ahead was in vain.
    pub(crate) fn wasted(&self) {
        let share = self.share.load(Ordering::Relaxed);
        self.share.store(share - share / self.memory, Ordering::Relaxed);
    }

    pub(crate) fn worth_it(&self) -> bool {
        self.share.load(Ordering::Relaxed) >= WORTH_IT
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_score_sinks_with_waste_and_recovers_with_use() {
        let score = Score::new(8);
        assert!(score.worth_it(), "nothing is known");
        for _ in 0..40 {
            score.wasted();
        }
        assert!(!score.worth_it());
        for _ in 0..8 {
            score.useful();
        }
        assert!(score.worth_it());
    }

    proptest! {
        #[test]
        fn the_share_stays_a_share(memory in 1_u32..100, reports in proptest::collection::vec(any::<bool>(), 0..500)) {
            let score = Score::new(memory);
            for useful in reports {
                if useful { score.useful() } else { score.wasted() }
                prop_assert!(score.share.load(Ordering::Relaxed) <= ONE);
            }
        }
    }
}
