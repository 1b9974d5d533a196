//! Shards of the history indices: ascending block numbers, the first as a varint, each further
//! one as a varint of its distance to the one before, which is at least one.

use super::{DecodeError, Input, put_varint};

/// Appends a shard of ascending numbers.
pub(crate) fn encode_shard(out: &mut Vec<u8>, blocks: &[u64]) {
    let mut last = 0;
    for &block in blocks {
        put_varint(out, block - last);
        last = block;
    }
}

/// The numbers of a shard back, appended to `blocks`.
pub(crate) fn decode_shard(bytes: &[u8], blocks: &mut Vec<u64>) -> Result<(), DecodeError> {
    let mut input = Input(bytes);
    let mut last = None;
    while !input.0.is_empty() {
        let number = input.varint()?;
        let block = match last {
            None => number,
            Some(_) if number == 0 => return Err(DecodeError::Field("a block is listed twice")),
            Some(last) => u64::checked_add(last, number)
                .ok_or(DecodeError::Field("a block number has more than 64 bits"))?,
        };
        blocks.push(block);
        last = Some(block);
    }
    if last.is_none() { Err(DecodeError::Truncated { missing: 1 }) } else { Ok(()) }
}
