//! Why there is no result, in the words that wallets and libraries know from geth.

use crate::{InvalidCall, OverlayError, OverrideError, reason};
use alloy_primitives::Bytes;
use core::fmt;
use std::{sync::Arc, time::Duration};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError<E> {
    /// The request contradicts itself or the chain.
    #[error("{0}")]
    Request(String),
    /// The overrides cannot be applied.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// The call is none that a block could contain.
    #[error("err: {reason} (supplied gas {gas_limit})")]
    Invalid {
        /// Which rule it breaks.
        reason: InvalidCall,
        /// How much gas it brings along.
        gas_limit: u64,
    },
    /// With this gas limit, an estimate's call is none that a block could contain.
    #[error("failed with {gas_limit} gas: {reason}")]
    InvalidEstimate {
        /// Which rule it breaks.
        reason: InvalidCall,
        /// The gas limit.
        gas_limit: u64,
    },
    /// The sender of an estimate's call cannot pay for it, whatever its gas limit.
    #[error("{0}")]
    Unaffordable(InvalidCall),
    /// The code reverted.
    #[error("{}", reason::of_revert(.0))]
    Reverted(Bytes),
    /// The code failed; the words say how.
    #[error("{0}")]
    Failed(String),
    /// The call fails for want of gas, whatever it may use.
    #[error("gas required exceeds allowance ({0})")]
    GasRequired(u64),
    /// The call took too long.
    #[error("execution aborted (timeout = {0:?})")]
    TimedOut(Duration),
    /// The blocks to simulate make no chain, or too long a one.
    #[error(transparent)]
    Blocks(#[from] InvalidBlocks),
    /// The rules of the chain forbid the block.
    #[error("{0}")]
    Block(String),
    /// The state of the chain could not be read: no verdict on the request.
    #[error("{0}")]
    State(Arc<E>),
}

/// Why blocks to simulate make no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlocks {
    /// A number is not higher than the one before.
    #[error("block numbers must be in order: {number} <= {before}")]
    NumberOrder {
        /// The number.
        number: String,
        /// The number before.
        before: u64,
    },
    /// A time is not later than the one before.
    #[error("block timestamps must be in order: {time} <= {before}")]
    TimeOrder {
        /// The time.
        time: u64,
        /// The time before.
        before: u64,
    },
    /// Too many, with those that fill the gaps.
    #[error("too many blocks")]
    TooMany,
    /// A call asks for more gas than the block has left.
    #[error("block gas limit reached: {used} >= {limit}")]
    GasLimitReached {
        /// What the calls before have used.
        used: u64,
        /// The gas limit of the block.
        limit: u64,
    },
}

impl<E> SimulationError<E> {
    pub(crate) fn request(words: impl fmt::Display) -> Self {
        Self::Request(words.to_string())
    }

    pub(crate) const fn invalid(reason: InvalidCall, gas_limit: u64) -> Self {
        Self::Invalid { reason, gas_limit }
    }
}

impl<E> From<OverlayError<E>> for SimulationError<E> {
    fn from(error: OverlayError<E>) -> Self {
        match error {
            OverlayError::State(error) => Self::State(error),
            OverlayError::TimedOut(limit) => Self::TimedOut(limit),
        }
    }
}
