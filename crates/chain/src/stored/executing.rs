//! The stage of execution: each block on the database and what is on its way there.

use super::{
    chain::{check_without_senders, readers, senders},
    finishing::{Executed, Job},
    known::{KEPT, Node},
    layer::Layer,
    pipeline::Failed,
    senders::Ahead,
    state::{CodeCache, StoredState, Tries},
    stream::RootStreaming,
    tally::Tally,
};
use crate::{Engine, ImportError, Rules, execution::Ready, ommers::GENERATIONS};
use alloy_primitives::{U256, map::AddressMap};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, Instant},
};
use warpline_executor::CommitStream;
use warpline_storage::{BlockRef, Storage};
use warpline_trie::TrieConfig;

/// The stage, from one block to the next.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) rules: &'a Rules,
    pub(super) storage: &'a Storage,
    pub(super) codes: &'a CodeCache,
    pub(super) storage_only: &'a Arc<AddressMap<U256>>,
    pub(super) trie: &'a TrieConfig,
    pub(super) streaming: RootStreaming,
    pub(super) access_lists: bool,
    pub(super) tally: &'a Tally,
    /// The blocks that rules ask for, the newest first.
    pub(super) lineage: VecDeque<Arc<Node>>,
    /// Executed and maybe not in the database yet, the newest first.
    pub(super) layers: VecDeque<Arc<Layer>>,
    /// Blocks of this run, the oldest first.
    pub(super) recent: VecDeque<Node>,
    pub(super) busy: Duration,
}

impl Run<'_> {
    /// Executes blocks as long as each follows the one before, and returns the first that does
    /// not.
    pub(super) fn execute_all(
        &mut self,
        first: Ahead,
        incoming: &Receiver<Ahead>,
        executed: &SyncSender<Job>,
    ) -> Result<Option<Ahead>, Failed> {
        let mut next = Some(first);
        while let Some(ahead) = next {
            let tip = self.lineage.front().map(|node| node.hash);
            if tip != Some(ahead.block.header.parent_hash) {
                return Ok(Some(ahead));
            }
            let block = BlockRef { number: ahead.block.header.number, hash: ahead.hash };
            let start = Instant::now();
            let stream = self.streaming.in_a_row(self.engine, ahead.block.header.gas_used);
            let stream = stream.and_then(|(stream, commits)| {
                executed.send(Job::Begun(commits)).is_ok().then_some(stream)
            });
            let done = self.execute(ahead, stream.as_ref());
            drop(stream);
            let done = done.map_err(|error| (block, Box::new(error)))?;
            self.busy += start.elapsed();
            if executed.send(Job::Done(Box::new(done))).is_err() {
                // The next stage has failed and says why.
                return Ok(None);
            }
            next = incoming.recv().ok();
        }
        Ok(None)
    }

    /// Executes a block on top of the one before.
    pub(super) fn execute(
        &mut self,
        ahead: Ahead,
        stream: Option<&CommitStream>,
    ) -> Result<Executed, ImportError> {
        let Ahead { hash, block, txs, transactions_root, remembered, prefetched } = ahead;
        let lineage = self.lineage.make_contiguous();
        check_without_senders(self.rules, &block, lineage)?;
        let txs = txs?;
        let parent = lineage.first().map(|parent| parent.total_difficulty).unwrap_or_default();
        let rules = self.rules.for_child(parent);
        let read_ahead = prefetched.zip(lineage.first()).and_then(|(prefetched, parent)| {
            let canonical = |block| lineage.iter().any(|node| node.block() == block);
            prefetched.at_parent(parent.block(), &self.layers, canonical)
        });

        let snapshot = self.storage.snapshot(readers(self.engine, self.trie))?;
        let stored = snapshot.block().number;
        let not_stored = self.layers.iter().take_while(|layer| layer.block.number > stored);
        let not_stored = not_stored.count();
        // As far back as the lineage goes, for what was read ahead then.
        self.layers.truncate(not_stored.max(GENERATIONS));
        let before = StoredState {
            values: &snapshot,
            layers: self.layers.iter().take(not_stored).cloned().collect(),
            ahead: read_ahead,
            codes: self.codes,
            storage_only: self.storage_only,
            tries: Tries { head: &snapshot, undo: &[], config: self.trie },
        };
        let ready = Ready::new(rules, &block, &txs).streaming(stream);
        let ready = ready.remembering(remembered.as_ref()).listing(self.access_lists);
        let ready = ready.with_transactions_root(transactions_root).unsettled();
        let verified = ready.run(self.engine, &before)?;
        let listed = ready.check_access_list(&verified);
        listed.map_err(|error| verified.receipts.wrong_or(&block.header, error))?;
        self.tally.add(&verified.stats);

        let total_difficulty = parent.saturating_add(block.header.difficulty);
        let node = Node::new(hash, total_difficulty, &block);
        let diff = Arc::new(verified.diff);
        self.layers.push_front(Arc::new(Layer::new(node.block(), Arc::clone(&diff))));
        self.lineage.push_front(Arc::new(node.clone()));
        self.lineage.truncate(GENERATIONS);
        self.recent.push_back(node.clone());
        if self.recent.len() as u64 > KEPT {
            self.recent.pop_front();
        }
        let (senders, access_list) = (senders(&txs), verified.access_list);
        let receipts = verified.receipts;
        Ok(Executed { node, diff, receipts, access_list, senders, body: block.body })
    }
}
