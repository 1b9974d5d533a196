//! `net_*` and `web3_*`.

use crate::{registry::Registry, wire::Quantity};
use alloy_primitives::{Bytes, keccak256};

/// What this program calls itself, in the form that other clients use.
const CLIENT_VERSION: &str = concat!("warpline/v", env!("CARGO_PKG_VERSION"), "/rust");

/// The same on a development chain. Hardhat's network helpers refuse a node whose name does not
/// begin with that of one they know.
const DEV_CLIENT_VERSION: &str =
    concat!("anvil-compatible/warpline/v", env!("CARGO_PKG_VERSION"), "/rust");

pub(crate) fn register(registry: &mut Registry) {
    registry
        .quick("net_version", 0, |context, _| Ok(context.view().rules().chain_id().to_string()));
    // It takes requests, and talks to no other node.
    registry.quick("net_listening", 0, |_, _| Ok(true));
    registry.quick("net_peerCount", 0, |_, _| Ok(Quantity(0)));
    registry.quick("web3_clientVersion", 0, |context, _| {
        Ok(if context.node.is_dev() { DEV_CLIENT_VERSION } else { CLIENT_VERSION })
    });
    registry.quick("web3_sha3", 1, |_, args| {
        let bytes: Bytes = args.required("data")?;
        Ok(keccak256(bytes))
    });
}
