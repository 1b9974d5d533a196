//! Accounts, code and storage after a block.

use crate::{
    Context, RpcError,
    args::Args,
    error::CLIENT_LIMIT,
    registry::Registry,
    wire::{BlockId, Hex, Quantity, StorageKey},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{Database, state::AccountInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use warpline_chain::{BlockState, StoredDb};
use warpline_executor::ParentState;

/// Most slots that one request may ask for, as in geth.
pub(super) const MAX_SLOTS: usize = 1024;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick_but_pending("eth_getBalance", 2, |context, args| {
        let state = of_account(context, args)?;
        Ok(account(&state.0, state.1)?.map_or(U256::ZERO, |account| account.balance))
    });
    registry.quick("eth_getTransactionCount", 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        Ok(Quantity(context.nonce(*address, args.optional("block")?)?))
    });
    registry.quick_but_pending("eth_getCode", 2, |context, args| {
        let (state, address) = of_account(context, args)?;
        code(&mut state.open(), address)
    });
    registry.quick_but_pending("eth_getStorageAt", 3, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let key: StorageKey = args.required("storage key")?;
        let state = context.state(args.optional("block")?)?;
        let value = state.open().storage(*address, key.slot).map_err(unreadable)?;
        Ok(B256::from(value))
    });
    registry.quick_but_pending("eth_getStorageValues", 2, storage_values);
    registry.quick_but_pending("eth_getAccountInfo", 2, |context, args| {
        let (state, address) = of_account(context, args)?;
        let account = account(&state, address)?.unwrap_or_default();
        let code = code(&mut state.open(), address)?;
        let nonce = Quantity(account.nonce);
        Ok(RpcAccountInfo { balance: account.balance, nonce, code })
    });
}

fn of_account(context: &Context, args: &mut Args<'_>) -> Result<(BlockState, Address), RpcError> {
    let address: Hex<Address> = args.required("address")?;
    let block: Option<BlockId> = args.optional("block")?;
    Ok((context.state(block)?, *address))
}

/// An account in a state.
pub(crate) fn account(
    state: &BlockState,
    address: Address,
) -> Result<Option<AccountInfo>, RpcError> {
    state.open().basic(address).map_err(unreadable)
}

/// The code of an account.
fn code(db: &mut StoredDb<'_>, address: Address) -> Result<Bytes, RpcError> {
    let account = db.basic(address).map_err(unreadable)?;
    match account {
        Some(account) if account.code_hash != KECCAK256_EMPTY => {
            Ok(db.code_by_hash(account.code_hash).map_err(unreadable)?.original_bytes())
        }
        _ => Ok(Bytes::new()),
    }
}

pub(super) fn unreadable(error: warpline_chain::Unreadable) -> RpcError {
    RpcError::internal(error)
}

fn storage_values(
    context: &Context,
    args: &mut Args<'_>,
) -> Result<BTreeMap<Address, Vec<B256>>, RpcError> {
    let asked: BTreeMap<Hex<Address>, Vec<Hex<B256>>> = args.required("requests")?;
    let slots: usize = asked.values().map(Vec::len).sum();
    if slots == 0 {
        return Err(RpcError::invalid_params("empty request"));
    }
    if slots > MAX_SLOTS {
        return Err(RpcError::new(CLIENT_LIMIT, format!("too many slots (max {MAX_SLOTS})")));
    }
    let state = context.state(args.optional("block")?)?;
    let mut db = state.open();
    let mut values = BTreeMap::new();
    for (address, slots) in asked {
        let mut value = |slot: Hex<B256>| db.storage(*address, U256::from_be_bytes(slot.0.0));
        let of_account: Result<Vec<_>, _> =
            slots.into_iter().map(|slot| value(slot).map(B256::from)).collect();
        values.insert(*address, of_account.map_err(unreadable)?);
    }
    Ok(values)
}

/// What a tool that copies an account needs.
#[derive(Debug, Serialize)]
struct RpcAccountInfo {
    balance: U256,
    nonce: Quantity,
    code: Bytes,
}
