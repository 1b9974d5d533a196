//! Headers and blocks as callers see them.

use super::{hex::Quantity, transaction::RpcTransaction};
use alloy_consensus::{BlockBody, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use alloy_rlp::{Encodable, list_length};
use serde::Serialize;
use warpline_storage::Transaction;

/// A header with its hash.
#[derive(Debug, Serialize)]
pub(crate) struct RpcHeader<'a> {
    pub(crate) hash: B256,
    #[serde(flatten)]
    pub(crate) header: &'a Header,
}

/// A block. Ommers are listed by hash.
#[derive(Debug, Serialize)]
pub(crate) struct RpcBlock<'a> {
    #[serde(flatten)]
    pub(crate) header: RpcHeader<'a>,
    pub(crate) size: Quantity,
    /// None for a block that is shown as an ommer: nobody has its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transactions: Option<Transactions<'a>>,
    pub(crate) uncles: Vec<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawals: Option<&'a [Withdrawal]>,
}

/// The transactions of a block, in short or in full.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Transactions<'a> {
    Hashes(Vec<B256>),
    Full(Vec<RpcTransaction<'a>>),
}

/// How many bytes a block is in RLP.
pub(crate) fn block_size(header: &Header, body: &BlockBody<Transaction>) -> Quantity {
    let transactions: usize = body.transactions.iter().map(Encodable::length).sum();
    let payload = header.length()
        + transactions
        + alloy_rlp::length_of_length(transactions)
        + list_length::<Header, Header>(&body.ommers)
        + body.withdrawals.as_ref().map_or(0, Encodable::length);
    Quantity((payload + alloy_rlp::length_of_length(payload)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Block;

    #[test]
    fn the_size_is_that_of_the_encoded_block() {
        let header = Header { number: 7, base_fee_per_gas: Some(9), ..Header::default() };
        let ommer = Header { number: 6, ..Header::default() };
        let withdrawal = Withdrawal { amount: 77, ..Withdrawal::default() };
        for withdrawals in [None, Some(vec![].into()), Some(vec![withdrawal; 3].into())] {
            let ommers = vec![ommer.clone(); 2];
            let body = BlockBody::<Transaction> { transactions: vec![], ommers, withdrawals };
            let block = Block { header: header.clone(), body };
            assert_eq!(block_size(&block.header, &block.body).0, block.length() as u64);
        }
    }
}
