//! Receipts as callers see them.

use super::{
    hex::Quantity,
    log::{LogPlace, RpcLog},
    transaction::Mined,
};
use alloy_consensus::{Eip658Value, Transaction as _, TxReceipt, Typed2718};
use alloy_primitives::{Address, B256, Bloom, U128};
use serde::Serialize;
use warpline_storage::{StoredReceipt, Transaction};

/// A receipt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcReceipt<'a> {
    block_hash: B256,
    block_number: Quantity,
    transaction_hash: B256,
    transaction_index: Quantity,
    from: Address,
    to: Option<Address>,
    contract_address: Option<Address>,
    #[serde(rename = "type")]
    tx_type: Quantity,
    gas_used: Quantity,
    cumulative_gas_used: Quantity,
    effective_gas_price: U128,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_price: Option<U128>,
    /// The state after the transaction, before Byzantium.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Quantity>,
    logs: Vec<RpcLog<'a>>,
    logs_bloom: Bloom,
}

/// What a receipt says of the transactions before its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    /// Gas that they used.
    pub(crate) gas: u64,
    /// Logs that they left.
    pub(crate) logs: u64,
}

impl Before {
    /// For the transaction after this one.
    pub(crate) fn advance(&mut self, receipt: &StoredReceipt) {
        self.gas = receipt.receipt.cumulative_gas_used;
        self.logs += receipt.receipt.logs.len() as u64;
    }
}

impl<'a> RpcReceipt<'a> {
    /// `blob_price` is what a unit of blob gas costs in the block.
    pub(crate) fn new(
        (hash, transaction, from): (B256, &Transaction, Address),
        stored: &'a StoredReceipt,
        mined: &Mined,
        blob_price: Option<u128>,
        before: Before,
    ) -> Self {
        let receipt = &stored.receipt;
        let (status, root) = match receipt.status {
            Eip658Value::Eip658(success) => (Some(Quantity(success.into())), None),
            Eip658Value::PostState(root) => (None, Some(root)),
        };
        let blob_gas = transaction.blob_gas_used();
        let logs = receipt.logs.iter().zip(before.logs..).map(|(log, log_index)| {
            RpcLog::new(log, &LogPlace { log_index, ..LogPlace::in_block(mined, hash) }, false)
        });
        let creates = transaction.is_create();
        Self {
            block_hash: mined.block_hash,
            block_number: Quantity(mined.block_number),
            transaction_hash: hash,
            transaction_index: Quantity(mined.index),
            from,
            to: transaction.to(),
            contract_address: creates.then(|| from.create(transaction.nonce())),
            tx_type: Quantity(transaction.ty().into()),
            gas_used: Quantity(receipt.cumulative_gas_used.saturating_sub(before.gas)),
            cumulative_gas_used: Quantity(receipt.cumulative_gas_used),
            effective_gas_price: U128::from(transaction.effective_gas_price(mined.base_fee)),
            blob_gas_used: blob_gas.map(Quantity),
            blob_gas_price: blob_price.filter(|_| blob_gas.is_some()).map(U128::from),
            root,
            status,
            logs: logs.collect(),
            logs_bloom: receipt.bloom(),
        }
    }
}

impl LogPlace {
    /// The place of the first log of a transaction, counted from zero.
    pub(crate) const fn in_block(mined: &Mined, transaction_hash: B256) -> Self {
        Self {
            block_hash: mined.block_hash,
            block_number: mined.block_number,
            timestamp: mined.timestamp,
            transaction_hash,
            transaction_index: mined.index,
            log_index: 0,
        }
    }
}
