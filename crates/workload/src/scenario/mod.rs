//! The workloads: each scenario places its contracts once and then makes one call at a time.

mod counter;
mod custody;
mod dex;
mod items;
mod lending;
mod metering;
mod mixed;
mod nft;
mod subscriptions;
mod ticks;
mod token;
mod transfers;
mod votes;

use crate::{Workload, WorkloadError, block::Call, world::World};

/// A workload at work.
pub(crate) trait Scenario {
    /// The next transaction, with whatever it needs in the state before the block. Hot ones meet
    /// in one place, cold ones touch nothing that another transaction writes.
    fn call(&mut self, world: &mut World, hot: bool) -> Result<Call, WorkloadError>;
}

/// Places what the workload's transactions share.
pub(crate) fn build(
    workload: Workload,
    world: &mut World,
) -> Result<Box<dyn Scenario>, WorkloadError> {
    Ok(match workload {
        Workload::Transfers => Box::new(transfers::Transfers::new(world)),
        Workload::Relay => Box::new(transfers::Relay::new(world)),
        Workload::Collect => Box::new(transfers::Collect::new(world)),
        Workload::Erc20 => Box::new(token::Erc20::new(world)?),
        Workload::Dex => Box::new(dex::Dex::new(world)?),
        Workload::DexTicks => Box::new(ticks::DexTicks::new(world)?),
        Workload::Lending => Box::new(lending::Lending::new(world)?),
        Workload::Nft => Box::new(nft::Nft::new(world)?),
        Workload::Items => Box::new(items::Items::new(world)?),
        Workload::Votes => Box::new(votes::Votes::new(world)?),
        Workload::Custody => Box::new(custody::Custody::new(world)?),
        Workload::Metering => Box::new(metering::Metering::new(world)?),
        Workload::Subscriptions => Box::new(subscriptions::Subscriptions::new(world)?),
        Workload::Counter => Box::new(counter::Counter::new(world, false)?),
        Workload::CounterWork => Box::new(counter::Counter::new(world, true)?),
        Workload::Mixed => Box::new(mixed::Mixed::new(world)?),
    })
}
