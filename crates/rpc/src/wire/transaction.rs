//! Transactions as callers see them.

use super::hex::Quantity;
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{Address, B256, U128, U256};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::borrow::Cow;
use warpline_storage::Transaction;
use warpline_txpool::PoolTransaction;

/// Where a transaction is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mined {
    pub(crate) block_hash: B256,
    pub(crate) block_number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: Option<u64>,
    pub(crate) index: u64,
}

/// A transaction; `mined` is none while it waits for a block.
#[derive(Debug)]
pub(crate) struct RpcTransaction<'a> {
    pub(crate) hash: B256,
    pub(crate) from: Address,
    pub(crate) transaction: Cow<'a, Transaction>,
    pub(crate) mined: Option<Mined>,
}

impl<'a> RpcTransaction<'a> {
    /// A transaction of the pool.
    pub(crate) fn pending(transaction: &'a PoolTransaction) -> Self {
        Self {
            hash: transaction.hash(),
            from: transaction.sender(),
            transaction: Cow::Borrowed(transaction.transaction()),
            mined: None,
        }
    }

    /// The same, on its own.
    pub(crate) fn into_owned(self) -> RpcTransaction<'static> {
        RpcTransaction { transaction: Cow::Owned(self.transaction.into_owned()), ..self }
    }
}

impl Serialize for RpcTransaction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (transaction, mined) = (self.transaction.as_ref(), self.mined.as_ref());
        map.serialize_entry("blockHash", &mined.map(|mined| mined.block_hash))?;
        map.serialize_entry("blockNumber", &mined.map(|mined| Quantity(mined.block_number)))?;
        map.serialize_entry("blockTimestamp", &mined.map(|mined| Quantity(mined.timestamp)))?;
        map.serialize_entry("transactionIndex", &mined.map(|mined| Quantity(mined.index)))?;
        map.serialize_entry("hash", &self.hash)?;
        map.serialize_entry("from", &self.from)?;
        map.serialize_entry("type", &Quantity(transaction.ty().into()))?;
        map.serialize_entry("nonce", &Quantity(transaction.nonce()))?;
        map.serialize_entry("gas", &Quantity(transaction.gas_limit()))?;
        map.serialize_entry("gasPrice", &self.gas_price())?;
        map.serialize_entry("to", &transaction.to())?;
        map.serialize_entry("value", &transaction.value())?;
        map.serialize_entry("input", transaction.input())?;
        if transaction.is_dynamic_fee() {
            map.serialize_entry("maxFeePerGas", &U128::from(transaction.max_fee_per_gas()))?;
            let priority = transaction.max_priority_fee_per_gas().map(U128::from);
            map.serialize_entry("maxPriorityFeePerGas", &priority)?;
        }
        if let Some(fee) = transaction.max_fee_per_blob_gas() {
            map.serialize_entry("maxFeePerBlobGas", &U128::from(fee))?;
        }
        if let Some(hashes) = transaction.blob_versioned_hashes() {
            map.serialize_entry("blobVersionedHashes", hashes)?;
        }
        if let Some(list) = transaction.access_list() {
            map.serialize_entry("accessList", list)?;
        }
        if let Some(list) = transaction.authorization_list() {
            map.serialize_entry("authorizationList", list)?;
        }
        if let Some(chain_id) = transaction.chain_id() {
            map.serialize_entry("chainId", &Quantity(chain_id))?;
        }
        self.signature(&mut map)?;
        map.end()
    }
}

impl RpcTransaction<'_> {
    /// What is paid for gas in the block, or at most, while there is none.
    fn gas_price(&self) -> U128 {
        U128::from(match self.mined {
            Some(mined) => self.transaction.effective_gas_price(mined.base_fee),
            None => self.transaction.max_fee_per_gas(),
        })
    }

    fn signature<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let signature = self.transaction.signature();
        let parity = u128::from(signature.v());
        if self.transaction.is_legacy() && signature.r().is_zero() {
            // Nobody has signed it.
            map.serialize_entry("v", &U256::ZERO)?;
        } else if self.transaction.is_legacy() {
            let offset = self.transaction.chain_id().map_or(27, |id| 35 + 2 * u128::from(id));
            map.serialize_entry("v", &U256::from(offset + parity))?;
        } else {
            map.serialize_entry("v", &U256::from(parity))?;
            map.serialize_entry("yParity", &U256::from(parity))?;
        }
        map.serialize_entry("r", &signature.r())?;
        map.serialize_entry("s", &signature.s())
    }
}
