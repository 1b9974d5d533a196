//! Accounts whose keys the node has: signing for them, and sending in their name. On a
//! development chain also in the name of accounts that are impersonated.

use super::{
    fill::filled,
    send::{added, settled},
};
use crate::{Context, RpcError, args::in_words, registry::Registry, wire::Hex};
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, TxEip4844, transaction::Recovered,
};
use alloy_dyn_abi::TypedData;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxHash};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use warpline_executor::EthTransaction;
use warpline_node::NodeError;
use warpline_txpool::{Origin, decode};
use warpline_types::impersonation_mark;

pub(super) fn register(registry: &mut Registry) {
    for name in ["eth_accounts", "eth_requestAccounts", "personal_listAccounts"] {
        registry.slow(name, 0, |context, _| accounts(context));
    }
    registry.slow("eth_coinbase", 0, |context, _| Ok(context.node.coinbase()?));
    registry.slow("eth_sign", 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let message: Bytes = args.required("data")?;
        sign_message(context, &address, &message)
    });
    registry.slow("personal_sign", 3, |context, args| {
        let message: Bytes = args.required("data")?;
        let address: Hex<Address> = args.required("address")?;
        sign_message(context, &address, &message)
    });
    registry.quick("personal_ecRecover", 2, |_, args| {
        let message: Bytes = args.required("data")?;
        let signature: Bytes = args.required("signature")?;
        signer_of(&message, &signature)
    });
    for name in ["eth_signTypedData", "eth_signTypedData_v4"] {
        registry.slow(name, 2, |context, args| {
            let address: Hex<Address> = args.required("address")?;
            let data: Value = args.required("typedData")?;
            sign_typed(context, &address, data)
        });
    }
    registry.slow("eth_signTransaction", 1, |context, args| {
        let request: TransactionRequest = args.required("transaction")?;
        let from = sender(&request)?;
        let signer = key(context, &from)?;
        let unsigned = filled(context, request)?;
        let tx = signed(context, signer, unsigned.tx)?;
        Ok(Signed {
            raw: tx.encoded_2718().into(),
            tx: crate::wire::RpcTransaction {
                hash: *tx.tx_hash(),
                from,
                transaction: Cow::Owned(tx),
                mined: None,
            },
        })
    });
    registry.slow("eth_sendTransaction", 1, |context, args| {
        send(context, args.required("transaction")?)
    });
}

/// Everybody in whose name the node sends.
fn accounts(context: &Context) -> Result<Vec<Address>, RpcError> {
    let mut accounts: Vec<_> = context.node.accounts().addresses().collect();
    for address in context.node.impersonated()? {
        if !accounts.contains(&address) {
            accounts.push(address);
        }
    }
    Ok(accounts)
}

/// A signed transaction.
#[derive(Debug, Serialize)]
struct Signed<'a> {
    raw: Bytes,
    tx: crate::wire::RpcTransaction<'a>,
}

fn key<'a>(context: &'a Context, address: &Address) -> Result<&'a PrivateKeySigner, RpcError> {
    context.node.accounts().signer(address).ok_or_else(|| RpcError::refused("unknown account"))
}

fn sender(request: &TransactionRequest) -> Result<Address, RpcError> {
    let missing = "missing field `from`: the node cannot know whose transaction it is";
    request.from.ok_or_else(|| RpcError::invalid_params(missing))
}

/// Signs a message with its prefix (EIP-191).
fn sign_message(context: &Context, address: &Address, message: &[u8]) -> Result<Bytes, RpcError> {
    let signature = key(context, address)?.sign_message_sync(message);
    Ok(signature.map_err(RpcError::internal)?.as_bytes().into())
}

/// Who signed a message with its prefix (EIP-191).
fn signer_of(message: &[u8], signature: &[u8]) -> Result<Address, RpcError> {
    let signer = Signature::from_raw(signature)
        .and_then(|signature| signature.recover_address_from_msg(message));
    signer.map_err(|error| RpcError::invalid_params(format!("signature: {error}")))
}

/// Signs structured data (EIP-712), which some callers send as text.
fn sign_typed(context: &Context, address: &Address, data: Value) -> Result<Bytes, RpcError> {
    let wrong = |error: &dyn core::fmt::Display| {
        RpcError::invalid_params(format!("invalid argument 1 (typedData): {error}"))
    };
    let data: TypedData = match data {
        Value::String(text) => serde_json::from_str(&text),
        data => serde_json::from_value(data),
    }
    .map_err(|error| wrong(&in_words(&error)))?;
    let hash = data.eip712_signing_hash().map_err(|error| wrong(&error))?;
    let signature = key(context, address)?.sign_hash_sync(&hash);
    Ok(signature.map_err(RpcError::internal)?.as_bytes().into())
}

/// Signs a transaction, for this chain alone (EIP-155).
fn signed(
    context: &Context,
    signer: &PrivateKeySigner,
    mut tx: EthereumTypedTransaction<TxEip4844>,
) -> Result<EthTransaction, RpcError> {
    if let EthereumTypedTransaction::Legacy(legacy) = &mut tx {
        legacy.chain_id = Some(context.view().rules().chain_id());
    }
    let signature = signer.sign_hash_sync(&tx.signature_hash()).map_err(RpcError::internal)?;
    Ok((tx, signature).into())
}

fn send(context: &Context, request: TransactionRequest) -> Result<TxHash, RpcError> {
    let node = &context.node;
    let from = sender(&request)?;
    let impersonated = node.is_dev() && node.is_impersonated(&from)?;
    let signer = match impersonated {
        true => None,
        false => Some(key(context, &from)?),
    };
    let sending = context.sending(&from);
    let unsigned = filled(context, request)?;
    let result = match signer {
        Some(signer) => {
            let raw = signed(context, signer, unsigned.tx)?.encoded_2718();
            node.submit(&raw, Origin::Local)
        }
        None => {
            let tx: EthTransaction = (unsigned.tx, impersonation_mark(&from)).into();
            let tx = decode(&tx.encoded_2718())?;
            let tx = Recovered::new_unchecked(tx, from);
            node.pool().add_recovered(tx, Origin::Impersonated).map_err(NodeError::from)
        }
    };
    drop(sending);
    Ok(settled(context, added(result)?))
}
