//! `eth_*`.

mod blocks;
mod call;
mod config;
mod fee_history;
mod fees;
mod fill;
mod filters;
mod log_cache;
mod logs;
mod proof;
mod receipts;
mod send;
mod sign;
mod simulate;
mod state;
mod transactions;

use crate::{registry::Registry, wire::Quantity};

pub(crate) use blocks::{FullBlock, access_list, with_block};
pub(crate) use call::{At, limits};
pub(crate) use fees::Tips;
pub(crate) use filters::{Filters, check as check_query, wanted};
pub(crate) use log_cache::LogCache;
pub(crate) use logs::{FoundLog, of_block as logs_of_block};
pub(crate) use state::account;
pub(crate) use transactions::raw as raw_transaction;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_chainId", 0, |context, _| Ok(Quantity(context.view().rules().chain_id())));
    registry.quick("eth_blockNumber", 0, |context, _| Ok(Quantity(context.view().head().number)));
    // Blocks come from whoever runs this node: it has all there are.
    registry.quick("eth_syncing", 0, |_, _| Ok(false));
    registry.quick("eth_protocolVersion", 0, |_, _| Ok(Quantity(68)));
    registry.quick("eth_hashrate", 0, |_, _| Ok(Quantity(0)));
    registry.quick("eth_mining", 0, |_, _| Ok(false));
    blocks::register(registry);
    call::register(registry);
    config::register(registry);
    fee_history::register(registry);
    fees::register(registry);
    filters::register(registry);
    fill::register(registry);
    logs::register(registry);
    proof::register(registry);
    receipts::register(registry);
    send::register(registry);
    sign::register(registry);
    simulate::register(registry);
    state::register(registry);
    transactions::register(registry);
}
