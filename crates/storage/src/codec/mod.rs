//! How values become bytes. The bytes are part of the database: whoever changes them raises
//! [`SCHEMA_VERSION`] or, for records that begin with a version, that version.
//!
//! Numbers are big-endian without leading zeros where their length is known from elsewhere, and
//! LEB128 ("varint") where it is not. Every value has exactly one encoding; anything else is a
//! [`DecodeError`], never a panic.

mod access_list;
mod account;
mod block;
mod history;
mod receipt;
#[cfg(test)]
mod tests;

pub(crate) use access_list::{decode_access_list, encode_access_list};
pub(crate) use account::{
    decode_account, decode_account_change, decode_slot, encode_account, encode_account_change,
    encode_slot,
};
pub(crate) use block::{
    body_transaction, decode_body, decode_header, decode_senders, encode_body, encode_header,
    encode_senders,
};
pub(crate) use history::{decode_shard, encode_shard};
pub(crate) use receipt::{decode_receipts, encode_receipts};

use crate::StorageError;
use alloy_primitives::{B256, Bytes, U256};

/// Version of the tables, their keys, and values without a version of their own.
pub const SCHEMA_VERSION: u32 = 1;

/// Why bytes are no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early.
    #[error("{missing} bytes are missing")]
    Truncated {
        /// How many more are needed at least.
        missing: usize,
    },
    /// They go on after the end.
    #[error("{0} bytes too many")]
    TooLong(usize),
    /// The record has a version that this program does not know.
    #[error("unknown version {0}")]
    Version(u8),
    /// A field has a value that it cannot have.
    #[error("{0}")]
    Field(&'static str),
    /// The part that is RLP is not.
    #[error("{0}")]
    Rlp(String),
}

impl DecodeError {
    pub(crate) fn rlp(error: impl ToString) -> Self {
        Self::Rlp(error.to_string())
    }

    /// Says where.
    pub(crate) fn at(self, table: crate::Table, key: &[u8]) -> StorageError {
        StorageError::Decode { table, key: Bytes::copy_from_slice(key), reason: self }
    }
}

/// Takes bytes apart from front to back.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| DecodeError::Truncated { missing: length - self.0.len() })?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn hash(&mut self) -> Result<B256, DecodeError> {
        self.array().map(B256::new)
    }

    /// The only version there is.
    pub(crate) fn version(&mut self, known: u8) -> Result<(), DecodeError> {
        match self.byte()? {
            version if version == known => Ok(()),
            version => Err(DecodeError::Version(version)),
        }
    }

    /// An unsigned LEB128 number of at most 64 bits in its shortest form.
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Field("a number has more than 64 bits"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded {
                    Err(DecodeError::Field("a number is padded"))
                } else {
                    Ok(number)
                };
            }
        }
        Err(DecodeError::Field("a number has more than 64 bits"))
    }

    /// A varint that counts something in memory.
    pub(crate) fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.varint()?).map_err(|_| DecodeError::Field("a length is too large"))
    }

    /// A big-endian number of a known number of bytes, the first of which is not zero.
    pub(crate) fn trimmed(&mut self, length: usize) -> Result<U256, DecodeError> {
        let bytes = self.take(length)?;
        if bytes.first() == Some(&0) {
            return Err(DecodeError::Field("a number has leading zeros"));
        }
        U256::try_from_be_slice(bytes).ok_or(DecodeError::Field("a number has more than 256 bits"))
    }

    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TooLong(self.0.len())) }
    }
}

/// Writes an unsigned LEB128 number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes of a big-endian number without its leading zeros.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// The key of everything that belongs to a block.
pub(crate) const fn block_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// A block number back from a key.
pub(crate) fn decode_block_key(key: &[u8]) -> Result<u64, DecodeError> {
    let mut input = Input(key);
    let number = u64::from_be_bytes(input.array()?);
    input.end().map(|()| number)
}

/// The key of what belongs to a block number and a hash: a block's changes to the storage of an
/// account, or the access list of one of the blocks of that number.
pub(crate) fn numbered_key(number: u64, hash: &B256) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(hash.as_slice());
    key
}

/// Block number and hash back from such a key.
pub(crate) fn decode_numbered_key(key: &[u8]) -> Result<(u64, B256), DecodeError> {
    let mut input = Input(key);
    let decoded = (u64::from_be_bytes(input.array()?), input.hash()?);
    input.end().map(|()| decoded)
}

/// Where a transaction is: block number and index in the block, both varints.
pub(crate) fn encode_position(number: u64, index: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    put_varint(&mut out, number);
    put_varint(&mut out, index);
    out
}

/// Block number and index back.
pub(crate) fn decode_position(bytes: &[u8]) -> Result<(u64, u64), DecodeError> {
    let mut input = Input(bytes);
    let position = (input.varint()?, input.varint()?);
    input.end().map(|()| position)
}
