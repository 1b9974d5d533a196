//! What the transactions of the next block are expected to touch, for its execution.

use super::{Predictor, queue::is_call};
use crate::NodeError;
use alloy_consensus::{Header, Transaction};
use alloy_evm::{Database, FromRecoveredTx};
use revm::context::TxEnv;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use warpline_chain::{ChainView, EarlyExecution, Engine};
use warpline_executor::ParentState;
use warpline_predictor::{AccessHint, BlockValues, Care, Outlook};
use warpline_simulation::CallBlock;
use warpline_txpool::PoolTransaction;
use warpline_types::ExpectedAccesses;

/// How long a block waits for whoever is just changing what is known. Then it does without.
const PATIENCE: Duration = Duration::from_millis(1);

/// Most time for the transactions of one block. Those behind are executed without.
const FOR_A_BLOCK: Duration = Duration::from_millis(50);

/// Whether it can pay to predict these transactions for a block that `engine` executes: if they
/// are to be run ahead, and more than one of them could meet another.
fn pays(txs: &[Arc<PoolTransaction>], engine: &Engine) -> bool {
    let Some(least) = engine.helps_from() else { return false };
    let calls = txs.iter().filter(|tx| is_call(tx)).map(|tx| tx.transaction().gas_limit());
    let (count, gas) =
        calls.fold((0, 0_u64), |(count, sum), gas| (count + 1, sum.saturating_add(gas)));
    count > 1 && gas >= least
}

impl Predictor {
    /// What the transactions of a block after the head are expected to touch, in their order:
    /// what they have touched where they were executed `early`, or a prediction. Empty where it
    /// would not pay to know.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn expect_block(
        &self,
        txs: &[Arc<PoolTransaction>],
        early: &[Option<EarlyExecution>],
        engine: &Engine,
        header: &Header,
        view: &ChainView,
    ) -> Result<Vec<Option<ExpectedAccesses>>, NodeError> {
        if !self.hints || !pays(txs, engine) {
            return Ok(Vec::new());
        }
        let state = view.latest()?;
        let values = CallBlock { chain: &view.rules().after_merge, header }.values();
        Ok(self.expect(txs, early, &values, state.open()))
    }

    /// Predicts each transaction on the state that those before it are expected to leave.
    fn expect<DB: Database>(
        &self,
        txs: &[Arc<PoolTransaction>],
        early: &[Option<EarlyExecution>],
        values: &BlockValues,
        state: DB,
    ) -> Vec<Option<ExpectedAccesses>> {
        let (mut outlook, mut hint) = (Outlook::new(state), AccessHint::default());
        let (mut predicted, start) = (0, Instant::now());
        let mut expected = Vec::with_capacity(txs.len());
        for (at, tx) in txs.iter().enumerate() {
            if let Some(Some(early)) = early.get(at) {
                expected.push(Some(early.accesses()));
                continue;
            }
            if !is_call(tx) || start.elapsed() > FOR_A_BLOCK {
                expected.push(None);
                continue;
            }
            let env = TxEnv::from_recovered_tx(tx.transaction(), tx.sender());
            let Some(knowledge) = self.knowledge.try_read_for(PATIENCE) else { break };
            knowledge.predict(&env, values, &mut outlook, Care::Quick, &mut hint);
            drop(knowledge);
            outlook.accept();
            predicted += 1;
            expected.push(Some(hint.expected()));
        }
        self.counters.expected.fetch_add(predicted, Ordering::Relaxed);
        expected
    }
}
