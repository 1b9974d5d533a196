//! The access list of a block (EIP-7928): `version | Keccak-256 of the RLP | RLP`. The hash is the
//! one that headers commit to. Most blocks have no such header, and a list that was damaged would
//! still be some list.

use super::{DecodeError, Input};
use alloy_consensus::Sealed;
use alloy_eips::eip7928::{AccountChanges, BlockAccessList};
use alloy_primitives::keccak256;

const VERSION: u8 = 1;

/// A list.
pub(crate) fn encode_access_list(list: &[AccountChanges]) -> Vec<u8> {
    let mut rlp = Vec::new();
    alloy_rlp::encode_list(list, &mut rlp);
    let mut out = Vec::with_capacity(33 + rlp.len());
    out.push(VERSION);
    out.extend_from_slice(keccak256(&rlp).as_slice());
    out.extend_from_slice(&rlp);
    out
}

/// A list back, with its hash.
pub(crate) fn decode_access_list(bytes: &[u8]) -> Result<Sealed<BlockAccessList>, DecodeError> {
    let mut input = Input(bytes);
    input.version(VERSION)?;
    let hash = input.hash()?;
    if keccak256(input.0) != hash {
        return Err(DecodeError::Field("the list has another hash"));
    }
    let list = alloy_rlp::decode_exact(input.0).map_err(DecodeError::rlp)?;
    Ok(Sealed::new_unchecked(list, hash))
}
