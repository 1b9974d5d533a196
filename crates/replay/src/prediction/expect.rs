//! What the transactions of a block are expected to touch, before any of them has run.

use super::{Follower, PredictionError, execute};
use crate::{PreparedBlock, Tx};
use alloy_evm::{Database, Evm, EvmEnv, EvmFactory, ToTxEnv};
use revm::{
    context::TxEnv, context_interface::Transaction, database_interface::WrapDatabaseRef,
    state::EvmState,
};
use std::time::{Duration, Instant};
use warpline_executor::Expectations;
use warpline_predictor::{
    AccessHint, AccessPredictor, BlockValues, Care, Lesson, Outlook, Recorder, TrialState,
};
use warpline_types::{ExpectedAccesses, ExpectedSlot};

/// Expectations for a whole block.
#[derive(Debug, Default)]
pub struct BlockExpectations {
    /// What the transactions are expected to touch.
    pub accesses: Expectations,
    /// How long predicting took.
    pub predicting: Duration,
    /// Transactions that were tried out.
    pub trials: u64,
    /// How long that took, with the second prediction.
    pub trying: Duration,
}

/// Predicts a block from what is known before it. With `trials`, transactions whose prediction has
/// gaps are tried out, on the state that those before them are expected to leave, and learned from.
pub fn expect_block(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
    trials: bool,
) -> BlockExpectations {
    let env = block.input().env;
    let values = BlockValues::new(&env.block_env, env.cfg_env.chain_id);
    let mut outlook = Outlook::new(WrapDatabaseRef(&block.pre_state));
    let (mut hint, mut expected) = (AccessHint::default(), BlockExpectations::default());
    let mut accesses = Vec::with_capacity(block.txs.len());
    let care = if trials { Care::Thorough } else { Care::Quick };
    for tx in &block.txs {
        let tx = tx.to_tx_env();
        let start = Instant::now();
        predictor.predict(&tx, &values, &mut outlook, care, &mut hint);
        expected.predicting += start.elapsed();
        if trials && hint.gaps.may_be_filled() {
            let start = Instant::now();
            let tried = try_out(block, &env, &tx, predictor, &mut outlook);
            predictor.predict(&tx, &values, &mut outlook, care, &mut hint);
            outlook.accept();
            if let Some(outcome) = tried {
                hint.tried(&outcome);
                outlook.accept_trial(&outcome);
            }
            expected.trials += 1;
            expected.trying += start.elapsed();
        } else {
            outlook.accept();
        }
        accesses.push((hint.expected(), tx.gas_limit()));
    }
    let start = Instant::now();
    expected.accesses = Expectations::new(accesses);
    expected.predicting += start.elapsed();
    expected
}

/// Learns from a transaction on the state that those before it are expected to leave, and says what
/// it leaves itself. What cannot run there teaches nothing.
pub(super) fn try_out<S: Database>(
    block: &PreparedBlock,
    env: &EvmEnv,
    tx: &TxEnv,
    predictor: &mut AccessPredictor,
    outlook: &mut Outlook<S>,
) -> Option<EvmState> {
    let state = TrialState::new(outlook.expected(), tx.caller(), tx.nonce());
    let evm = block.factory().evm_factory();
    let mut evm = evm.create_evm_with_inspector(state, env.clone(), Recorder::default());
    let outcome = evm.transact_raw(tx.clone()).ok()?;
    predictor.learn(&evm.inspector_mut().finish(), &outcome.state);
    Some(outcome.state)
}

/// What the transactions of a block really touch: the best that a prediction can be.
///
/// # Errors
/// The block cannot be executed.
pub fn touched_by_block(block: &PreparedBlock) -> Result<BlockExpectations, PredictionError> {
    let mut touched = Touched::default();
    execute(block, &mut touched)?;
    let accesses = Expectations::new(touched.0);
    Ok(BlockExpectations { accesses, ..BlockExpectations::default() })
}

#[derive(Default)]
struct Touched(Vec<(ExpectedAccesses, u64)>);

impl Follower for Touched {
    fn before(&mut self, _: &TxEnv) {}

    fn after(&mut self, _: usize, tx: &Tx, _: &[Lesson], state: &EvmState) {
        let slots = state.iter().flat_map(|(address, account)| {
            account.storage.iter().map(|(slot, value)| ExpectedSlot {
                address: *address,
                slot: *slot,
                written: value.is_changed(),
            })
        });
        let (accounts, slots) = (state.keys().copied().collect(), slots.collect());
        self.0.push((ExpectedAccesses { accounts, slots }, tx.env.gas_limit));
    }
}
