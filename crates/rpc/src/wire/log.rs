//! Logs as callers see them.

use super::hex::Quantity;
use alloy_primitives::{Address, B256, Bytes, Log};
use serde::Serialize;

/// Where a log is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPlace {
    pub(crate) block_hash: B256,
    pub(crate) block_number: u64,
    pub(crate) timestamp: u64,
    pub(crate) transaction_hash: B256,
    pub(crate) transaction_index: u64,
    /// Its place among all logs of the block.
    pub(crate) log_index: u64,
}

/// A log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcLog<'a> {
    address: Address,
    topics: &'a [B256],
    data: &'a Bytes,
    block_number: Quantity,
    transaction_hash: B256,
    transaction_index: Quantity,
    block_hash: B256,
    block_timestamp: Quantity,
    log_index: Quantity,
    removed: bool,
}

impl<'a> RpcLog<'a> {
    pub(crate) fn new(log: &'a Log, place: &LogPlace, removed: bool) -> Self {
        Self {
            address: log.address,
            topics: log.data.topics(),
            data: &log.data.data,
            block_number: Quantity(place.block_number),
            transaction_hash: place.transaction_hash,
            transaction_index: Quantity(place.transaction_index),
            block_hash: place.block_hash,
            block_timestamp: Quantity(place.timestamp),
            log_index: Quantity(place.log_index),
            removed,
        }
    }
}
