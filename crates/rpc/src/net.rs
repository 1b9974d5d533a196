//! `net_*` and `web3_*`.

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("net_version", |context, _| Ok(context.view().rules().chain_id().to_string()));
}
