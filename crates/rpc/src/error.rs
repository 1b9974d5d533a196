//! Every error that a caller can see, with its code and its words, which are geth's where wallets
//! and libraries match on them.
//!
//! Libraries try again on -32603 and -32005 (viem three times, with pauses). So -32005 is for what
//! there is too much of at this moment: subscriptions, filters, transactions that wait, and
//! connections, over HTTP with status 503. A request that is itself too large has a code that
//! nobody repeats: -32602 for logs of too many blocks and for too many logs, as in reth, -32600
//! for batches and bodies, -32003 for the answers to a batch, -38026 for simulated blocks and
//! slots, as in geth.

use core::fmt::Display;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;
use warpline_chain::{ImportError, Unreadable};
use warpline_simulation::{
    End, InvalidBlocks, InvalidCall, Outcome, SimulateError, SimulationError, reason,
};
use warpline_storage::StorageError;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The code of JSON-RPC.
    pub code: i32,
    /// What is wrong, in words.
    pub message: String,
    /// More of it, such as what a contract returned when it reverted.
    pub data: Option<Value>,
}

/// No request, or a batch that is too long.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// Nothing of that name can be called.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// What a subscription is told over HTTP.
pub(crate) const NO_NOTIFICATIONS: &str = "notifications not supported";
/// Wrong parameters.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// Something here failed that may work another time.
pub(crate) const INTERNAL: i32 = -32603;
/// There is too much of something at this moment (EIP-1474).
pub(crate) const LIMIT_EXCEEDED: i32 = -32005;
/// It took too long; the code is geth's.
pub(crate) const TIMEOUT: i32 = -32002;
/// The answers to a batch are too long; the code is geth's.
pub(crate) const RESPONSE_TOO_LARGE: i32 = -32003;
/// More was asked for than one request may; the code is that of `eth_simulateV1`.
pub(crate) const CLIENT_LIMIT: i32 = -38026;
/// Refused, for good.
pub(crate) const SERVER: i32 = -32000;

/// Code reverted.
const REVERTED: i32 = 3;
/// Code failed without reverting, as `eth_simulateV1` has it.
const VM_ERROR: i32 = -32015;

impl RpcError {
    /// An error with a code.
    pub fn new(code: i32, message: impl Display) -> Self {
        Self { code, message: message.to_string(), data: None }
    }

    /// The parameters are wrong.
    pub fn invalid_params(message: impl Display) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// The request cannot be fulfilled and never will.
    pub fn refused(message: impl Display) -> Self {
        Self::new(SERVER, message)
    }

    /// There is too much of something at this moment: another time it may work.
    pub fn limit_exceeded(message: impl Display) -> Self {
        Self::new(LIMIT_EXCEEDED, message)
    }

    /// Something here failed.
    pub fn internal(message: impl Display) -> Self {
        Self::new(INTERNAL, message)
    }
}

impl From<StorageError> for RpcError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Pruned { .. } | StorageError::UnknownBlock { .. } => Self::refused(error),
            error => Self::internal(error),
        }
    }
}

impl From<ImportError> for RpcError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Storage(error) => error.into(),
            ImportError::Invalid(error) => Self::refused(error),
            error => Self::internal(error),
        }
    }
}

impl From<SimulationError<Unreadable>> for RpcError {
    fn from(error: SimulationError<Unreadable>) -> Self {
        match &error {
            SimulationError::Reverted(output) => {
                let data = Some(output.to_string().into());
                Self { data, ..Self::new(REVERTED, error) }
            }
            SimulationError::Blocks(blocks) => Self::new(code_of_blocks(blocks), error),
            SimulationError::State(_) => Self::internal(error),
            _ => Self::refused(error),
        }
    }
}

impl From<SimulateError<Unreadable, ImportError>> for RpcError {
    fn from(error: SimulateError<Unreadable, ImportError>) -> Self {
        match error {
            SimulateError::Simulation(error) => match &error {
                SimulationError::Invalid { reason, .. } => Self::new(code_of_call(reason), error),
                _ => error.into(),
            },
            SimulateError::Roots(error) => error.into(),
        }
    }
}

impl RpcError {
    /// What is wrong with a call in a simulated block; none where it succeeded.
    pub(crate) fn of_outcome(outcome: &Outcome) -> Option<Self> {
        match &outcome.end {
            End::Success => None,
            End::Revert => {
                let data = Some(outcome.output.to_string().into());
                Some(Self { data, ..Self::new(REVERTED, reason::of_revert(&outcome.output)) })
            }
            End::Halt(halt) => Some(Self::new(VM_ERROR, reason::of_halt(halt))),
        }
    }
}

const fn code_of_blocks(error: &InvalidBlocks) -> i32 {
    match error {
        InvalidBlocks::GasLimitReached { .. } => -38015,
        InvalidBlocks::NumberOrder { .. } => -38020,
        InvalidBlocks::TimeOrder { .. } => -38021,
        InvalidBlocks::TooMany => CLIENT_LIMIT,
    }
}

/// The codes that the execution-apis give to the reasons why no block can contain a call.
const fn code_of_call(error: &InvalidCall) -> i32 {
    match error {
        InvalidCall::NonceTooLow { .. } => -38010,
        InvalidCall::NonceTooHigh { .. } => -38011,
        InvalidCall::FeeCapTooLow { .. } => -38012,
        InvalidCall::IntrinsicGas { .. } => -38013,
        InvalidCall::InsufficientFunds { .. } | InvalidCall::InsufficientFundsForTransfer => -38014,
        InvalidCall::MaxInitCodeSize { .. } => -38025,
        InvalidCall::TipAboveFeeCap { .. } => INVALID_PARAMS,
        _ => INTERNAL,
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}
