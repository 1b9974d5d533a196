//! Many blocks in a row: while one is executed, the senders of later ones are recovered and their
//! accounts read, the root of the one before is computed, and those before that are written.
//!
//! | stage | thread | works on |
//! |---|---|---|
//! | senders | its own, with helpers | blocks n+3 … |
//! | reading | its own | block n+2, on the database as it is; the root of its transactions |
//! | execution | the caller's, with the engine's | block n+1, on the database and what is on its way there |
//! | root and commit | its own, with the trie's | block n, with what its receipts promise |
//! | writing | the database's | blocks up to n−1, gathered into commits |
//!
//! Where [`RootStreaming`] says so, the stage of roots begins with block n+1 when it has nothing else
//! to do, while that executes.
//!
//! A block that is found invalid, whatever the stage, ends the run; those before it are committed
//! and nothing that was done for those after it has left the memory.

use super::{
    chain::{Imported, StoredChain},
    executing::Run,
    finish::HeadTrie,
    finishing::Last,
    prefetch::read_all,
    senders::{Ahead, Recovery, recover, recover_all},
};
use crate::{Engine, ImportError, ommers::GENERATIONS};
use alloy_consensus::Block;
use alloy_primitives::Address;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use warpline_executor::EthTransaction;
use warpline_storage::BlockRef;

/// Blocks that wait with their senders for being executed.
const RECOVERED: usize = 4;

/// Blocks that wait with their accounts.
const READ: usize = 1;

/// Blocks that wait executed for their root. Each may come in two parts.
const EXECUTED: usize = 2;

/// A block to import.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The block.
    pub block: Block<EthTransaction>,
    /// Who sent its transactions, where the caller knows it and vouches for it.
    pub senders: Option<Vec<Address>>,
}

/// A block that has been committed.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The block.
    pub block: BlockRef,
    /// Number of transactions.
    pub transactions: usize,
    /// Gas used.
    pub gas_used: u64,
    /// The last block that is in the file of the database: nothing but its loss takes that away.
    pub written: u64,
    /// How many blocks have left the chain for this one and those after it.
    pub left: u64,
}

/// How long each stage of a run was busy. They overlap.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    /// Recovering senders, with waiting for the source.
    pub senders: Duration,
    /// Reading accounts ahead of the execution, and the root of the transactions.
    pub reading: Duration,
    /// Checking and executing.
    pub execution: Duration,
    /// Holding receipts against the header, hashing what changed and computing state roots.
    pub root: Duration,
    /// Handing blocks to the database, with waiting for it.
    pub commit: Duration,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<E> {
    /// There was no next block to be had.
    #[error(transparent)]
    Source(E),
    /// A block could not be imported.
    #[error("block {block}: {error}")]
    Block {
        /// The block.
        block: BlockRef,
        /// Why not.
        error: Box<ImportError>,
    },
}

/// A block that could not be imported, and why.
pub(super) type Failed = (BlockRef, Box<ImportError>);

impl StoredChain {
    /// Imports blocks, one after the other as [`StoredChain::import`] would, with the stages of
    /// consecutive blocks overlapping as long as they extend the chain. `committed` is told of
    /// every block that has become the head.
    ///
    /// # Errors
    /// The first block that cannot be had or imported. All before it are imported.
    pub fn import_all<E: Send>(
        &mut self,
        engine: &Engine,
        blocks: impl Iterator<Item = Result<Incoming, E>> + Send,
        committed: &(dyn Fn(Progress) + Sync),
    ) -> Result<Stages, Stopped<E>> {
        if matches!(engine, Engine::Sequential) {
            return self.import_in_order(engine, blocks, committed);
        }
        let rules = self.rules.clone();
        let mut stages = Stages::default();
        thread::scope(|scope| {
            let (ahead, recovered) = sync_channel(RECOVERED);
            let recovery = scope.spawn(move || recover_all(&rules, blocks, &ahead));
            let (ahead, incoming) = sync_channel(READ);
            let snapshots = self.storage.snapshots();
            let reading = scope.spawn(move || read_all(&snapshots, &recovered, &ahead));
            let imported = self.import_recovered(engine, &incoming, committed, &mut stages);
            // Whoever recovers notices with the next block that nobody takes it.
            drop(incoming);
            let (recovered, read) = (recovery.join(), reading.join());
            imported.map_err(|(block, error)| Stopped::Block { block, error })?;
            match (recovered, read) {
                (Ok((senders, None)), Ok(reading)) => {
                    (stages.senders, stages.reading) = (senders, reading);
                }
                (Ok((_, Some(error))), Ok(_)) => return Err(Stopped::Source(error)),
                _ => {
                    let (block, error) = (self.head(), Box::new(ImportError::Panicked));
                    return Err(Stopped::Block { block, error });
                }
            }
            Ok(stages)
        })
    }

    /// The same with one stage at a time, on the calling thread.
    fn import_in_order<E>(
        &mut self,
        engine: &Engine,
        blocks: impl Iterator<Item = Result<Incoming, E>>,
        committed: &(dyn Fn(Progress) + Sync),
    ) -> Result<Stages, Stopped<E>> {
        let _gathering = self.storage.gather();
        let mut stages = Stages::default();
        let mut start = Instant::now();
        for incoming in blocks {
            let Incoming { block, senders } = incoming.map_err(Stopped::Source)?;
            let at = BlockRef { number: block.header.number, hash: block.header.hash_slow() };
            let failed = |error| Stopped::Block { block: at, error: Box::new(error) };
            let rules = self.rules.of_side(block.header.difficulty.is_zero());
            let txs = recover(rules, &block, senders, Recovery::InOrder);
            stages.senders += start.elapsed();
            if block.header.parent_hash == self.head.hash {
                let ahead = Ahead::new(at.hash, block, txs);
                self.extend_in_order(engine, ahead, committed, &mut stages).map_err(failed)?;
            } else {
                self.import_aside(engine, block, committed).map_err(failed)?;
            }
            start = Instant::now();
        }
        Ok(stages)
    }

    fn extend_in_order(
        &mut self,
        engine: &Engine,
        ahead: Ahead,
        committed: &(dyn Fn(Progress) + Sync),
        stages: &mut Stages,
    ) -> Result<(), ImportError> {
        let start = Instant::now();
        let mut run = self.run(engine)?;
        let executed = run.execute(ahead, None)?;
        let node = executed.node.clone();
        stages.execution += start.elapsed();
        self.trie.at(self.head.header.state_root)?;
        let mut last = Last {
            trie: &mut self.trie,
            storage: &self.storage,
            tally: &self.tally,
            threads: self.trie_config.threads.max(1),
            committed,
            root: Duration::ZERO,
            commit: Duration::ZERO,
        };
        let finished = last.finish(executed);
        stages.root += last.root;
        stages.commit += last.commit;
        finished?;
        self.leave_fork();
        self.head = self.known.push_canonical(node);
        Ok(())
    }

    fn run<'a>(&'a self, engine: &'a Engine) -> Result<Run<'a>, ImportError> {
        let lineage = self.known.lineage(&self.storage, Arc::clone(&self.head), GENERATIONS)?;
        Ok(Run {
            engine,
            rules: &self.rules,
            storage: &self.storage,
            codes: &self.codes,
            storage_only: &self.storage_only,
            trie: &self.trie_config,
            streaming: self.streaming,
            access_lists: self.access_lists,
            tally: &self.tally,
            lineage: lineage.into(),
            layers: VecDeque::new(),
            recent: VecDeque::new(),
            busy: Duration::ZERO,
        })
    }

    fn import_recovered(
        &mut self,
        engine: &Engine,
        incoming: &Receiver<Ahead>,
        committed: &(dyn Fn(Progress) + Sync),
        stages: &mut Stages,
    ) -> Result<(), Failed> {
        let mut next = incoming.recv().ok();
        while let Some(ahead) = next {
            if ahead.block.header.parent_hash == self.head.hash {
                next = self.extend_with(engine, ahead, incoming, committed, stages)?;
                continue;
            }
            let block = BlockRef { number: ahead.block.header.number, hash: ahead.hash };
            let imported = self.import_aside(engine, ahead.block, committed);
            imported.map_err(|error| (block, Box::new(error)))?;
            next = incoming.recv().ok();
        }
        Ok(())
    }

    /// Imports a block that does not follow the head. Where the chain goes over to its branch, all
    /// blocks of that have been committed.
    fn import_aside(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
        committed: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), ImportError> {
        let before = self.head();
        if self.import(engine, block)? != Imported::Head {
            return Ok(());
        }
        let former = self.known.find(&self.storage, &before.hash)?;
        let branch = former.map(|former| self.known.branch(&self.storage, former)).transpose()?;
        let kept = branch.flatten().map_or(before.number, |branch| branch.base.header.number);
        let mut left = before.number.saturating_sub(kept);
        let (snapshot, written) = (self.storage.snapshot(1)?, self.storage.written().number);
        let reader = snapshot.reader()?;
        for number in kept + 1..=snapshot.block().number {
            let (header, hash) = (reader.header(number)?, reader.block_hash(number)?);
            let (Some((header, _)), Some(hash)) = (header, hash) else { continue };
            let transactions = reader.body(number)?.map_or(0, |body| body.transactions.len());
            let (block, gas_used) = (BlockRef { number, hash }, header.gas_used);
            committed(Progress { block, transactions, gas_used, written, left });
            left = 0;
        }
        Ok(())
    }

    /// Imports blocks as long as each follows the one before, and returns the first that does
    /// not.
    fn extend_with(
        &mut self,
        engine: &Engine,
        first: Ahead,
        incoming: &Receiver<Ahead>,
        committed: &(dyn Fn(Progress) + Sync),
        stages: &mut Stages,
    ) -> Result<Option<Ahead>, Failed> {
        let head = self.head();
        let at_head = |error: ImportError| (head, Box::new(error));
        self.trie.at(self.head.header.state_root).map_err(at_head)?;
        self.leave_fork();
        // The last stage has the trie to itself, the others everything else.
        let threads = self.trie_config.threads.max(1);
        let mut trie = core::mem::replace(&mut self.trie, HeadTrie::new(self.trie_config.clone()));
        let mut run = self.run(engine).map_err(at_head)?;
        let mut last = Last {
            trie: &mut trie,
            storage: &self.storage,
            tally: &self.tally,
            threads,
            committed,
            root: Duration::ZERO,
            commit: Duration::ZERO,
        };
        let (left, finished) = thread::scope(|scope| {
            let (executed, jobs) = sync_channel(2 * EXECUTED);
            // Moved in, so that its end is the end of the queue.
            let finisher = scope.spawn(|| {
                let jobs = jobs;
                last.finish_all(&jobs)
            });
            let gathering = self.storage.gather();
            let left = run.execute_all(first, incoming, &executed);
            // What is still on its way is written as it comes, beside the last roots.
            drop((executed, gathering));
            (left, finisher.join())
        });
        stages.root += last.root;
        stages.commit += last.commit;
        stages.execution += run.busy;
        let recent = run.recent;
        self.trie = trie;
        let written = self.storage.head().number;
        for node in recent {
            if node.header.number <= written {
                self.head = self.known.push_canonical(node);
            }
        }
        // What comes first in the chain is what failed.
        match finished {
            Ok(finished) => finished?,
            Err(_) => return Err((head, Box::new(ImportError::Panicked))),
        }
        left
    }
}
