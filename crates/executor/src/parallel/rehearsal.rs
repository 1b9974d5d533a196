//! A schedule that a number decides, for tests: the front plays the helpers between its commits.
//!
//! Real threads give another schedule every time, and hardly any on a busy machine. Here one
//! thread takes transactions to run ahead as helpers would, some near, some far, more or fewer of
//! them, so that outcomes meet every kind of change between their execution and their turn.

use warpline_block_stm::Scheduler;

/// Decides who runs next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rehearsal(u64);

impl Rehearsal {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next transaction to run ahead, or `None` when it is the front's turn to commit.
    pub(crate) fn next(&mut self, scheduler: &Scheduler) -> Option<usize> {
        match self.roll() % 4 {
            0 | 1 => None,
            2 => scheduler.claim(),
            _ => {
                let distance = 1 << (self.roll() % 6);
                scheduler.claim_at(scheduler.committed() + distance)
            }
        }
    }

    /// SplitMix64.
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
