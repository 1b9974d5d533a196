//! Headers, bodies and senders.
//!
//! Header: `version | length of total difficulty | total difficulty | RLP`.
//!
//! Body: `version | number of transactions (4 bytes) | end of each transaction (4 bytes each) |
//! transactions (EIP-2718) | RLP of the ommers | withdrawals, if any, as RLP`. The ends make it
//! possible to take one transaction out of a block without decoding the others.
//!
//! Senders: `version | 20 bytes each`.

use super::{DecodeError, Input, trimmed};
use crate::Transaction;
use alloy_consensus::{BlockBody, Header};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4895::Withdrawals,
};
use alloy_primitives::{Address, U256};
use alloy_rlp::{Decodable, Encodable};

const VERSION: u8 = 1;

/// Total difficulty up to and including the block, and its header.
pub(crate) fn encode_header(header: &Header, total_difficulty: U256) -> Vec<u8> {
    let difficulty = total_difficulty.to_be_bytes::<32>();
    let difficulty = trimmed(&difficulty);
    let mut out = Vec::with_capacity(2 + difficulty.len() + header.length());
    out.extend_from_slice(&[VERSION, difficulty.len() as u8]);
    out.extend_from_slice(difficulty);
    header.encode(&mut out);
    out
}

/// Header and total difficulty back.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<(Header, U256), DecodeError> {
    let mut input = Input(bytes);
    input.version(VERSION)?;
    let length = usize::from(input.byte()?);
    let total_difficulty = input.trimmed(length)?;
    let header = alloy_rlp::decode_exact(input.0).map_err(DecodeError::rlp)?;
    Ok((header, total_difficulty))
}

/// A body.
pub(crate) fn encode_body(body: &BlockBody<Transaction>) -> Result<Vec<u8>, &'static str> {
    const TOO_LARGE: &str = "the body has more than 4 GiB";
    let transactions = &body.transactions;
    let count = u32::try_from(transactions.len()).map_err(|_| TOO_LARGE)?;
    let length: usize = transactions.iter().map(Encodable2718::encode_2718_len).sum();
    let mut out = Vec::with_capacity(16 + 4 * transactions.len() + length);
    out.push(VERSION);
    out.extend_from_slice(&count.to_be_bytes());
    let mut end = 0u32;
    for transaction in transactions {
        let length = u32::try_from(transaction.encode_2718_len()).map_err(|_| TOO_LARGE)?;
        end = end.checked_add(length).ok_or(TOO_LARGE)?;
        out.extend_from_slice(&end.to_be_bytes());
    }
    transactions.iter().for_each(|transaction| transaction.encode_2718(&mut out));
    body.ommers.encode(&mut out);
    if let Some(withdrawals) = &body.withdrawals {
        withdrawals.encode(&mut out);
    }
    Ok(out)
}

/// A body taken apart but not decoded.
struct Parts<'a> {
    ends: &'a [[u8; 4]],
    transactions: &'a [u8],
    rest: &'a [u8],
}

fn parts(bytes: &[u8]) -> Result<Parts<'_>, DecodeError> {
    let mut input = Input(bytes);
    input.version(VERSION)?;
    let count = u32::from_be_bytes(input.array()?) as usize;
    let ends = count.checked_mul(4).ok_or(DecodeError::Field("a length is too large"))?;
    let (ends, _) = input.take(ends)?.as_chunks::<4>();
    let length = ends.last().map_or(0, |end| u32::from_be_bytes(*end) as usize);
    let transactions = input.take(length)?;
    Ok(Parts { ends, transactions, rest: input.0 })
}

impl Parts<'_> {
    fn transaction(&self, index: usize) -> Result<Transaction, DecodeError> {
        let end = |at: usize| u32::from_be_bytes(self.ends[at]) as usize;
        let start = index.checked_sub(1).map_or(0, end);
        let mut bytes = self
            .transactions
            .get(start..end(index))
            .ok_or(DecodeError::Field("the ends of transactions do not ascend"))?;
        let transaction = Transaction::decode_2718(&mut bytes).map_err(DecodeError::rlp)?;
        if bytes.is_empty() { Ok(transaction) } else { Err(DecodeError::TooLong(bytes.len())) }
    }
}

/// One transaction of a body.
pub(crate) fn body_transaction(
    bytes: &[u8],
    index: usize,
) -> Result<Option<Transaction>, DecodeError> {
    let parts = parts(bytes)?;
    (index < parts.ends.len()).then(|| parts.transaction(index)).transpose()
}

/// A whole body back.
pub(crate) fn decode_body(bytes: &[u8]) -> Result<BlockBody<Transaction>, DecodeError> {
    let parts = parts(bytes)?;
    let transactions = (0..parts.ends.len()).map(|index| parts.transaction(index));
    let transactions = transactions.collect::<Result<_, _>>()?;
    let mut rest = parts.rest;
    let ommers = Vec::<Header>::decode(&mut rest).map_err(DecodeError::rlp)?;
    let withdrawals = if rest.is_empty() {
        None
    } else {
        Some(Withdrawals::decode(&mut rest).map_err(DecodeError::rlp)?)
    };
    match rest.len() {
        0 => Ok(BlockBody { transactions, ommers, withdrawals }),
        more => Err(DecodeError::TooLong(more)),
    }
}

/// The senders of a block's transactions.
pub(crate) fn encode_senders(senders: &[Address]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 20 * senders.len());
    out.push(VERSION);
    senders.iter().for_each(|sender| out.extend_from_slice(sender.as_slice()));
    out
}

/// The senders back.
pub(crate) fn decode_senders(bytes: &[u8]) -> Result<Vec<Address>, DecodeError> {
    let mut input = Input(bytes);
    input.version(VERSION)?;
    let (senders, rest) = input.0.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(DecodeError::Truncated { missing: 20 - rest.len() });
    }
    Ok(senders.iter().map(|sender| Address::new(*sender)).collect())
}
