//! Calls that change nothing: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use crate::{
    Context, RpcError,
    args::Args,
    registry::{BRIEFLY, Registry},
    wire::{BlockId, Quantity, Tag},
};
use alloy_consensus::Header;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Bytes, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde::Serialize;
use warpline_chain::{BlockState, Rules};
use warpline_chainspec::ChainSpec;
use warpline_executor::ParentState;
use warpline_simulation::{
    BlockOverrides, CallBlock, Limits, Overrides, StateOverrides, call, call_briefly,
    create_access_list, estimate_gas,
};
use warpline_storage::BlockRef;

pub(crate) fn register(registry: &mut Registry) {
    registry.brief("eth_call", 4, call_at_once, |context, args| {
        let call_args = CallArgs::read(context, args)?;
        let CallArgs { request, at, .. } = &call_args;
        let (block, limits) = (at.block(context), limits(context));
        Ok(call(at.state.open(), block, request, call_args.overrides(), &limits)?)
    });
    registry.slow("eth_estimateGas", 4, |context, args| {
        let call_args = CallArgs::read(context, args)?;
        let CallArgs { request, at, .. } = &call_args;
        let (block, limits) = (at.block(context), limits(context));
        let gas = estimate_gas(at.state.open(), block, request, call_args.overrides(), &limits)?;
        Ok(Quantity(gas))
    });
    registry.slow("eth_createAccessList", 4, |context, args| {
        let call_args = CallArgs::read(context, args)?;
        let CallArgs { request, at, .. } = &call_args;
        let (block, limits) = (at.block(context), limits(context));
        let overrides = call_args.overrides();
        let accesses = create_access_list(at.state.open(), block, request, overrides, &limits)?;
        Ok(RpcAccesses {
            access_list: accesses.list,
            error: accesses.error,
            gas_used: Quantity(accesses.gas_used),
        })
    });
}

/// A call without overrides, if it takes no longer than a moment.
fn call_at_once(context: &Context, args: &mut Args<'_>) -> Result<Option<Bytes>, RpcError> {
    let CallArgs { request, at, state, block } = &CallArgs::read(context, args)?;
    if state.is_some() || block.is_some() {
        return Ok(None);
    }
    let gas_cap = context.config.gas_cap;
    let called = call_briefly(at.state.open(), at.block(context), request, gas_cap, BRIEFLY);
    Ok(called?)
}

/// What a transaction accesses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcAccesses {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: Quantity,
}

/// The limits of this node.
pub(crate) fn limits(context: &Context) -> Limits {
    let timeout = context.config.evm_timeout;
    Limits { gas_cap: context.config.gas_cap, timeout: (!timeout.is_zero()).then_some(timeout) }
}

/// The state after a block, and the block.
#[derive(Debug)]
pub(crate) struct At {
    pub(crate) state: BlockState,
    pub(crate) header: Header,
    /// The difficulty of the chain up to the block.
    total: U256,
}

impl At {
    /// The block that is meant, the latest where none is named.
    pub(crate) fn new(context: &Context, block: Option<BlockId>) -> Result<Self, RpcError> {
        if block == Some(BlockId::Tag(Tag::Pending))
            && let Some((pending, state)) = context.pending()?
        {
            let parent = state.reader()?.header(state.block().number)?;
            let (_, total) = parent.ok_or_else(|| RpcError::refused("header not found"))?;
            return Ok(Self { header: pending.header.clone(), total, state });
        }
        Self::of(context.state(block)?)
    }

    /// The parent of a block of the chain, with the state that the block was executed on.
    pub(crate) fn before(context: &Context, block: BlockRef) -> Result<Self, RpcError> {
        Self::of(context.state_before(block)?)
    }

    fn of(state: BlockState) -> Result<Self, RpcError> {
        let found = state.reader()?.header(state.block().number)?;
        let (header, total) = found.ok_or_else(|| RpcError::refused("header not found"))?;
        Ok(Self { state, header, total })
    }

    /// The rules that the block follows.
    fn chain<'a>(&self, rules: &'a Rules) -> &'a ChainSpec {
        rules_after(rules, self.total.saturating_sub(self.header.difficulty))
    }

    /// The rules that the next block follows.
    pub(crate) fn next_chain<'a>(&self, rules: &'a Rules) -> &'a ChainSpec {
        rules_after(rules, self.total)
    }

    /// The block, for a call in it.
    pub(crate) fn block<'a>(&'a self, context: &'a Context) -> CallBlock<'a> {
        CallBlock { chain: self.chain(context.view().rules()), header: &self.header }
    }
}

/// The rules of a block before which the chain has this difficulty in total.
fn rules_after(rules: &Rules, total: U256) -> &ChainSpec {
    let merged = rules.merge_at.is_some_and(|end| total >= end);
    if merged { &rules.after_merge } else { &rules.before_merge }
}

/// What the methods of this file take.
#[derive(Debug)]
struct CallArgs {
    request: TransactionRequest,
    at: At,
    state: Option<StateOverrides>,
    block: Option<BlockOverrides>,
}

impl CallArgs {
    fn read(context: &Context, args: &mut Args<'_>) -> Result<Self, RpcError> {
        let request = args.required("transaction")?;
        let at = At::new(context, args.optional("block")?)?;
        let state = args.optional("state overrides")?;
        let block = args.optional("block overrides")?;
        Ok(Self { request, at, state, block })
    }

    const fn overrides(&self) -> Overrides<'_> {
        Overrides { state: self.state.as_ref(), block: self.block.as_ref() }
    }
}
