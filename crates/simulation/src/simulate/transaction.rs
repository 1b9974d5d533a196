//! Calls as transactions without a signature.

use crate::{Call, Price};
use alloy_consensus::{
    EthereumTypedTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy,
    transaction::RlpEcdsaEncodableTx,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::{Encodable, Header};

/// A transaction whose signature is nothing but zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedTransaction {
    /// The sender, which no signature tells.
    pub from: Address,
    /// The hash of `encoded`.
    pub hash: B256,
    /// The transaction.
    pub tx: EthereumTypedTransaction<TxEip4844>,
    /// As it stands in the block (EIP-2718).
    pub encoded: Bytes,
}

impl UnsignedTransaction {
    /// The transaction that a call would be: of type 2 unless it has a price that does not depend on
    /// the base fee, blobs or delegations.
    pub fn new(call: &Call, chain_id: u64) -> Self {
        let tx = typed(call, chain_id);
        let encoded = match &tx {
            EthereumTypedTransaction::Legacy(tx) => encode_legacy(tx),
            tx => encode_typed(tx.clone()),
        };
        Self { from: call.from, hash: keccak256(&encoded), tx, encoded }
    }

    /// How long it is in a block's list of transactions.
    pub(super) fn length_in_block(&self) -> usize {
        match self.tx {
            EthereumTypedTransaction::Legacy(_) => self.encoded.len(),
            _ => self.encoded.length(),
        }
    }
}

/// No signature.
fn unsigned() -> Signature {
    Signature::new(U256::ZERO, U256::ZERO, false)
}

fn typed(call: &Call, chain_id: u64) -> EthereumTypedTransaction<TxEip4844> {
    let (nonce, gas_limit, value) = (call.nonce, call.gas_limit, call.value);
    let input = call.input.clone();
    let access_list = call.access_list.clone().unwrap_or_default();
    let (max_fee_per_gas, max_priority_fee_per_gas) = match call.price {
        Price::Dynamic { cap, tip } => (cap, tip),
        Price::Fixed(gas_price) => {
            let to = call.to;
            let tx = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
            return EthereumTypedTransaction::Legacy(tx);
        }
    };
    match (call.to, &call.authorizations, &call.blobs) {
        (TxKind::Call(to), Some(list), _) => EthereumTypedTransaction::Eip7702(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list: list.clone(),
            input,
        }),
        (TxKind::Call(to), None, Some((hashes, cap))) => {
            EthereumTypedTransaction::Eip4844(TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                blob_versioned_hashes: hashes.clone(),
                max_fee_per_blob_gas: *cap,
                input,
            })
        }
        (to, ..) => EthereumTypedTransaction::Eip1559(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        }),
    }
}

fn encode_typed(tx: EthereumTypedTransaction<TxEip4844>) -> Bytes {
    let envelope: alloy_consensus::EthereumTxEnvelope<TxEip4844> = (tx, unsigned()).into();
    envelope.encoded_2718().into()
}

/// A signature of zeros has `v = 0`, which no real one has.
fn encode_legacy(tx: &TxLegacy) -> Bytes {
    let payload_length = tx.rlp_encoded_fields_length() + 3 * 0_u8.length();
    let mut out = Vec::with_capacity(payload_length + 4);
    Header { list: true, payload_length }.encode(&mut out);
    tx.rlp_encode_fields(&mut out);
    for _ in 0..3 {
        0_u8.encode(&mut out);
    }
    out.into()
}
