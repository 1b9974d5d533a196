//! The block that would be made now, for those who ask what the pool leads to.
//!
//! It is built when somebody asks, by whoever asks, and kept for as long as it is what would be
//! made. Under load it would never be that for long: then it may be a little behind, so that
//! building it takes no more than a share of a core, however often it is asked for.

use crate::{Node, NodeError, producer::ProposeOptions};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use warpline_chain::{ChainView, ImportError, ProposedBlock, Reason};

/// How long a block is kept that nothing but time has changed: it has a timestamp. geth builds a
/// new one after two seconds.
const FRESH: Duration = Duration::from_secs(1);

/// What builds faster is built again for every change of the pool.
const AT_ONCE: Duration = Duration::from_millis(5);

/// For how many times as long as it took to build, another may be behind the pool.
const REST: u32 = 4;

/// The block that would be made now, if it is known.
#[derive(Debug)]
pub(crate) struct Pending {
    /// How far it may be behind the pool.
    lag: Duration,
    built: Mutex<Option<Built>>,
    /// Held by whoever builds.
    building: Mutex<()>,
}

#[derive(Debug)]
struct Built {
    block: Arc<ProposedBlock>,
    /// Of the pool that it was made of.
    version: u64,
    at: Instant,
    took: Duration,
}

impl Pending {
    pub(crate) fn new(lag: Duration) -> Self {
        Self { lag, built: Mutex::default(), building: Mutex::default() }
    }

    /// Forgets the block: what the next one is to be like has changed.
    pub(crate) fn forget(&self) {
        let forgotten = self.built.lock().take();
        // Freed outside of the lock.
        drop(forgotten);
    }

    fn find(&self, view: &ChainView, version: u64) -> Option<Arc<ProposedBlock>> {
        let built = self.built.lock();
        let built = built.as_ref()?;
        let when = (built.version, built.at, built.took);
        let known =
            built.block.parent() == view.head() && serves(when, version, Instant::now(), self.lag);
        known.then(|| Arc::clone(&built.block))
    }
}

/// Whether what was built of one version of the pool, when, and in what time, is good enough for
/// another version, if it may be behind by `lag`.
fn serves(
    (of, at, took): (u64, Instant, Duration),
    version: u64,
    now: Instant,
    lag: Duration,
) -> bool {
    let age = now.saturating_duration_since(at);
    if of == version && age < FRESH {
        return true;
    }
    took > AT_ONCE && age < (took * REST).min(lag)
}

impl Node {
    /// The block that would be made now of what waits in the pool, executed. None on a chain
    /// whose next block cannot be made here, since it comes before the merge.
    ///
    /// It may be behind the pool by four times as long as it takes to build, but not by more than
    /// [`NodeConfig::pending_lag`](crate::NodeConfig::pending_lag), and by nothing where that takes
    /// less than 5 ms.
    ///
    /// # Errors
    /// The database cannot be read, or the node is shutting down.
    pub fn pending(&self) -> Result<Option<Arc<ProposedBlock>>, NodeError> {
        let find = || self.pending.find(self.view(), self.pool().version());
        if let Some(block) = find() {
            return Ok(Some(block));
        }
        let _one_at_a_time = self.pending.building.lock();
        // Somebody else has built it meanwhile.
        if let Some(block) = find() {
            return Ok(Some(block));
        }
        // Whatever changes what the next block is like waits, and forgets the block after this.
        self.read(|producer| {
            let (version, start) = (self.pool().version(), Instant::now());
            let proposal = match producer.propose(ProposeOptions::default()) {
                Ok(proposal) => proposal,
                Err(NodeError::Chain(error)) if is_before_the_merge(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let block = Arc::new(ProposedBlock::from(proposal));
            let (at, took) = (Instant::now(), start.elapsed());
            let built = Built { block: Arc::clone(&block), version, at, took };
            *self.pending.built.lock() = Some(built);
            Ok(Some(block))
        })
    }
}

fn is_before_the_merge(error: &ImportError) -> bool {
    matches!(error, ImportError::Invalid(invalid) if invalid.reason == Reason::Merge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_to_build_is_kept_for_longer() {
        let millis = Duration::from_millis;
        // After so many milliseconds of building: until when it serves the same pool, and another.
        for (took, same, other) in
            [(1, 1000, 0), (5, 1000, 0), (6, 1000, 24), (100, 1000, 400), (9000, 2000, 2000)]
        {
            let (at, took) = (Instant::now(), millis(took));
            let lag = millis(2000);
            let serves = |version, after| serves((7, at, took), version, at + after, lag);
            assert!(serves(7, millis(same) - millis(1)), "{took:?}");
            assert!(!serves(7, millis(same)), "{took:?}");
            assert_eq!(serves(8, millis(other).saturating_sub(millis(1))), other > 0, "{took:?}");
            assert!(!serves(8, millis(other)), "{took:?}");
            let exact = super::serves((7, at, took), 8, at, Duration::ZERO);
            assert!(!exact, "{took:?}");
        }
    }
}
