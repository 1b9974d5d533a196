//! A block on its way into the chain.

use super::known::Node;
use crate::{body::Tx, execution::Ready, rules::BlockRules};
use alloy_consensus::Block;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{B256, U256};
use std::sync::Arc;
use warpline_executor::EthTransaction;

/// A block whose parent is known, checked as far as its header and body go.
pub(super) struct Arrival {
    pub(super) hash: B256,
    pub(super) parent: Arc<Node>,
    pub(super) block: Block<EthTransaction>,
    pub(super) txs: Vec<Tx>,
    /// The access list that it came with.
    pub(super) list: Option<BlockAccessList>,
    /// The one that it had before.
    pub(super) remembered: Option<BlockAccessList>,
    /// Its list is to be kept.
    pub(super) listed: bool,
}

impl Arrival {
    pub(super) fn ready<'a>(&'a self, rules: BlockRules<'a>) -> Ready<'a> {
        Ready::new(rules, &self.block, &self.txs)
            .with_list(self.list.as_ref())
            .remembering(self.remembered.as_ref())
            .listing(self.listed)
    }

    pub(super) fn total_difficulty(&self) -> U256 {
        self.parent.total_difficulty.saturating_add(self.block.header.difficulty)
    }
}
