//! A bit of everything, in proportions like those of a public chain.

use crate::{
    Workload, WorkloadError,
    block::Call,
    scenario::{self, Scenario},
    world::World,
};

/// Each workload with its share in percent.
const SHARES: [(Workload, u64); 14] = [
    (Workload::Transfers, 28),
    (Workload::Relay, 2),
    (Workload::Collect, 5),
    (Workload::Erc20, 22),
    (Workload::Dex, 11),
    (Workload::DexTicks, 6),
    (Workload::Lending, 5),
    (Workload::Nft, 4),
    (Workload::Items, 4),
    (Workload::Votes, 2),
    (Workload::Custody, 3),
    (Workload::Metering, 3),
    (Workload::Subscriptions, 3),
    (Workload::CounterWork, 2),
];

/// Hot transactions of one workload meet in its hot spot.
pub(super) struct Mixed {
    parts: Vec<(Box<dyn Scenario>, u64)>,
}

impl Mixed {
    pub(super) fn new(world: &mut World) -> Result<Self, WorkloadError> {
        let part = |(workload, share)| Ok((scenario::build(workload, world)?, share));
        let parts = SHARES.into_iter().map(part).collect::<Result<_, WorkloadError>>()?;
        Ok(Self { parts })
    }
}

impl Scenario for Mixed {
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError> {
        let mut left = world.rng.below(100);
        let mut chosen = 0;
        for (index, (_, share)) in self.parts.iter().enumerate() {
            chosen = index;
            if left < *share {
                break;
            }
            left -= share;
        }
        self.parts[chosen].0.call(world, hot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_percent() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 100);
    }
}
