//! The thread that learns.

use super::{Predictor, queue::Work};
use crate::{
    NodeError,
    past::{NextBlock, PastBlock},
};
use alloy_evm::FromRecoveredTx;
use revm::{context::TxEnv, state::EvmState};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use warpline_chain::{ChainView, StoredDb};
use warpline_executor::ParentState;
use warpline_predictor::{AccessHint, BlockValues, Care, Judge, Lesson, Outlook};
use warpline_simulation::{Follower, Limits, follow_block, try_out};
use warpline_storage::BlockRef;
use warpline_txpool::{Pool, PoolTransaction};

/// Most time for one block.
const FOR_A_BLOCK: Duration = Duration::from_secs(1);

/// Most time for one trial.
const FOR_A_TRIAL: Duration = Duration::from_millis(50);

/// How often what is known is written down while the node runs.
const SAVE: Duration = Duration::from_secs(600);

/// Learns until the node stops.
pub(crate) fn run(predictor: &Predictor, view: &ChainView, pool: &Pool) {
    let mut saved = Instant::now();
    while let Some(work) = predictor.queue.take(SAVE) {
        let start = Instant::now();
        let done = match work {
            Work::Block(block) => learn_block(predictor, view, block),
            Work::Transactions(waiting) => try_all(predictor, view, pool, &waiting),
            Work::Nothing => Ok(()),
        };
        if let Err(error) = done {
            predictor.failed(&error);
        }
        if saved.elapsed() >= SAVE {
            predictor.save();
            saved = Instant::now();
        }
        predictor.queue.rest(start.elapsed());
    }
}

const fn within(timeout: Duration) -> Limits {
    Limits { gas_cap: 0, timeout: Some(timeout) }
}

/// Executes a block once more: each transaction is predicted, then run, then learned from.
fn learn_block(predictor: &Predictor, view: &ChainView, at: BlockRef) -> Result<(), NodeError> {
    let found = PastBlock::read(view, at.number)?;
    let Some(past) = found.filter(|past| past.block() == at) else { return Ok(()) };
    let rules = view.rules();
    let mut student = Student {
        predictor,
        values: past.values(rules),
        outlook: Outlook::new(past.parent().open()),
        hint: AccessHint::default(),
        judge: Judge::default(),
    };
    let block = past.traced(rules);
    let limits = within(FOR_A_BLOCK);
    let followed = follow_block(past.parent().open(), &block, usize::MAX, &mut student, &limits);
    predictor.scored(*student.judge.score());
    predictor.counters.blocks.fetch_add(1, Ordering::Relaxed);
    followed.map_err(NodeError::from)
}

/// Predicts and learns.
struct Student<'a> {
    predictor: &'a Predictor,
    values: BlockValues,
    outlook: Outlook<StoredDb<'a>>,
    hint: AccessHint,
    judge: Judge,
}

impl Follower for Student<'_> {
    fn before(&mut self, _: usize, tx: &TxEnv) {
        let start = Instant::now();
        let knowledge = self.predictor.knowledge.read();
        knowledge.predict(tx, &self.values, &mut self.outlook, Care::Quick, &mut self.hint);
        self.outlook.accept();
        self.judge.score_mut().predicting += start.elapsed();
    }

    fn after(&mut self, _: usize, tx: &TxEnv, lessons: &[Lesson], state: &EvmState) {
        self.judge.judge((tx.caller, tx.kind.is_create()), &self.hint, state);
        self.predictor.learn(lessons, state);
    }
}

impl Predictor {
    fn failed(&self, error: &dyn core::fmt::Display) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%error, "the predictor could not learn");
    }

    fn learn(&self, lessons: &[Lesson], state: &EvmState) {
        if !lessons.is_empty() {
            self.knowledge.write().learn(lessons, state);
            self.changed.store(true, Ordering::Relaxed);
        }
    }
}

/// Tries out the transactions whose predictions have gaps, as far as they still wait.
fn try_all(
    predictor: &Predictor,
    view: &ChainView,
    pool: &Pool,
    waiting: &[Arc<PoolTransaction>],
) -> Result<(), NodeError> {
    let state = view.latest()?;
    let Some(next) = NextBlock::after(&state)? else { return Ok(()) };
    let (block, values) = (next.block(view.rules()), next.values(view.rules()));
    let start = Instant::now();
    for (index, tx) in waiting.iter().enumerate() {
        if start.elapsed() > FOR_A_TRIAL {
            // The rest would keep the state open, and blocks waiting.
            predictor.queue.miss(waiting.len() - index);
            return Ok(());
        }
        if !pool.contains(&tx.hash()) {
            continue;
        }
        let env = TxEnv::from_recovered_tx(tx.transaction(), tx.sender());
        let hint = predictor.predict(&env, &values, state.open(), Care::Thorough);
        if !hint.gaps.may_teach() {
            continue;
        }
        predictor.counters.trials.fetch_add(1, Ordering::Relaxed);
        match try_out(state.open(), block, env, &within(FOR_A_TRIAL)) {
            Ok(Some(trial)) => predictor.learn(&trial.lessons, &trial.state),
            Ok(None) => {}
            Err(error) => predictor.failed(&error),
        }
    }
    Ok(())
}
