//! What happened inside a transaction: `debug_trace*` and `trace_*`.
//!
//! `replay` executes the block up to the transaction in question, `record` makes something of what
//! an inspector of revm-inspectors saw. `touched` notes what a block takes from the state,
//! `dependencies` which of its transactions wait for which, `lessons` what they teach a predictor.

mod dependencies;
mod lessons;
mod record;
mod replay;
mod touched;

pub use dependencies::{Contended, Dependencies, HotLocation, dependencies};
pub use lessons::{Follower, Trial, call_transaction, follow_block, try_out};
pub use record::{MAX_STEPS, TraceOptions};
pub use replay::TracedBlock;
pub use touched::{Touched, touched};

use crate::{CallBlock, Limits, Overrides, SimulationError, run::Session};
use alloy_evm::Database;
use alloy_rpc_types_eth::{TransactionInfo, TransactionRequest};
use alloy_rpc_types_trace::{geth::GethTrace, parity::LocalizedTransactionTrace};
use record::Recorder;
use replay::Replay;
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig, TransactionContext};

/// Traces one transaction of a block, whose parent's state is `parent`.
///
/// # Errors
/// Options that make no sense, too little time, or a state that cannot be read.
pub fn trace_transaction<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    index: usize,
    options: &TraceOptions,
    limits: &Limits,
) -> Result<GethTrace, SimulationError<DB::Error>> {
    let mut recorder = Recorder::new(options)?;
    let mut replay = Replay::begin(parent, block, limits)?;
    replay.skip(index)?;
    trace_next(&mut replay, &mut recorder)
}

/// Traces all transactions of a block, whose parent's state is `parent`.
///
/// # Errors
/// As [`trace_transaction`] has them.
pub fn trace_block<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    options: &TraceOptions,
    limits: &Limits,
) -> Result<Vec<GethTrace>, SimulationError<DB::Error>> {
    let mut recorder = Recorder::new(options)?;
    let mut replay = Replay::begin(parent, block, limits)?;
    (0..block.transactions.len()).map(|_| trace_next(&mut replay, &mut recorder)).collect()
}

fn trace_next<DB: Database>(
    replay: &mut Replay<'_, DB>,
    recorder: &mut Recorder,
) -> Result<GethTrace, SimulationError<DB::Error>> {
    recorder.begin()?;
    let place = replay.place();
    let (tx, result) = replay.execute(recorder)?;
    let trace = recorder.finish(place, &tx, &replay.env, &result, &mut replay.state)?;
    replay.commit(result);
    Ok(trace)
}

/// Traces a call, on a state and in a block with overrides.
///
/// # Errors
/// As [`crate::call`] has them, but for code that fails.
pub fn trace_call<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    request: &TransactionRequest,
    overrides: Overrides<'_>,
    options: &TraceOptions,
    limits: &Limits,
) -> Result<GethTrace, SimulationError<DB::Error>> {
    let session = Session::open(state, block, overrides, limits)?;
    trace_in(session, request, options, limits)
}

/// Traces a call as if it came after the first `index` transactions of a block, whose parent's
/// state is `parent`.
///
/// # Errors
/// As [`trace_call`] has them.
pub fn trace_call_within<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    index: usize,
    request: &TransactionRequest,
    overrides: Overrides<'_>,
    options: &TraceOptions,
    limits: &Limits,
) -> Result<GethTrace, SimulationError<DB::Error>> {
    let mut replay = Replay::begin(parent, block, limits)?;
    replay.skip(index)?;
    let at = CallBlock { chain: block.chain, header: block.header };
    let session = Session::on(replay.state, at, overrides)?;
    trace_in(session, request, options, limits)
}

fn trace_in<DB: Database>(
    mut session: Session<DB>,
    request: &TransactionRequest,
    options: &TraceOptions,
    limits: &Limits,
) -> Result<GethTrace, SimulationError<DB::Error>> {
    let mut recorder = Recorder::new(options)?;
    let call = session.fill(request, limits.gas_cap)?;
    recorder.begin()?;
    let (result, tx, env) = session.inspect(&call, &mut recorder, true)?;
    recorder.finish(TransactionContext::default(), &tx, &env, &result, &mut session.state)
}

/// The calls within transactions of a block, as Parity lists them: of all transactions, or of the
/// one with an index. The gas of the outermost call, that it has and that it uses, is without what
/// a transaction costs before its first instruction.
///
/// # Errors
/// Too little time, or a state that cannot be read.
pub fn flat_traces<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    index: Option<usize>,
    limits: &Limits,
) -> Result<Vec<LocalizedTransactionTrace>, SimulationError<DB::Error>> {
    let mut replay = Replay::begin(parent, block, limits)?;
    let wanted = match index {
        Some(index) => index..block.transactions.len().min(index + 1),
        None => 0..block.transactions.len(),
    };
    replay.skip(wanted.start)?;
    let mut traces = Vec::new();
    for index in wanted {
        let mut inspector = TracingInspector::new(TracingInspectorConfig::default_parity());
        let (_, result) = replay.execute(&mut inspector)?;
        let info = TransactionInfo {
            hash: Some(*block.transactions[index].tx_hash()),
            index: Some(index as u64),
            block_hash: Some(block.hash),
            block_number: Some(block.header.number),
            base_fee: block.header.base_fee_per_gas,
            ..TransactionInfo::default()
        };
        traces.extend(inspector.into_parity_builder().into_localized_transaction_traces_iter(info));
        replay.commit(result);
    }
    Ok(traces)
}

impl<'a, DB: Database> Replay<'a, DB> {
    /// Which transaction is next.
    fn place(&self) -> TransactionContext {
        let hash = self.block.transactions.get(self.next).map(|tx| *tx.tx_hash());
        TransactionContext {
            block_hash: Some(self.block.hash),
            tx_index: Some(self.next),
            tx_hash: hash,
        }
    }
}
