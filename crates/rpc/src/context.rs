//! What every handler has at hand.

use std::{sync::Arc, time::Duration};
use warpline_chain::ChainView;
use warpline_node::Node;

/// Limits of what callers may ask for. The defaults are geth's.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// Most gas that a call or an estimate may use (`--rpc.gascap`); 0 for no limit.
    pub gas_cap: u64,
    /// How long a call, an estimate or a trace may take (`--rpc.evmtimeout`); zero for no limit.
    pub evm_timeout: Duration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self { gas_cap: 50_000_000, evm_timeout: Duration::from_secs(5) }
    }
}

/// What every handler has at hand.
#[derive(Debug)]
pub struct Context {
    /// The node that answers.
    pub node: Arc<Node>,
    /// Limits.
    pub config: RpcConfig,
}

impl Context {
    /// The chain, to be read.
    pub(crate) fn view(&self) -> &ChainView {
        self.node.view()
    }
}
