//! Every error that a caller can see, with its code and its words, which are geth's where wallets
//! and libraries match on them.

use core::fmt::Display;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;
use warpline_chain::ImportError;
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

/// Wrong parameters.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// Something here failed that may work another time.
pub(crate) const INTERNAL: i32 = -32603;
/// It took too long; the code is geth's.
pub(crate) const TIMEOUT: i32 = -32002;
/// More was asked for than one request may; the code is that of `eth_simulateV1`.
pub(crate) const CLIENT_LIMIT: i32 = -38026;
/// Refused, for good.
pub(crate) const SERVER: i32 = -32000;

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
            error => Self::internal(error),
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}
