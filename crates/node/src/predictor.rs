//! What transactions are expected to touch: the predictor of a node, and where it learns.
//!
//! It learns on a thread of its own ([`student`]) from blocks that become the head and from trials
//! of transactions that wait in the pool, within a share of one core; what comes in meanwhile
//! waits in a `queue` that drops rather than delays. Blocks that are made here are executed by what
//! it expects of their transactions (`expect`). Its knowledge lies in an `archive` while the
//! node is not running.

mod archive;
mod expect;
mod queue;
mod student;

use crate::{NodeError, past::next_values};
use alloy_evm::Database;
use archive::Archive;
use parking_lot::{Mutex, RwLock};
use queue::Queue;
use revm::context::TxEnv;
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use warpline_chain::{BlockState, ChainView};
use warpline_executor::ParentState;
use warpline_predictor::{
    AccessHint, AccessPredictor, BlockValues, Care, DEFAULT_MEMORY, Outlook, PredictionScore,
};
use warpline_storage::BlockRef;
use warpline_txpool::PoolTransaction;

pub(crate) use student::run;

/// How a node predicts.
#[derive(Debug, Clone)]
pub struct PredictorConfig {
    /// Most bytes of knowledge that are kept.
    pub memory: usize,
    /// The file that keeps the knowledge over a restart.
    pub file: Option<PathBuf>,
    /// Whether blocks that are made here are executed by what their transactions are expected to
    /// touch.
    pub hints: bool,
    /// How many times as long as it worked the learner rests, so that it takes no more than a
    /// share of a core.
    pub rest: u32,
}

impl Default for PredictorConfig {
    fn default() -> Self {
        Self { memory: DEFAULT_MEMORY, file: None, hints: true, rest: 19 }
    }
}

/// How many of the latest blocks the score is of.
const SCORED: usize = 256;

/// The gas of a transaction that runs no code.
const TRANSFER: u64 = 21_000;

/// Predicts, for whoever asks, and is taught.
#[derive(Debug)]
pub struct Predictor {
    knowledge: RwLock<AccessPredictor>,
    archive: Option<Archive>,
    hints: bool,
    /// Something was learned since the knowledge was written down.
    changed: AtomicBool,
    queue: Queue,
    counters: Counters,
    scores: Mutex<VecDeque<PredictionScore>>,
}

#[derive(Debug, Default)]
struct Counters {
    blocks: AtomicU64,
    trials: AtomicU64,
    failures: AtomicU64,
    expected: AtomicU64,
}

/// What a predictor knows, and how good it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PredictorStats {
    /// Functions known.
    pub functions: usize,
    /// About how many bytes that takes.
    pub bytes: usize,
    /// Most bytes.
    pub limit: usize,
    /// Blocks that were learned from since the start. Blocks of nothing but plain transfers teach
    /// nothing and do not count.
    pub blocks: u64,
    /// Blocks that were passed over, because there was no time for them.
    pub dropped_blocks: u64,
    /// Transactions of the pool that were tried out.
    pub trials: u64,
    /// Transactions of the pool that were not even looked at, because there was no time.
    pub dropped_transactions: u64,
    /// Blocks and trials that ended early: too long, or on a state that cannot be read.
    pub failures: u64,
    /// Transactions of blocks made here that were predicted for the execution of their block.
    pub expected: u64,
    /// Of how many of the latest blocks the score is.
    pub scored_blocks: usize,
    /// Predictions of their transactions, each made before it was learned from, held against what
    /// they did.
    pub score: PredictionScore,
}

impl Predictor {
    /// Knows what its file holds. What cannot be read there is set aside, with a warning.
    pub(crate) fn open(config: &PredictorConfig) -> Self {
        let mut knowledge = AccessPredictor::new(config.memory);
        let mut archive = config.file.clone().map(Archive::new);
        archive.iter_mut().for_each(|archive| archive.load(&mut knowledge));
        Self {
            knowledge: RwLock::new(knowledge),
            archive,
            hints: config.hints,
            changed: AtomicBool::new(false),
            queue: Queue::new(config.rest),
            counters: Counters::default(),
            scores: Mutex::default(),
        }
    }

    /// Predicts a transaction of a block, on the state that it finds.
    pub fn predict<DB: Database>(
        &self,
        tx: &TxEnv,
        values: &BlockValues,
        state: DB,
        care: Care,
    ) -> AccessHint {
        let mut hint = AccessHint::default();
        let mut outlook = Outlook::new(state);
        self.knowledge.read().predict(tx, values, &mut outlook, care, &mut hint);
        // Whoever learns just now has something better to do than to wait for this.
        if care == Care::Analytic
            && let Some(mut knowledge) = self.knowledge.try_write()
        {
            knowledge.learn_read(&mut outlook);
        }
        hint
    }

    /// Predicts a transaction that is not in a block yet, on the state after one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn predict_next(
        &self,
        tx: &TxEnv,
        view: &ChainView,
        state: &BlockState,
    ) -> Result<AccessHint, NodeError> {
        Ok(self.predict(tx, &next_values(view, state)?, state.open(), Care::Analytic))
    }

    /// What is known, and how good it is.
    pub fn stats(&self) -> PredictorStats {
        let (functions, bytes, limit) = {
            let knowledge = self.knowledge.read();
            (knowledge.len(), knowledge.size(), knowledge.memory())
        };
        let scores = self.scores.lock();
        let mut score = PredictionScore::default();
        scores.iter().for_each(|of_block| score.add(of_block));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let dropped = self.queue.dropped();
        PredictorStats {
            functions,
            bytes,
            limit,
            blocks: count(&self.counters.blocks),
            dropped_blocks: dropped.blocks,
            trials: count(&self.counters.trials),
            dropped_transactions: dropped.transactions,
            failures: count(&self.counters.failures),
            expected: count(&self.counters.expected),
            scored_blocks: scores.len(),
            score,
        }
    }

    /// There is a new head, of so many transactions that used so much gas.
    pub(crate) fn head(&self, block: BlockRef, transactions: usize, gas_used: u64) {
        // Everything beyond the price of a transfer is code that runs, or data for it.
        if gas_used > TRANSFER * transactions as u64 {
            self.queue.block(block);
        }
    }

    /// These transactions wait in the pool.
    pub(crate) fn pending(&self, transactions: &[Arc<PoolTransaction>]) {
        self.queue.transactions(transactions);
    }

    /// Ends the thread that learns.
    pub(crate) fn stop(&self) {
        self.queue.stop();
    }

    /// Writes down what is known, if that has changed and there is a file for it.
    pub(crate) fn save(&self) {
        let Some(archive) = &self.archive else { return };
        if self.changed.swap(false, Ordering::Relaxed) && !archive.save(&self.knowledge.read()) {
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    fn scored(&self, score: PredictionScore) {
        let mut scores = self.scores.lock();
        if scores.len() == SCORED {
            scores.pop_front();
        }
        scores.push_back(score);
    }
}
