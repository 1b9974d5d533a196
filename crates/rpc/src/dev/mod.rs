//! What development nodes offer besides: `evm_*`, `anvil_*`, and `hardhat_*`, whose methods of the
//! same name mean the same. On any other chain none of them exists.

mod accounts;
mod dump;
mod mining;
mod number;
mod time;

use crate::{Context, RpcError, args::Args, registry::Registry};
use number::{Flexible, Wide};
use serde::Serialize;

pub(crate) fn register(registry: &mut Registry) {
    accounts::register(registry);
    dump::register(registry);
    mining::register(registry);
    time::register(registry);
}

/// One method under several names, with so many parameters at most.
fn all<R: Serialize>(
    registry: &mut Registry,
    names: &[&'static str],
    params: usize,
    answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
) {
    for name in names {
        registry.slow(name, params, answer.clone());
    }
}
