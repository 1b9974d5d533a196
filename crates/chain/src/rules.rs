//! Which rules a block follows, on either side of the merge.

use alloy_primitives::U256;
use warpline_chainspec::ChainSpec;

/// The rules of a chain whose merge may depend on the total difficulty.
#[derive(Debug, Clone)]
pub struct Rules {
    /// While blocks are mined.
    pub before_merge: ChainSpec,
    /// After the merge.
    pub after_merge: ChainSpec,
    /// The total difficulty that ends mining; `None` where it never ends.
    pub merge_at: Option<U256>,
    /// The time from which headers commit to a block access list (EIP-7928) while the EVM keeps
    /// the rules of the fork before.
    pub access_lists_from: Option<u64>,
}

impl Rules {
    /// The rules for a block whose parent has this total difficulty.
    pub(crate) fn for_child(&self, total_difficulty: U256) -> BlockRules<'_> {
        let merged = self.merge_at.is_some_and(|end| total_difficulty >= end);
        let chain = if merged { &self.after_merge } else { &self.before_merge };
        BlockRules { chain, merged, access_lists_from: self.access_lists_from }
    }
}

/// The rules of one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRules<'a> {
    pub(crate) chain: &'a ChainSpec,
    pub(crate) merged: bool,
    access_lists_from: Option<u64>,
}

impl BlockRules<'_> {
    /// Whether the header commits to a block access list.
    pub(crate) fn access_lists(&self, timestamp: u64) -> bool {
        self.access_lists_from.is_some_and(|start| start <= timestamp)
    }
}
