//! From bytes to a transaction.

use crate::{DecodeError, PoolError, transaction::PooledEnvelope};
use alloy_consensus::{TxLegacy, transaction::RlpEcdsaDecodableTx};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};

/// The largest transaction without blobs: 128 KiB, as in geth.
pub(crate) const MAX_SIZE: usize = 128 << 10;

/// The largest blob transaction with its sidecar: 1 MiB, as in geth.
pub(crate) const MAX_BLOB_SIZE: usize = 1 << 20;

/// The type byte of EIP-4844.
const BLOB_TYPE: u8 = 3;

/// Types below this value are EIP-2718 types, bytes from [`LIST`] on begin a legacy transaction.
const TYPES: u8 = 0x80;
const LIST: u8 = 0xc0;

/// Decodes the network form of a transaction (EIP-2718, not wrapped into a string).
///
/// # Errors
/// What is wrong with the bytes; also if there are more than any transaction may have.
pub fn decode(bytes: &[u8]) -> Result<PooledEnvelope, PoolError> {
    let first = *bytes.first().ok_or(DecodeError::Empty)?;
    let limit = if first == BLOB_TYPE { MAX_BLOB_SIZE } else { MAX_SIZE };
    if bytes.len() > limit {
        return Err(PoolError::Oversized { size: bytes.len(), limit });
    }
    let kind = match first {
        1 => "access list",
        2 => "dynamic fee",
        BLOB_TYPE => "blob",
        4 => "set code",
        // What decodes any type does not say what is wrong with a legacy transaction.
        LIST.. => return legacy(bytes).map_err(|error| rlp("legacy", bytes, error)),
        // A string is what a typed transaction looks like inside a block's body.
        TYPES..LIST => return Err(rlp("legacy", bytes, alloy_rlp::Error::UnexpectedString)),
        _ => return Err(DecodeError::Type(first).into()),
    };
    if bytes.len() == 1 && first < TYPES {
        return Err(DecodeError::Empty.into());
    }
    PooledEnvelope::decode_2718_exact(bytes).map_err(|error| match error {
        Eip2718Error::RlpError(error) => rlp(kind, bytes, error),
        _ => DecodeError::Type(first).into(),
    })
}

fn legacy(mut bytes: &[u8]) -> alloy_rlp::Result<PooledEnvelope> {
    let tx = TxLegacy::rlp_decode_signed(&mut bytes)?;
    match bytes.is_empty() {
        true => Ok(PooledEnvelope::Legacy(tx)),
        false => Err(alloy_rlp::Error::UnexpectedLength),
    }
}

fn rlp(kind: &'static str, bytes: &[u8], error: alloy_rlp::Error) -> PoolError {
    DecodeError::Rlp { kind, length: bytes.len(), error }.into()
}
