//! The predictions of one block, each on top of those before it.

use crate::PreparedBlock;
use alloy_evm::{Evm, EvmEnv, EvmFactory};
use revm::{
    context::TxEnv, context_interface::Transaction, database_interface::WrapDatabaseRef,
    state::EvmState,
};
use std::time::{Duration, Instant};
use warpline_fixture::PreState;
use warpline_predictor::{
    AccessHint, AccessPredictor, BlockValues, Care, Outlook, Recorder, TrialState,
};

/// What happens with what templates do not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unseen {
    /// It stays unknown.
    #[default]
    Left,
    /// The bytecode of functions that were never seen is read.
    Analysed,
    /// A transaction whose prediction has gaps is tried out, on the state that those before it in
    /// its block are expected to leave.
    TriedOut,
}

/// Predicts the transactions of a block in their order.
pub(super) struct Foresight<'a> {
    block: &'a PreparedBlock,
    env: EvmEnv,
    values: BlockValues,
    outlook: Outlook<WrapDatabaseRef<&'a PreState>>,
    unseen: Unseen,
    hint: AccessHint,
    tried: bool,
}

/// How long one prediction took.
pub(super) struct Effort {
    pub(super) predicting: Duration,
    /// The trial, with the second prediction, if there was one.
    pub(super) trying: Option<Duration>,
}

impl<'a> Foresight<'a> {
    /// Nothing is predicted yet.
    pub(super) fn new(block: &'a PreparedBlock, unseen: Unseen) -> Self {
        let env = block.input().env;
        let values = BlockValues::new(&env.block_env, env.cfg_env.chain_id);
        let outlook = Outlook::new(WrapDatabaseRef(&block.pre_state));
        Self { block, env, values, outlook, unseen, hint: AccessHint::default(), tried: false }
    }

    /// What was predicted last.
    pub(super) const fn hint(&self) -> &AccessHint {
        &self.hint
    }

    /// Whether the transaction that was predicted last was tried out for that.
    pub(super) const fn tried(&self) -> bool {
        self.tried
    }

    /// Predicts the next transaction, from which `predictor` learns if it is tried out.
    pub(super) fn next(&mut self, predictor: &mut AccessPredictor, tx: &TxEnv) -> Effort {
        let start = Instant::now();
        self.predict(predictor, tx);
        let predicting = start.elapsed();
        predictor.learn_read(&mut self.outlook);
        self.tried = false;
        if self.unseen != Unseen::TriedOut || !self.hint.gaps.may_be_filled() {
            self.outlook.accept();
            return Effort { predicting, trying: None };
        }
        let start = Instant::now();
        let tried = self.try_out(predictor, tx);
        self.predict(predictor, tx);
        self.outlook.accept();
        self.tried = tried.is_some();
        if let Some(outcome) = tried {
            self.hint.tried(&outcome);
            self.outlook.accept_trial(&outcome);
        }
        Effort { predicting, trying: Some(start.elapsed()) }
    }

    fn predict(&mut self, predictor: &AccessPredictor, tx: &TxEnv) {
        let care = match self.unseen {
            Unseen::Left => Care::Quick,
            Unseen::Analysed => Care::Analytic,
            Unseen::TriedOut => Care::Thorough,
        };
        predictor.predict(tx, &self.values, &mut self.outlook, care, &mut self.hint);
    }

    /// Learns from a transaction on the state that those before it are expected to leave, and says
    /// what it leaves itself. What cannot run there teaches nothing.
    fn try_out(&mut self, predictor: &mut AccessPredictor, tx: &TxEnv) -> Option<EvmState> {
        let state = TrialState::new(self.outlook.expected(), tx.caller(), tx.nonce());
        let evm = self.block.factory().evm_factory();
        let mut evm = evm.create_evm_with_inspector(state, self.env.clone(), Recorder::default());
        let outcome = evm.transact_raw(tx.clone()).ok()?;
        predictor.learn(&evm.inspector_mut().finish(), &outcome.state);
        Some(outcome.state)
    }
}
