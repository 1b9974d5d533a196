//! What a sender leaves open of a transaction, filled in: `eth_fillTransaction`.

use super::{
    call::{At, limits},
    fees::{blob_base_fee, next_base_fee},
};
use crate::{
    Context, RpcError,
    registry::Registry,
    wire::{BlockId, RpcTransaction, Tag},
};
use alloy_primitives::{Bytes, Signature, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde::Serialize;
use std::borrow::Cow;
use warpline_chain::Unreadable;
use warpline_executor::ParentState;
use warpline_simulation::{Call, Overrides, SimulationError, UnsignedTransaction, estimate_gas};

pub(super) fn register(registry: &mut Registry) {
    registry.slow("eth_fillTransaction", 1, |context, args| {
        let unsigned = filled(context, args.required("transaction")?)?;
        let signature = Signature::new(U256::ZERO, U256::ZERO, false);
        Ok(RpcFilled {
            raw: unsigned.encoded,
            tx: RpcTransaction {
                hash: unsigned.hash,
                from: unsigned.from,
                transaction: Cow::Owned((unsigned.tx, signature).into()),
                mined: None,
            },
        })
    });
}

/// A transaction that has everything but a signature.
#[derive(Debug, Serialize)]
struct RpcFilled<'a> {
    raw: Bytes,
    tx: RpcTransaction<'a>,
}

/// The transaction that a sender most likely wants: the next nonce, the fees that are usual, and
/// the gas that it takes.
pub(crate) fn filled(
    context: &Context,
    mut request: TransactionRequest,
) -> Result<UnsignedTransaction, RpcError> {
    let chain_id = context.view().rules().chain_id();
    let input = request.input.input().is_some_and(|input| !input.is_empty());
    if request.to.is_none_or(|to| to.is_create()) && !input {
        return Err(RpcError::refused("contract creation without any data provided"));
    }
    let latest = At::new(context, None)?;
    let dynamic = fill_fees(context, &latest, &mut request)?;
    if request.nonce.is_none() {
        let from = request.from.unwrap_or_default();
        request.nonce = Some(context.nonce(from, Some(BlockId::Tag(Tag::Pending)))?);
    }
    if request.gas.is_none() {
        let (state, block) = (latest.state.open(), latest.block(context));
        let gas = estimate_gas(state, block, &request, Overrides::default(), &limits(context))?;
        request.gas = Some(gas);
    }
    let call: Result<Call, SimulationError<Unreadable>> =
        Call::fill(&request, 0, dynamic, chain_id);
    let mut call = call?;
    // Calls have a limit; what is signed is what was asked for.
    call.gas_limit = request.gas.unwrap_or(call.gas_limit);
    Ok(UnsignedTransaction::new(&call, chain_id))
}

/// Fills in fees. Tells whether there is a base fee.
fn fill_fees(
    context: &Context,
    latest: &At,
    request: &mut TransactionRequest,
) -> Result<bool, RpcError> {
    let blobs = request.blob_versioned_hashes.is_some() || request.sidecar.is_some();
    if blobs && request.max_fee_per_blob_gas.is_none() {
        let price = blob_base_fee(context, &latest.header).unwrap_or_default();
        request.max_fee_per_blob_gas = Some(price.saturating_mul(2));
    }
    let base_fee = next_base_fee(context, &latest.header);
    let fees = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    match (request.gas_price, base_fee) {
        (Some(_), _) => {}
        (None, None) => request.gas_price = Some(context.tips.suggest(context)?),
        (None, Some(base_fee)) => {
            let tip = match fees.1 {
                Some(tip) => tip,
                None => {
                    let tip = context.tips.suggest(context)?;
                    fees.0.map_or(tip, |cap| tip.min(cap))
                }
            };
            let cap = fees.0.unwrap_or_else(|| tip.saturating_add(2 * u128::from(base_fee)));
            if cap < tip {
                let words = format!("maxFeePerGas ({cap}) < maxPriorityFeePerGas ({tip})");
                return Err(RpcError::refused(words));
            }
            (request.max_fee_per_gas, request.max_priority_fee_per_gas) = (Some(cap), Some(tip));
        }
    }
    Ok(base_fee.is_some())
}
