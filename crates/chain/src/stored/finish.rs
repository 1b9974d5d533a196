//! The last steps of a block that extends the chain: its root, and its way into the database.

use super::{
    known::{Node, Outcome},
    source::{self, SnapshotSource},
};
use crate::{ImportError, InvalidBlock, Reason, execution::Verified, receipts::Receipts};
use alloy_consensus::{BlockBody, Eip658Value, EthereumReceipt, Sealed};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Bytes};
use warpline_executor::EthTransaction;
use warpline_storage::{
    BlockCommit, HashedDiff, Storage, StorageError, StoredReceipt, Table, TrieUpdates,
};
use warpline_trie::{AccountChange, RootUpdate, StateTrie, TrieConfig, TrieError};
use warpline_types::StateDiff;

/// All that a block leaves behind but its root.
#[derive(Debug)]
pub(super) struct Finished {
    body: BlockBody<EthTransaction>,
    senders: Vec<Address>,
    receipts: Vec<StoredReceipt>,
    diff: HashedDiff,
    access_list: Option<BlockAccessList>,
}

impl Finished {
    pub(super) fn new(
        verified: Verified,
        senders: Vec<Address>,
        body: BlockBody<EthTransaction>,
    ) -> Self {
        let Verified { receipts, diff, access_list, .. } = verified;
        let finished = Self::from_parts(stored_receipts(receipts), &diff, senders, body);
        finished.with_list(access_list)
    }

    /// The same from its parts.
    pub(super) fn from_parts(
        receipts: Vec<StoredReceipt>,
        diff: &StateDiff,
        senders: Vec<Address>,
        body: BlockBody<EthTransaction>,
    ) -> Self {
        Self { body, senders, receipts, diff: HashedDiff::new(diff), access_list: None }
    }

    /// The same with an access list, if it is to be kept.
    pub(super) fn with_list(self, access_list: Option<BlockAccessList>) -> Self {
        Self { access_list, ..self }
    }

    pub(super) fn of_new_block(
        receipts: Vec<EthereumReceipt>,
        diff: HashedDiff,
        senders: Vec<Address>,
        body: BlockBody<EthTransaction>,
    ) -> Self {
        let receipts = receipts.into_iter().map(StoredReceipt::from).collect();
        Self { body, senders, receipts, diff, access_list: None }
    }

    /// What the block changed.
    pub(super) const fn diff(&self) -> &HashedDiff {
        &self.diff
    }

    /// From what was kept of a block beside the chain.
    pub(super) fn again(outcome: &Outcome, body: BlockBody<EthTransaction>) -> Self {
        let Outcome { senders, receipts, hashed, access_list, .. } = outcome.clone();
        Self { body, senders, receipts, diff: hashed, access_list }
    }
}

/// Receipts as they are kept, with the roots after their transactions where there are such roots.
pub(super) fn stored_receipts(receipts: Receipts) -> Vec<StoredReceipt> {
    let Receipts { receipts, roots } = receipts;
    let stored = |(at, receipt): (usize, EthereumReceipt)| {
        let mut stored = StoredReceipt::from(receipt);
        if let Some(root) = roots.get(at) {
            stored.receipt.status = Eip658Value::PostState(*root);
        }
        stored
    };
    receipts.into_iter().enumerate().map(stored).collect()
}

/// The trie of the head. It is opened anew after anything that may have left it elsewhere.
#[derive(Debug)]
pub(super) struct HeadTrie {
    config: TrieConfig,
    trie: Option<StateTrie>,
}

impl HeadTrie {
    pub(super) const fn new(config: TrieConfig) -> Self {
        Self { config, trie: None }
    }

    /// Opens it, if need be, at the root of the head.
    pub(super) fn at(&mut self, root: B256) -> Result<&mut StateTrie, ImportError> {
        match &mut self.trie {
            Some(trie) if trie.current_root() == root => {}
            trie => *trie = None,
        }
        match &mut self.trie {
            Some(trie) => Ok(trie),
            none => Ok(none.insert(StateTrie::open(self.config.clone(), root)?)),
        }
    }

    /// What it holds may not be what the database has.
    pub(super) fn forget(&mut self) {
        self.trie = None;
    }

    /// Works on what a block on top of the head has changed so far. Its root does not depend on
    /// it, nor does that of any other.
    pub(super) fn foresee(
        &mut self,
        source: SnapshotSource<'_>,
        changes: Vec<AccountChange>,
    ) -> Result<(), TrieError> {
        match &mut self.trie {
            Some(trie) => trie.foresee(&source, changes),
            None => Ok(()),
        }
    }

    /// Computes the root of a block on top of the head, compares it, and hands the block to the
    /// database. If anything fails the trie is that of the head, as before.
    pub(super) fn commit(
        &mut self,
        source: SnapshotSource<'_>,
        storage: &Storage,
        node: &Node,
        finished: Finished,
    ) -> Result<(), ImportError> {
        let update = self.root(source, node.header.state_root, &finished.diff)?;
        self.store(storage, node, finished, &update)
    }

    /// Computes the root of a block on top of the head and compares it.
    pub(super) fn root(
        &mut self,
        source: SnapshotSource<'_>,
        stated: B256,
        diff: &HashedDiff,
    ) -> Result<RootUpdate, ImportError> {
        let before = self.trie.as_ref().map(StateTrie::current_root);
        let update = self.advance(source, diff)?;
        let compared = InvalidBlock::compare(Reason::StateRoot, &stated, &update.root);
        if let Err(invalid) = compared {
            // Where it can be told what leads back, the trie keeps what it has in memory.
            let back = source::opposite(diff);
            let restored = match (&mut self.trie, back, before) {
                (Some(trie), Some(back), Some(before)) => take_back(trie, source, back, before),
                _ => false,
            };
            if !restored {
                self.forget();
            }
            return Err(invalid.into());
        }
        Ok(update)
    }

    /// The root after a block on top of the head.
    pub(super) fn advance(
        &mut self,
        source: SnapshotSource<'_>,
        diff: &HashedDiff,
    ) -> Result<RootUpdate, ImportError> {
        let Some(trie) = &mut self.trie else { return Err(StorageError::Closed.into()) };
        trie.stage(source::changes(diff));
        trie.root(&source).map_err(|error| {
            self.forget();
            error.into()
        })
    }

    /// Hands a block to the database.
    pub(super) fn store(
        &mut self,
        storage: &Storage,
        node: &Node,
        finished: Finished,
        update: &RootUpdate,
    ) -> Result<(), ImportError> {
        let Finished { body, senders, receipts, diff, access_list } = finished;
        let committed = storage.commit(BlockCommit {
            header: Sealed::new_unchecked(node.header.clone(), node.hash),
            total_difficulty: node.total_difficulty,
            body,
            senders,
            receipts,
            access_list,
            trie: source::to_store(&update.updates),
            diff,
        });
        match (committed, &mut self.trie) {
            (Ok(()), Some(trie)) => trie.persisted(update.number),
            (Ok(()), None) => {}
            (Err(error), _) => {
                self.forget();
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Takes changes back that lead to the root of an earlier block, and says what to write.
    pub(super) fn go_back(
        &mut self,
        source: SnapshotSource<'_>,
        back: Vec<AccountChange>,
        root: B256,
    ) -> Result<TrieUpdates, ImportError> {
        let Some(trie) = &mut self.trie else { return Err(StorageError::Closed.into()) };
        trie.stage(back);
        let update = trie.root(&source)?;
        if update.root != root {
            return Err(StorageError::Inconsistent {
                table: Table::AccountChangeSets,
                key: Bytes::copy_from_slice(root.as_slice()),
                problem: "what is put back does not have the root of the block gone back to",
            }
            .into());
        }
        trie.persisted(update.number);
        Ok(source::to_store(&update.updates))
    }
}

/// Stages what leads back from a root that is not to be, and says whether it did.
fn take_back(
    trie: &mut StateTrie,
    source: SnapshotSource<'_>,
    back: Vec<AccountChange>,
    root: B256,
) -> bool {
    trie.stage(back);
    match trie.root(&source) {
        Ok(update) if update.root == root => {
            trie.persisted(update.number);
            true
        }
        _ => false,
    }
}
