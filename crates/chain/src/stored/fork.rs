//! Validation of blocks beside the chain.
//!
//! The state after a past block is read from the history, and its trie is the head's with the
//! changes since put back; neither touches the database. What was executed on top of it stays in
//! memory, so that a long branch costs no more per block than a short one.

use super::{
    chain::{readers, senders},
    finish,
    known::{Node, Outcome},
    layer::Layer,
    source::{self, SnapshotSource},
    state::{CodeCache, StoredState, Tries},
    tally::Tally,
};
use crate::{Engine, ImportError, InvalidBlock, Reason, execution::Ready};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, map::AddressMap};
use std::sync::Arc;
use warpline_storage::{BlockRef, HashedDiff, Snapshot, Storage, StorageError, Table};
use warpline_trie::{AccountChange, StateTrie, TrieConfig};

/// What it takes to execute and to compute roots.
pub(super) struct Tools<'a> {
    pub(super) engine: &'a Engine,
    pub(super) storage: &'a Storage,
    pub(super) codes: &'a CodeCache,
    pub(super) storage_only: &'a Arc<AddressMap<U256>>,
    pub(super) trie: &'a TrieConfig,
    pub(super) tally: &'a Tally,
}

/// The state after some block that is not the head, or not to become it.
#[derive(Debug)]
pub(super) struct Fork {
    /// The head that it was opened at.
    head: B256,
    /// The block whose state it is.
    tip: B256,
    snapshot: Snapshot,
    /// The state of the canonical block below the branch.
    values: Snapshot,
    undo: Vec<AccountChange>,
    trie: StateTrie,
    layers: Vec<Arc<Layer>>,
}

impl Fork {
    /// The state after a canonical block.
    pub(super) fn open(tools: &Tools<'_>, head: &Node, base: &Node) -> Result<Self, ImportError> {
        let storage = tools.storage;
        storage.flush()?;
        let count = readers(tools.engine, tools.trie);
        let snapshot = storage.snapshot(count)?;
        let values = storage.snapshot_at(base.header.number, count)?;
        let undo = match base.hash == head.hash {
            true => Vec::new(),
            false => source::undone(&snapshot.reader()?.unwound(base.header.number)?),
        };
        let mut trie = StateTrie::open(tools.trie.clone(), head.header.state_root)?;
        trie.stage(undo.iter().cloned());
        let update = trie.root(&SnapshotSource(&snapshot))?;
        if update.root != base.header.state_root {
            let number = base.header.number;
            return Err(StorageError::Inconsistent {
                table: Table::AccountChangeSets,
                key: Bytes::copy_from_slice(&number.to_be_bytes()),
                problem: "the change sets do not lead back to the root of the block",
            }
            .into());
        }
        let (head, tip) = (head.hash, base.hash);
        Ok(Self { head, tip, snapshot, values, undo, trie, layers: Vec::new() })
    }

    /// Whether this is the state after `block`, and still to be had.
    pub(super) fn is_at(&self, head: &Node, block: &Node) -> bool {
        self.head == head.hash && self.tip == block.hash
    }

    /// Puts a block on top that is known to be valid.
    pub(super) fn apply(
        &mut self,
        block: BlockRef,
        header: &Header,
        outcome: &Outcome,
    ) -> Result<(), ImportError> {
        self.trie.stage(source::changes(&outcome.hashed));
        let update = self.trie.root(&SnapshotSource(&self.snapshot))?;
        InvalidBlock::compare(Reason::StateRoot, &header.state_root, &update.root)?;
        self.layers.insert(0, Arc::new(Layer::new(block, Arc::clone(&outcome.diff))));
        self.tip = block.hash;
        Ok(())
    }

    /// Executes a block on top, and puts it there if it is valid. If it is not, the fork is of no
    /// more use.
    pub(super) fn verify(
        &mut self,
        tools: &Tools<'_>,
        ready: &Ready<'_>,
        hash: B256,
    ) -> Result<Outcome, ImportError> {
        let before = StoredState {
            values: &self.values,
            layers: self.layers.clone(),
            ahead: None,
            codes: tools.codes,
            storage_only: tools.storage_only,
            tries: Tries { head: &self.snapshot, undo: &self.undo, config: tools.trie },
        };
        let verified = ready.run(tools.engine, &before)?;
        ready.check_access_list(&verified)?;
        tools.tally.add(&verified.stats);
        let outcome = Outcome {
            senders: senders(ready.txs),
            receipts: finish::stored_receipts(verified.receipts),
            hashed: HashedDiff::new(&verified.diff),
            diff: Arc::new(verified.diff),
            access_list: verified.access_list,
        };
        let header = &ready.block.header;
        self.apply(BlockRef { number: header.number, hash }, header, &outcome)?;
        Ok(outcome)
    }
}
