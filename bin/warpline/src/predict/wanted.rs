//! A transaction as the command line names it.

use alloy_primitives::{B256, Bytes, keccak256};

/// By its hash, or as it is sent.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// The hash.
    Hash(B256),
    /// The network form (EIP-2718).
    Raw(Bytes),
}

impl Wanted {
    /// The hash.
    pub(super) fn hash(&self) -> B256 {
        match self {
            Self::Hash(hash) => *hash,
            Self::Raw(raw) => keccak256(raw),
        }
    }

    /// Reads the argument. No transaction is as short as a hash.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bytes: Bytes = text.parse().map_err(|error| format!("{error}"))?;
        match B256::try_from(&bytes[..]) {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(_) if bytes.len() < 32 => Err("too short for a hash or a transaction".to_owned()),
            Err(_) => Ok(Self::Raw(bytes)),
        }
    }
}
