//! The stage of roots and commits: what an executed block promises, and its way into the database.

use super::{
    finish::{Finished, HeadTrie, stored_receipts},
    known::Node,
    pipeline::{Failed, Progress},
    source::SnapshotSource,
    stream::{Commits, follow},
    tally::Tally,
};
use crate::{ImportError, receipts::Receipts};
use alloy_consensus::BlockBody;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::Address;
use std::{
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};
use warpline_executor::EthTransaction;
use warpline_storage::Storage;
use warpline_types::StateDiff;

/// What the executing stage hands over.
pub(super) enum Job {
    /// What a block has changed so far, while it executes.
    Begun(Commits),
    /// A block that was executed.
    Done(Box<Executed>),
}

/// A block that was executed.
pub(super) struct Executed {
    pub(super) node: Node,
    pub(super) diff: Arc<StateDiff>,
    /// Not held against the header yet.
    pub(super) receipts: Receipts,
    pub(super) access_list: Option<BlockAccessList>,
    pub(super) senders: Vec<Address>,
    pub(super) body: BlockBody<EthTransaction>,
}

/// The stage, from one block to the next.
pub(super) struct Last<'a> {
    pub(super) trie: &'a mut HeadTrie,
    pub(super) storage: &'a Storage,
    pub(super) tally: &'a Tally,
    pub(super) threads: usize,
    pub(super) committed: &'a (dyn Fn(Progress) + Sync),
    pub(super) root: Duration,
    pub(super) commit: Duration,
}

impl Last<'_> {
    /// Ends with the first failure.
    pub(super) fn finish_all(&mut self, jobs: &Receiver<Job>) -> Result<(), Failed> {
        for job in jobs {
            let executed = match job {
                Job::Done(executed) => *executed,
                Job::Begun(commits) => {
                    self.begin(commits);
                    continue;
                }
            };
            let block = executed.node.block();
            self.finish(executed).map_err(|error| (block, Box::new(error)))?;
        }
        Ok(())
    }

    /// Works for the root of a block until it is executed. All before it are in the database.
    fn begin(&mut self, commits: Commits) {
        // Where nothing can be read, the end of the block says so.
        if let Ok(snapshot) = self.storage.snapshot(self.threads) {
            let begun = follow(self.trie, SnapshotSource(&snapshot), &commits);
            self.tally.add_begun(begun);
            self.root += begun.busy;
        }
    }

    /// Computes the root of a block and hands the block to the database.
    pub(super) fn finish(&mut self, executed: Executed) -> Result<(), ImportError> {
        let start = Instant::now();
        let Executed { node, diff, receipts, access_list, senders, body } = executed;
        let (transactions, gas_used) = (body.transactions.len(), node.header.gas_used);
        receipts.check(&node.header)?;
        let receipts = stored_receipts(receipts);
        let finished = Finished::from_parts(receipts, &diff, senders, body);
        let finished = finished.with_list(access_list);
        let snapshot = self.storage.snapshot(self.threads)?;
        let stated = node.header.state_root;
        let update = self.trie.root(SnapshotSource(&snapshot), stated, finished.diff())?;
        self.root += start.elapsed();
        let start = Instant::now();
        self.trie.store(self.storage, &node, finished, &update)?;
        self.commit += start.elapsed();
        let written = self.storage.written().number;
        (self.committed)(Progress {
            block: node.block(),
            transactions,
            gas_used,
            written,
            left: 0,
        });
        Ok(())
    }
}
