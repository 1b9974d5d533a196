//! Moving the clock.

use super::{Flexible, all};
use crate::registry::Registry;

pub(super) fn register(registry: &mut Registry) {
    all(registry, &["evm_increaseTime", "anvil_increaseTime"], 1, |context, args| {
        let Flexible(seconds) = args.required("seconds")?;
        Ok(context.node.increase_time(seconds)?)
    });
    let names = ["evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp"];
    all(registry, &names, 1, |context, args| {
        let Flexible(time) = args.required("timestamp")?;
        Ok(context.node.set_next_timestamp(time)?)
    });
    all(registry, &["evm_setTime", "anvil_setTime"], 1, |context, args| {
        let Flexible(time) = args.required("timestamp")?;
        // JavaScript's clocks count milliseconds.
        let seconds = if time > 100_000_000_000 { time / 1000 } else { time };
        Ok(context.node.set_time(seconds)?)
    });
    all(registry, &["anvil_setBlockTimestampInterval"], 1, |context, args| {
        let Flexible(seconds) = args.required("seconds")?;
        Ok(context.node.set_timestamp_interval(seconds)?)
    });
    all(registry, &["anvil_removeBlockTimestampInterval"], 0, |context, _| {
        Ok(context.node.remove_timestamp_interval()?)
    });
}
