//! Proofs of accounts and slots (EIP-1186).

use super::state::MAX_SLOTS;
use crate::{
    Context, RpcError,
    args::Args,
    registry::Registry,
    wire::{Hex, Quantity, StorageKey},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::Serialize;
use warpline_trie::ProvenAccount;

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("eth_getProof", 3, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let keys: Vec<StorageKey> = args.required("storage keys")?;
        prove(context, *address, &keys, args)
    });
    registry.slow("eth_getAccount", 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let proof = prove(context, *address, &[], args)?;
        let exists = !proof.storage_hash.is_zero();
        Ok(exists.then_some(RpcAccount {
            balance: proof.balance,
            nonce: proof.nonce,
            code_hash: proof.code_hash,
            storage_root: proof.storage_hash,
        }))
    });
}

fn prove(
    context: &Context,
    address: Address,
    keys: &[StorageKey],
    args: &mut Args<'_>,
) -> Result<RpcProof, RpcError> {
    if keys.len() > MAX_SLOTS {
        let words = format!("too many keys (max {MAX_SLOTS})");
        return Err(RpcError::invalid_params(words));
    }
    let state = context.state(args.optional("block")?)?;
    let slots = keys.iter().map(|key| key.slot).collect();
    let mut proof = state.prove(&[(address, slots)])?;
    let hash = keccak256(address);
    let account_proof = proof.account_proof(hash);
    let proven = proof.accounts.remove(&hash).unwrap_or_default();
    let storage_proof = keys.iter().map(|key| of_slot(&proven, *key)).collect();
    // As in geth, the hashes of an account that does not exist are zero.
    let storage_hash = proven.account.map_or(B256::ZERO, |account| account.storage_root);
    let code_hash = proven.account.map_or(B256::ZERO, |account| account.state.code_hash);
    let (balance, nonce) = proven
        .account
        .map_or((U256::ZERO, 0), |account| (account.state.balance, account.state.nonce));
    Ok(RpcProof {
        address,
        account_proof,
        balance,
        code_hash,
        nonce: Quantity(nonce),
        storage_hash,
        storage_proof,
    })
}

fn of_slot(account: &ProvenAccount, key: StorageKey) -> RpcSlot {
    let hash = keccak256(key.slot.to_be_bytes::<32>());
    let shown =
        if key.whole { ShownKey::Whole(key.slot.into()) } else { ShownKey::Short(key.slot) };
    RpcSlot {
        key: shown,
        value: account.slots.get(&hash).copied().unwrap_or_default(),
        proof: account.storage_proof(hash),
    }
}

/// The answer to `eth_getProof`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcProof {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: Quantity,
    storage_hash: B256,
    storage_proof: Vec<RpcSlot>,
}

/// A slot with its proof.
#[derive(Debug, Serialize)]
struct RpcSlot {
    key: ShownKey,
    value: U256,
    proof: Vec<Bytes>,
}

/// A key comes back as it was written, with all digits or without leading zeros.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownKey {
    Whole(B256),
    Short(U256),
}

/// The answer to `eth_getAccount`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcAccount {
    balance: U256,
    nonce: Quantity,
    code_hash: B256,
    storage_root: B256,
}
