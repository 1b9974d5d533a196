//! `eth_*`.

use crate::registry::Registry;
use alloy_primitives::U64;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_chainId", |context, _| Ok(U64::from(context.view().rules().chain_id())));
    registry.quick("eth_blockNumber", |context, _| Ok(U64::from(context.view().head().number)));
}
