//! A block on its way into the chain.

use super::{
    chain::{StoredChain, readers, senders},
    finish::Finished,
    known::Node,
    source::SnapshotSource,
    state::{StoredState, Tries},
    stream::streamed,
};
use crate::{Engine, ImportError, body::Tx, execution::Ready, rules::BlockRules};
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

impl StoredChain {
    /// Makes a block on top of the head the head.
    pub(super) fn extend(&mut self, engine: &Engine, arrival: Arrival) -> Result<(), ImportError> {
        let snapshot = self.storage.snapshot(readers(engine, &self.trie_config))?;
        let before = StoredState {
            values: &snapshot,
            layers: Vec::new(),
            ahead: None,
            codes: &self.codes,
            storage_only: &self.storage_only,
            tries: Tries { head: &snapshot, undo: &[], config: &self.trie_config },
        };
        let rules = self.rules.for_child(arrival.parent.total_difficulty);
        let ready = arrival.ready(rules);
        self.trie.at(self.head.header.state_root)?;
        let stream = self.streaming.alone(engine, arrival.block.header.gas_used);
        let source = SnapshotSource(&snapshot);
        let (verified, begun) = streamed(&mut self.trie, source, stream, |stream| {
            ready.streaming(stream).run(engine, &before)
        });
        self.tally.add_begun(begun);
        let verified = verified?;
        ready.check_access_list(&verified)?;
        self.tally.add(&verified.stats);
        let node = Node::new(arrival.hash, arrival.total_difficulty(), &arrival.block);
        let senders = senders(&arrival.txs);
        self.commit(node, Finished::new(verified, senders, arrival.block.body))
    }
}
