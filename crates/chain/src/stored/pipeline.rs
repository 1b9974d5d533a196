//! Many blocks in a row: while one is executed, the senders of later ones are recovered and their
//! accounts read, the root of the one before is computed, and those before that are written.
//!
//! | stage | thread | works on |
//! |---|---|---|
//! | senders | its own, with helpers | blocks n+3 … |
//! | reading | its own | block n+2, on the database as it is |
//! | execution | the caller's, with the engine's | block n+1, on the database and what is on its way there |
//! | root and commit | its own, with the trie's | block n |
//! | writing | the database's | blocks up to n−1, as one commit |
//!
//! Where [`RootStreaming`] says so, the stage of roots begins with block n+1 when it has nothing else
//! to do, while that executes.
//!
//! A block that is found invalid, whatever the stage, ends the run; those before it are committed
//! and nothing that was done for those after it has left the memory.

use super::{
    chain::{Imported, StoredChain, check_without_senders, readers, senders},
    finish::{self, Finished, HeadTrie},
    known::{KEPT, Node},
    layer::Layer,
    prefetch::read_all,
    senders::{Ahead, Recovery, recover, recover_all},
    source::SnapshotSource,
    state::{CodeCache, StoredState, Tries},
    stream::{Commits, RootStreaming, follow},
    tally::Tally,
};
use crate::{Engine, ImportError, Rules, execution::Ready, ommers::GENERATIONS};
use alloy_consensus::{Block, BlockBody};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, U256, map::AddressMap};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use warpline_executor::{CommitStream, EthTransaction};
use warpline_storage::{BlockRef, Storage, StoredReceipt};
use warpline_trie::TrieConfig;
use warpline_types::StateDiff;

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
}

/// How long each stage of a run was busy. They overlap.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    /// Recovering senders, with waiting for the source.
    pub senders: Duration,
    /// Reading accounts ahead of the execution.
    pub reading: Duration,
    /// Checking and executing.
    pub execution: Duration,
    /// Hashing what changed and computing roots.
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
type Failed = (BlockRef, Box<ImportError>);

/// What the executing stage hands over.
enum Job {
    /// What a block has changed so far, while it executes.
    Begun(Commits),
    /// A block that was executed.
    Done(Box<Executed>),
}

/// A block that was executed.
struct Executed {
    node: Node,
    diff: Arc<StateDiff>,
    receipts: Vec<StoredReceipt>,
    access_list: Option<BlockAccessList>,
    senders: Vec<Address>,
    body: BlockBody<EthTransaction>,
}

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
                let ahead = Ahead { hash: at.hash, block, txs, remembered: None, prefetched: None };
                self.extend_in_order(engine, ahead, committed, &mut stages).map_err(failed)?;
            } else {
                let (transactions, gas_used) =
                    (block.body.transactions.len(), block.header.gas_used);
                if self.import(engine, block).map_err(failed)? == Imported::Head {
                    let written = self.storage.written().number;
                    committed(Progress { block: at, transactions, gas_used, written });
                }
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
            let (transactions, gas_used) =
                (ahead.block.body.transactions.len(), ahead.block.header.gas_used);
            let imported = self.import(engine, ahead.block);
            if imported.map_err(|error| (block, Box::new(error)))? == Imported::Head {
                let written = self.storage.written().number;
                committed(Progress { block, transactions, gas_used, written });
            }
            next = incoming.recv().ok();
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

/// The executing stage.
struct Run<'a> {
    engine: &'a Engine,
    rules: &'a Rules,
    storage: &'a Storage,
    codes: &'a CodeCache,
    storage_only: &'a Arc<AddressMap<U256>>,
    trie: &'a TrieConfig,
    streaming: RootStreaming,
    access_lists: bool,
    tally: &'a Tally,
    /// The blocks that rules ask for, the newest first.
    lineage: VecDeque<Arc<Node>>,
    /// Executed and maybe not in the database yet, the newest first.
    layers: VecDeque<Arc<Layer>>,
    /// Blocks of this run, the oldest first.
    recent: VecDeque<Node>,
    busy: Duration,
}

impl Run<'_> {
    fn execute_all(
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

    fn execute(
        &mut self,
        ahead: Ahead,
        stream: Option<&CommitStream>,
    ) -> Result<Executed, ImportError> {
        let Ahead { hash, block, txs, remembered, prefetched } = ahead;
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
        let verified = ready.run(self.engine, &before)?;
        ready.check_access_list(&verified)?;
        self.tally.add(&verified.stats);

        let total_difficulty = parent.saturating_add(block.header.difficulty);
        let node = Node::new(hash, total_difficulty, &block);
        let receipts = finish::stored_receipts(verified.receipts, &verified.roots);
        let diff = Arc::new(verified.diff);
        self.layers.push_front(Arc::new(Layer::new(node.block(), Arc::clone(&diff))));
        self.lineage.push_front(Arc::new(node.clone()));
        self.lineage.truncate(GENERATIONS);
        self.recent.push_back(node.clone());
        if self.recent.len() as u64 > KEPT {
            self.recent.pop_front();
        }
        let (senders, access_list) = (senders(&txs), verified.access_list);
        Ok(Executed { node, diff, receipts, access_list, senders, body: block.body })
    }
}

/// The stage of roots and commits.
struct Last<'a> {
    trie: &'a mut HeadTrie,
    storage: &'a Storage,
    tally: &'a Tally,
    threads: usize,
    committed: &'a (dyn Fn(Progress) + Sync),
    root: Duration,
    commit: Duration,
}

impl Last<'_> {
    /// Ends with the first failure.
    fn finish_all(&mut self, jobs: &Receiver<Job>) -> Result<(), Failed> {
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

    fn finish(&mut self, executed: Executed) -> Result<(), ImportError> {
        let start = Instant::now();
        let Executed { node, diff, receipts, access_list, senders, body } = executed;
        let (transactions, gas_used) = (body.transactions.len(), node.header.gas_used);
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
        (self.committed)(Progress { block: node.block(), transactions, gas_used, written });
        Ok(())
    }
}
