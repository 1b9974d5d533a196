//! How well accesses are predicted: blocks run in order, every transaction is predicted before it
//! is executed, and learned from after it.

mod expect;
mod foresight;

pub use expect::{BlockExpectations, expect_block, touched_by_block};
pub use foresight::Unseen;
pub use warpline_predictor::{Misses, PredictionScore, Tally};

use crate::{PreparedBlock, Tx};
use alloy_consensus::Transaction as _;
use alloy_evm::{
    Evm, EvmFactory, RecoveredTx, ToTxEnv,
    block::{BlockExecutionError, BlockExecutor, BlockExecutorFactory, TxResult},
};
use alloy_primitives::B256;
use foresight::{Effort, Foresight};
use revm::{context::TxEnv, database::State, database_interface::WrapDatabaseRef, state::EvmState};
use warpline_predictor::{AccessHint, AccessPredictor, Judge, Lesson, Recorder};

/// What predictions may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictionConfig {
    /// Transactions of the block teach something for later ones.
    pub learn: bool,
    /// What happens with what nothing has taught.
    pub unseen: Unseen,
}

/// A block could not be executed.
#[derive(Debug, thiserror::Error)]
#[error("{block}: {place}: {source}")]
pub struct PredictionError {
    block: String,
    place: String,
    source: Box<BlockExecutionError>,
}

/// A transaction that was looked for: what was expected of it, and what it did.
#[derive(Debug)]
pub struct Forecast {
    /// The block it is in.
    pub block: String,
    /// Its place in there.
    pub index: usize,
    /// What was expected.
    pub hint: AccessHint,
    /// It was tried out for that.
    pub tried: bool,
    /// The state that it left, with everything it touched.
    pub state: EvmState,
}

/// Learns from a block without predicting.
///
/// # Errors
/// It cannot be executed.
pub fn learn_block(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
) -> Result<(), PredictionError> {
    execute(block, predictor)
}

/// Predicts every transaction of a block before it runs.
///
/// # Errors
/// It cannot be executed.
pub fn predict_block(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
    config: PredictionConfig,
) -> Result<PredictionScore, PredictionError> {
    watch_block(block, predictor, config, |_, _, _, _| {})
}

/// Predicts as [`predict_block`] does, looking for one transaction.
///
/// # Errors
/// The block cannot be executed.
pub fn forecast(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
    config: PredictionConfig,
    hash: B256,
) -> Result<Option<Forecast>, PredictionError> {
    let mut found = None;
    watch_block(block, predictor, config, |index, tx, foresight, state| {
        if *tx.tx().tx_hash() == hash {
            let (hint, tried) = (foresight.hint().clone(), foresight.tried());
            let (block, state) = (block.label.clone(), state.clone());
            found = Some(Forecast { block, index, hint, tried, state });
        }
    })?;
    Ok(found)
}

/// Predicts every block from what is `known`, all others teach, and its own earlier transactions do.
/// `each` is given the place of a block and its score. Takes the time of learning from each block
/// about log₂ n times.
///
/// # Errors
/// The first block that cannot be executed.
pub fn predict_each(
    blocks: &[PreparedBlock],
    known: AccessPredictor,
    config: PredictionConfig,
    each: &mut impl FnMut(usize, PredictionScore),
) -> Result<(), PredictionError> {
    learn_from_others(blocks, known, &mut |at, mut known| {
        each(at, predict_block(&blocks[at], &mut known, config)?);
        Ok(())
    })
}

/// Gives `each` the place of every block, and what is `known` with all that the other blocks teach.
/// Takes the time of learning from each block about log₂ n times.
///
/// # Errors
/// The first block that cannot be executed, and what `each` returns.
pub fn learn_from_others(
    blocks: &[PreparedBlock],
    known: AccessPredictor,
    each: &mut impl FnMut(usize, AccessPredictor) -> Result<(), PredictionError>,
) -> Result<(), PredictionError> {
    learn_from_rest(blocks, 0, known, each)
}

/// `known` is what all blocks that are not in `blocks` taught.
fn learn_from_rest(
    blocks: &[PreparedBlock],
    first: usize,
    mut known: AccessPredictor,
    each: &mut impl FnMut(usize, AccessPredictor) -> Result<(), PredictionError>,
) -> Result<(), PredictionError> {
    match blocks {
        [] => return Ok(()),
        [_] => return each(first, known),
        _ => {}
    }
    let (left, right) = blocks.split_at(blocks.len() / 2);
    let mut of_right = known.clone();
    right.iter().try_for_each(|block| learn_block(block, &mut of_right))?;
    learn_from_rest(left, first, of_right, each)?;
    left.iter().try_for_each(|block| learn_block(block, &mut known))?;
    learn_from_rest(right, first + left.len(), known, each)
}

/// Follows a block that is executed in order.
trait Follower {
    /// A transaction is about to run.
    fn before(&mut self, tx: &TxEnv);
    /// It ran, and left this state.
    fn after(&mut self, index: usize, tx: &Tx, lessons: &[Lesson], state: &EvmState);
}

impl Follower for AccessPredictor {
    fn before(&mut self, _: &TxEnv) {}

    fn after(&mut self, _: usize, _: &Tx, lessons: &[Lesson], state: &EvmState) {
        self.learn(lessons, state);
    }
}

fn execute(block: &PreparedBlock, follower: &mut impl Follower) -> Result<(), PredictionError> {
    let (factory, input) = (block.factory(), block.input());
    let failed = |place: String, source: BlockExecutionError| PredictionError {
        block: block.label.clone(),
        place,
        source: Box::new(source),
    };
    let parent = WrapDatabaseRef(&block.pre_state);
    let state = State::builder().with_database(parent).with_bundle_update().build();
    let evm = factory.evm_factory();
    let evm = evm.create_evm_with_inspector(state, input.env, Recorder::default());
    let mut executor = factory.create_executor(evm, input.ctx);
    let begun = executor.apply_pre_execution_changes();
    begun.map_err(|error| failed("system calls".to_owned(), error))?;
    executor.evm_mut().inspector_mut().finish();
    for (index, tx) in block.txs.iter().enumerate() {
        follower.before(&tx.to_tx_env());
        let result = executor.execute_transaction_without_commit(tx);
        let result = result.map_err(|error| failed(format!("transaction {index}"), error))?;
        let lessons = executor.evm_mut().inspector_mut().finish();
        follower.after(index, tx, &lessons, &result.result().state);
        executor.commit_transaction(result);
    }
    Ok(())
}

/// Predicts, and compares.
struct Forecaster<'a, F> {
    predictor: &'a mut AccessPredictor,
    learn: bool,
    foresight: Foresight<'a>,
    judge: Judge,
    watch: F,
}

fn watch_block<F: FnMut(usize, &Tx, &Foresight<'_>, &EvmState)>(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
    config: PredictionConfig,
    watch: F,
) -> Result<PredictionScore, PredictionError> {
    let PredictionConfig { learn, unseen } = config;
    let (foresight, judge) = (Foresight::new(block, unseen), Judge::default());
    let mut forecaster = Forecaster { predictor, learn, foresight, judge, watch };
    execute(block, &mut forecaster)?;
    Ok(*forecaster.judge.score())
}

impl<F: FnMut(usize, &Tx, &Foresight<'_>, &EvmState)> Follower for Forecaster<'_, F> {
    fn before(&mut self, tx: &TxEnv) {
        let Effort { predicting, trying } = self.foresight.next(self.predictor, tx);
        let score = self.judge.score_mut();
        score.predicting += predicting;
        score.trials += u64::from(trying.is_some());
        score.trying += trying.unwrap_or_default();
    }

    fn after(&mut self, index: usize, tx: &Tx, lessons: &[Lesson], state: &EvmState) {
        let creates = tx.tx().to().is_none();
        self.judge.judge((*tx.signer(), creates), self.foresight.hint(), state);
        (self.watch)(index, tx, &self.foresight, state);
        if self.learn {
            self.predictor.learn(lessons, state);
        }
    }
}
