//! Candidates on their way to a block: what is known of them, and which of them it can have.

use super::{build::Dropped, early::EarlyExecution, state::StoredState};
use crate::{
    Engine, Executed, ImportError, InvalidBlock, body::Tx, execution::Ready, rules::BlockRules,
};
use alloy_consensus::{Block, EthereumReceipt, Transaction, transaction::Recovered};
use warpline_executor::{CommitStream, EthTransaction, Expectations};
use warpline_types::ExpectedAccesses;

/// A transaction that a block may have, with what is known of it before it is executed there.
/// That saves time; what comes of the block does not depend on it.
#[derive(Debug)]
pub struct Candidate {
    /// The transaction.
    pub transaction: Recovered<EthTransaction>,
    /// What it is expected to touch.
    pub expected: Option<ExpectedAccesses>,
    /// What it came to before.
    pub early: Option<EarlyExecution>,
}

impl From<Recovered<EthTransaction>> for Candidate {
    fn from(transaction: Recovered<EthTransaction>) -> Self {
        Self { transaction, expected: None, early: None }
    }
}

/// How often a block is executed again without the first invalid transaction, before all that
/// are left are tried in order, one after the other.
const RETRIES: usize = 2;

/// A block in the making.
pub(super) struct Attempt<'a, 's> {
    pub(super) rules: BlockRules<'a>,
    pub(super) before: &'a StoredState<'s>,
    pub(super) block: Block<EthTransaction>,
    pub(super) txs: Vec<Tx>,
    /// Where each was among the candidates.
    positions: Vec<usize>,
    /// What they are expected to touch, if that is known of any.
    expected: Option<Expectations>,
    /// What they came to before, for the first time that the block is executed.
    early: Vec<Option<EarlyExecution>>,
    /// Who is told of changes.
    stream: Option<&'a CommitStream>,
    /// The access list of the block is wanted.
    listed: bool,
    pub(super) dropped: Vec<Dropped>,
}

impl<'a, 's> Attempt<'a, 's> {
    pub(super) fn new(
        rules: BlockRules<'a>,
        before: &'a StoredState<'s>,
        block: Block<EthTransaction>,
        candidates: Vec<Candidate>,
    ) -> Self {
        let positions = (0..candidates.len()).collect();
        let guessed = candidates.iter().any(|candidate| candidate.expected.is_some());
        let mut accesses = Vec::new();
        let mut txs = Vec::with_capacity(candidates.len());
        let mut outcomes = Vec::with_capacity(candidates.len());
        for Candidate { transaction, expected, early } in candidates {
            outcomes.push(early);
            if guessed {
                accesses.push(expected.unwrap_or_default());
            }
            txs.push(Tx::new(transaction));
        }
        let expected = guessed.then(|| expectations(accesses, &txs));
        let dropped = Vec::new();
        let (early, stream, listed) = (outcomes, None, false);
        Self { rules, before, block, txs, positions, expected, early, stream, listed, dropped }
    }

    /// The same with somebody who is told of changes while they are made, by executions that come
    /// to nothing too.
    pub(super) fn streaming(self, stream: Option<&'a CommitStream>) -> Self {
        Self { stream, ..self }
    }

    /// The same where the access list of the block is wanted, or only if its header commits to it.
    pub(super) fn listing(self, listed: bool) -> Self {
        Self { listed, ..self }
    }

    /// Executes what can be executed. An invalid transaction shows when it is its turn, so what
    /// comes after it has to be done again; where many are invalid, they are found in one go.
    pub(super) fn execute(
        &mut self,
        engine: &Engine,
    ) -> Result<Executed<EthereumReceipt>, ImportError> {
        for _ in 0..=RETRIES {
            let early = core::mem::take(&mut self.early).into_iter();
            let early = early.map(|early| Some(early?.0)).collect();
            let error = match self.ready().execute_with(engine, early, self.before) {
                Err(ImportError::Invalid(error)) => error,
                executed => return executed,
            };
            let mut verdicts = vec![None; self.txs.len()];
            let Some(at) = error.transaction.filter(|at| *at < verdicts.len()) else {
                return Err(error.into());
            };
            verdicts[at] = Some(error);
            self.drop_invalid(verdicts);
        }
        let verdicts = self.ready().sift(self.before)?;
        self.drop_invalid(verdicts);
        self.ready().execute(engine, self.before)
    }

    fn ready(&self) -> Ready<'_> {
        Ready::new(self.rules, &self.block, &self.txs)
            .expecting(self.expected.as_ref())
            .streaming(self.stream)
            .listing(self.listed)
    }

    /// Leaves out what is invalid, given what is wrong with each.
    fn drop_invalid(&mut self, verdicts: Vec<Option<InvalidBlock>>) {
        let keep: Vec<bool> = verdicts.iter().map(Option::is_none).collect();
        let invalid = self.positions.iter().zip(verdicts);
        let invalid = invalid.filter_map(|(index, error)| Some((*index, error?)));
        self.dropped.extend(invalid.map(|(index, error)| Dropped { index, error }));
        retain(&mut self.positions, &keep);
        retain(&mut self.txs, &keep);
        if let Some(expected) = self.expected.take() {
            let mut accesses = expected.into_accesses();
            retain(&mut accesses, &keep);
            self.expected = Some(expectations(accesses, &self.txs));
        }
    }
}

fn expectations(accesses: Vec<ExpectedAccesses>, txs: &[Tx]) -> Expectations {
    Expectations::new(accesses.into_iter().zip(txs.iter().map(|tx| tx.tx.gas_limit())))
}

fn retain<T>(all: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    all.retain(|_| keep.next().copied().unwrap_or_default());
}
