//! What the transactions of a block are expected to touch, before any of them has run.

use super::{
    Follower, PredictionError, execute,
    foresight::{Effort, Foresight, Unseen},
};
use crate::{PreparedBlock, Tx};
use alloy_evm::ToTxEnv;
use revm::{context::TxEnv, context_interface::Transaction, state::EvmState};
use std::time::{Duration, Instant};
use warpline_executor::Expectations;
use warpline_predictor::{AccessPredictor, Lesson};
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

/// Predicts a block from what is known before it. `predictor` learns from
/// trials, and what it reads in bytecode.
pub fn expect_block(
    block: &PreparedBlock,
    predictor: &mut AccessPredictor,
    unseen: Unseen,
) -> BlockExpectations {
    let mut foresight = Foresight::new(block, unseen);
    let mut expected = BlockExpectations::default();
    let mut accesses = Vec::with_capacity(block.txs.len());
    for tx in &block.txs {
        let tx = tx.to_tx_env();
        let Effort { predicting, trying } = foresight.next(predictor, &tx);
        expected.predicting += predicting;
        expected.trials += u64::from(trying.is_some());
        expected.trying += trying.unwrap_or_default();
        accesses.push((foresight.hint().expected(), tx.gas_limit()));
    }
    let start = Instant::now();
    expected.accesses = Expectations::new(accesses);
    expected.predicting += start.elapsed();
    expected
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
