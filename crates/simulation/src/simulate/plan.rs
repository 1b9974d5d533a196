//! Which blocks to simulate: those asked for, in order, with empty ones between them.

use super::{BlockStateCalls, MAX_BLOCKS};
use crate::{BlockOverrides, InvalidBlocks, OverrideError, SimulationError, StateOverrides};
use alloy_consensus::Header;
use alloy_primitives::U256;
use alloy_rpc_types_eth::TransactionRequest;
use std::borrow::Cow;

/// The time between two blocks unless something else is said, in seconds.
const BLOCK_TIME: u64 = 12;

/// A block to simulate, with number and time.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub(super) number: u64,
    pub(super) time: u64,
    pub(super) overrides: Cow<'a, BlockOverrides>,
    pub(super) state: Option<&'a StateOverrides>,
    pub(super) calls: &'a [TransactionRequest],
}

/// Why blocks cannot be put in order.
#[derive(Debug)]
pub(super) enum PlanError {
    Order(InvalidBlocks),
    Override(OverrideError),
}

impl<E> From<PlanError> for SimulationError<E> {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Order(error) => error.into(),
            PlanError::Override(error) => error.into(),
        }
    }
}

/// Puts blocks in order after `base`.
pub(super) fn plan<'a>(
    base: &Header,
    blocks: &'a [BlockStateCalls],
) -> Result<Vec<Planned<'a>>, PlanError> {
    if blocks.len() as u64 > MAX_BLOCKS {
        return Err(PlanError::Order(InvalidBlocks::TooMany));
    }
    let mut plan: Vec<Planned<'a>> = Vec::with_capacity(blocks.len());
    let (mut number, mut time) = (base.number, base.timestamp);
    for block in blocks {
        let overrides = block.block_overrides.as_ref();
        let next = number_after(base, number, overrides)?;
        for number in number + 1..next {
            time = time.saturating_add(BLOCK_TIME);
            plan.push(Planned {
                number,
                time,
                overrides: Cow::Owned(BlockOverrides::default()),
                state: None,
                calls: &[],
            });
        }
        let at = overrides.and_then(|overrides| overrides.time);
        let at = at.unwrap_or_else(|| time.saturating_add(BLOCK_TIME));
        if at <= time {
            return Err(PlanError::Order(InvalidBlocks::TimeOrder { time: at, before: time }));
        }
        (number, time) = (next, at);
        plan.push(Planned {
            number,
            time,
            overrides: overrides.map_or_else(Cow::default, Cow::Borrowed),
            state: block.state_overrides.as_ref(),
            calls: &block.calls,
        });
    }
    Ok(plan)
}

/// The number of the block after number `before`.
fn number_after(
    base: &Header,
    before: u64,
    overrides: Option<&BlockOverrides>,
) -> Result<u64, PlanError> {
    let Some(asked) = overrides.and_then(|overrides| overrides.number) else {
        return in_range(base, U256::from(before).saturating_add(U256::ONE));
    };
    if asked <= U256::from(before) {
        let number = asked.to_string();
        return Err(PlanError::Order(InvalidBlocks::NumberOrder { number, before }));
    }
    in_range(base, asked)
}

fn in_range(base: &Header, number: U256) -> Result<u64, PlanError> {
    if number.saturating_sub(U256::from(base.number)) > U256::from(MAX_BLOCKS) {
        return Err(PlanError::Order(InvalidBlocks::TooMany));
    }
    u64::try_from(number).map_err(|_| PlanError::Override(OverrideError::TooLarge("number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: Option<u64>, time: Option<u64>) -> BlockStateCalls {
        let number = number.map(U256::from);
        let overrides = BlockOverrides { number, time, ..BlockOverrides::default() };
        BlockStateCalls { block_overrides: Some(overrides), ..BlockStateCalls::default() }
    }

    fn planned(blocks: &[BlockStateCalls]) -> Result<Vec<(u64, u64)>, InvalidBlocks> {
        let base = Header { number: 10, timestamp: 100, ..Header::default() };
        match plan(&base, blocks) {
            Ok(plan) => Ok(plan.iter().map(|block| (block.number, block.time)).collect()),
            Err(PlanError::Order(error)) => Err(error),
            Err(PlanError::Override(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn gaps_are_filled_at_the_usual_pace() {
        let blocks = [block(None, None), block(Some(14), Some(500)), block(None, None)];
        let expected = vec![(11, 112), (12, 124), (13, 136), (14, 500), (15, 512)];
        assert_eq!(planned(&blocks), Ok(expected));
    }

    #[test]
    fn numbers_and_times_rise() {
        let order =
            |number: &str, before| InvalidBlocks::NumberOrder { number: number.to_owned(), before };
        assert_eq!(planned(&[block(Some(10), None)]), Err(order("10", 10)));
        let twice = [block(Some(12), None), block(Some(12), None)];
        assert_eq!(planned(&twice), Err(order("12", 12)));
        let late = InvalidBlocks::TimeOrder { time: 112, before: 112 };
        assert_eq!(planned(&[block(Some(12), Some(112))]), Err(late));
    }

    #[test]
    fn there_is_an_end_to_blocks() {
        assert_eq!(planned(&[block(Some(266), None)]).map(|plan| plan.len()), Ok(256));
        assert_eq!(planned(&[block(Some(267), None)]), Err(InvalidBlocks::TooMany));
        assert_eq!(planned(&vec![block(None, None); 257]), Err(InvalidBlocks::TooMany));
        let after = [block(Some(266), None), block(None, None)];
        assert_eq!(planned(&after), Err(InvalidBlocks::TooMany));
    }
}
