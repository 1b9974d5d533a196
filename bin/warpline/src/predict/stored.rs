//! One transaction on the chain in a data folder.

use super::{PredictArgs, knowledge, show, wanted::Wanted};
use crate::{
    datadir::DatadirArgs,
    output::{self, sayln},
};
use alloy_primitives::{B256, Bytes};
use eyre::{Result, WrapErr, eyre};
use revm::{context::TxEnv, state::EvmState};
use std::{path::Path, process::ExitCode};
use warpline_chain::{ChainView, StoredDb};
use warpline_executor::ParentState;
use warpline_node::{PastBlock, next_values, signed_transaction};
use warpline_predictor::{AccessHint, AccessPredictor, BlockValues, Care, Lesson, Outlook};
use warpline_replay::Forecast;
use warpline_simulation::{Follower, Limits, follow_block};

/// Prints what is expected of a transaction of the chain, or of one that could be in its next
/// block. A node may be running on the same folder.
pub(super) fn show(args: &PredictArgs, datadir: &Path, wanted: &Wanted) -> Result<ExitCode> {
    let chain = DatadirArgs::at(datadir).open_chain_read_only()?;
    let known = knowledge::start(args)?;
    let view = chain.view();
    match wanted {
        Wanted::Hash(hash) => mined(&view, known, *hash),
        Wanted::Raw(raw) => next(&view, &known, raw),
    }
}

/// A transaction of the chain, beside what it touched.
fn mined(view: &ChainView, known: AccessPredictor, hash: B256) -> Result<ExitCode> {
    let position = view.blocks()?.reader()?.transaction_position(&hash)?;
    let Some((number, index)) = position else {
        sayln!("the chain has no transaction {hash}");
        return Ok(ExitCode::FAILURE);
    };
    let past = PastBlock::read(view, number).wrap_err_with(|| format!("block {number}"))?;
    let past = past.ok_or_else(|| eyre!("block {number} is not there any more"))?;
    let rules = view.rules();
    let mut watcher = Watcher {
        known,
        values: past.values(rules),
        outlook: Outlook::new(past.parent().open()),
        hint: AccessHint::default(),
        last: EvmState::default(),
    };
    let index = usize::try_from(index)?;
    let (parent, block) = (past.parent().open(), past.traced(rules));
    follow_block(parent, &block, index + 1, &mut watcher, &Limits::default())
        .wrap_err_with(|| format!("block {number}"))?;
    let Watcher { hint, last: state, .. } = watcher;
    let found = Forecast { block: format!("block {number}"), index, hint, tried: false, state };
    output::print(show::hint(&found, "what is known"))?;
    Ok(ExitCode::SUCCESS)
}

/// Predicts each transaction, and learns from it before the next.
struct Watcher<'a> {
    known: AccessPredictor,
    values: BlockValues,
    outlook: Outlook<StoredDb<'a>>,
    /// Of the last transaction.
    hint: AccessHint,
    /// What it left.
    last: EvmState,
}

impl Follower for Watcher<'_> {
    fn before(&mut self, _: usize, tx: &TxEnv) {
        self.known.predict(tx, &self.values, &mut self.outlook, Care::Analytic, &mut self.hint);
        self.known.learn_read(&mut self.outlook);
        self.outlook.accept();
    }

    fn after(&mut self, _: usize, _: &TxEnv, lessons: &[Lesson], state: &EvmState) {
        self.known.learn(lessons, state);
        self.last.clone_from(state);
    }
}

/// A transaction that is not in the chain, on the latest state.
fn next(view: &ChainView, known: &AccessPredictor, raw: &Bytes) -> Result<ExitCode> {
    let tx = signed_transaction(raw, view.rules().chain_id())?;
    let state = view.latest()?;
    let values = next_values(view, &state)?;
    let (mut outlook, mut hint) = (Outlook::new(state.open()), AccessHint::default());
    known.predict(&tx, &values, &mut outlook, Care::Analytic, &mut hint);
    let on = format!("on the state after block {}", state.block().number);
    output::print(show::expected(&hint, &on))?;
    Ok(ExitCode::SUCCESS)
}
